package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class LruCacheTest {
    private final List<String> released = new ArrayList<>();
    private final LruCache<Integer, String> cache = new LruCache<>(2, released::add);

    @Test
    void theLeastRecentlyUsedGivesWay() {
        cache.put(1, "one");
        cache.put(2, "two");
        assertEquals("one", cache.get(1));
        assertNull(cache.put(3, "three"));
        assertEquals(List.of("two"), released, "1 was used since");
        assertNull(cache.get(2));
        assertEquals("one", cache.get(1));
        assertEquals("three", cache.get(3));
        assertEquals("one", cache.put(1, "uno"), "which makes no entry more");
        cache.put(4, "four");
        assertEquals(List.of("two", "three"), released);
        assertEquals(2, cache.size());
    }

    @Test
    void whatIsTakenOutIsTheCallers() {
        cache.put(1, "one");
        assertEquals("one", cache.remove(1));
        assertNull(cache.remove(1));
        cache.put(2, "two");
        cache.put(3, "three");
        assertEquals(List.of(), released);
    }

    @Test
    void closingReleasesEachOnce() {
        cache.put(1, "one");
        cache.put(2, "two");
        cache.close();
        cache.close();
        assertEquals(List.of("one", "two"), released);
        assertEquals(0, cache.size());
    }
}
