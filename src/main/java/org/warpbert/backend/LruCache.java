package org.warpbert.backend;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;

/** A map of at most so many entries: when one more is put, the least recently used gives way. A look-up makes no object. Not for several threads. */
public final class LruCache<K, V> implements AutoCloseable {
    private final Map<K, V> entries = new LinkedHashMap<>(64, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<K, V> eldest) {
            if (size() <= most) {
                return false;
            }
            release.accept(eldest.getValue());
            return true;
        }
    };
    private final int most;
    private final Consumer<? super V> release;

    /**
     * @param most    entries at a time
     * @param release what becomes of a value that gave way, and of all at {@link #close}
     */
    public LruCache(int most, Consumer<? super V> release) {
        this.most = most;
        this.release = release;
    }

    /** The value of a key, which has now been used; null where there is none. */
    public V get(K key) {
        return entries.get(key);
    }

    /** Puts a value, which has now been used. @return the key's value before, null where it had none: it is the caller's */
    public V put(K key, V value) {
        return entries.put(key, value);
    }

    /** Takes a key's value out. @return it, null where there was none: it is the caller's */
    public V remove(K key) {
        return entries.remove(key);
    }

    public int size() {
        return entries.size();
    }

    /** Releases all values; it is empty then, and may be filled again. */
    @Override
    public void close() {
        entries.values().forEach(release);
        entries.clear();
    }
}
