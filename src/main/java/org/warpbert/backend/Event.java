package org.warpbert.backend;

import org.bytedeco.javacpp.DoublePointer;
import org.warpbert.WarpBertException;

/**
 * A place in a backend's stream of work that the host can wait for: what was asked of the backend before {@link #record} is
 * done when {@link #await} returns. Closing is idempotent.
 */
public final class Event implements AutoCloseable {
    private final Backend backend;
    private final long handle; // 0 where ops have run when they return
    private boolean closed;

    Event(Backend backend, long handle) {
        this.backend = backend;
        this.handle = handle;
    }

    /** It is here now, wherever it was before. */
    public void record() {
        backend.check("event_record", Native.wb_event_record(backend.context(), handle()));
    }

    /** Waits for the work before it; not at all where it was never recorded. */
    public void await() {
        backend.check("event_wait", Native.wb_event_wait(backend.context(), handle()));
    }

    /**
     * Waits for the work before it.
     *
     * @param begin recorded before this one; both of {@link Backend#timedEvent}
     * @return seconds that the device took from there to here
     * @throws WarpBertException one was not recorded or is not timed; on a CPU always
     */
    public double secondsSince(Event begin) {
        try (DoublePointer seconds = new DoublePointer(1L)) {
            backend.check("event_elapsed", Native.wb_event_elapsed(backend.context(), seconds, begin.handle(), handle()));
            return seconds.get();
        }
    }

    private long handle() {
        if (closed) {
            throw new WarpBertException("an event is used after it was closed");
        }
        return handle;
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            backend.destroyEvent(handle);
        }
    }
}
