package org.warpbert.backend;

import org.warpbert.WarpBertException;

/** Work of a backend that was captured, to be asked for as one. Closing is idempotent; before the memory that it uses is. */
public final class Graph implements AutoCloseable {
    private final Backend backend;
    private long handle;

    Graph(Backend backend, long handle) {
        this.backend = backend;
        this.handle = handle;
    }

    /** Queues all of it, on the addresses and with the arguments that it was captured with. */
    public void launch() {
        if (handle == 0) {
            throw new WarpBertException("a graph is used after it was closed");
        }
        backend.check("graph_launch", Native.wb_graph_launch(backend.context(), handle));
    }

    @Override
    public void close() {
        if (handle != 0) {
            long closing = handle;
            handle = 0;
            backend.destroyGraph(closing);
        }
    }
}
