package org.warpbert.backend;

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
