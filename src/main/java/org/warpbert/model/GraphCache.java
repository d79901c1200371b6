package org.warpbert.model;

import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Graph;
import org.warpbert.backend.LruCache;
import org.warpbert.backend.OutOfDeviceMemory;
import org.warpbert.memory.FixedOverhead;

/**
 * The encoder's work captured for each shape of batch that comes back, so that its hundreds of ops are asked for as one. At a
 * shape's first batch it runs op by op: libraries load code and choose algorithms. At the second it is captured, later it is
 * launched. Of most graphs the least recently used give way. Where there is no memory for one, work goes on op by op.
 */
final class GraphCache implements AutoCloseable {
    private static final int MOST_SEEN = 1024; // shapes that came once: packed batches have many

    private final Backend backend;
    private final LruCache<Key, Boolean> seen = new LruCache<>(MOST_SEEN, yes -> {});
    private final LruCache<Key, Graph> graphs;
    private final Key wanted = new Key(); // of the look-up under way
    private boolean full;

    /** What is captured: a backward writes matrices' gradients, or adds to those of earlier micro-batches. */
    enum Work { FORWARD, BACKWARD, ADDING_BACKWARD }

    /** All that the ops, their sizes, arguments and addresses depend on; the type and the buffers are the model's. */
    private static final class Key {
        private Work work;
        private EncoderShape shape;

        Key set(Work newWork, EncoderShape newShape) {
            work = newWork;
            shape = newShape;
            return this;
        }

        Key copy() {
            return new Key().set(work, shape.copy());
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Key key && work == key.work && shape.equals(key.shape);
        }

        @Override
        public int hashCode() {
            return 31 * shape.hashCode() + work.ordinal();
        }
    }

    /** As many as are planned for. */
    GraphCache(Backend backend, boolean training) {
        this(backend, training ? FixedOverhead.TRAINING_GRAPHS : FixedOverhead.GRAPHS);
    }

    /** @param most graphs at a time */
    GraphCache(Backend backend, int most) {
        this.backend = backend;
        this.graphs = new LruCache<>(most, Graph::close);
    }

    /** Does the work, which is the same whenever its kind and shape are, in one way or the other. A launch makes no object. */
    void run(Work work, EncoderShape shape, Runnable ops) {
        Graph graph = graphs.get(wanted.set(work, shape));
        if (graph == null && !full) {
            Key key = wanted.copy();
            graph = seen.put(key, true) == null ? null : captured(key, ops);
        }
        if (graph == null) {
            ops.run();
        } else {
            graph.launch();
        }
    }

    private Graph captured(Key key, Runnable ops) {
        try {
            Graph graph = backend.capture(ops);
            graphs.put(key, graph);
            seen.remove(key);
            return graph;
        } catch (OutOfDeviceMemory e) { // a graph is a matter of speed alone
            full = true;
            return null;
        } catch (WarpBertException e) { // by itself work would go on slower and nobody would know why
            throw new WarpBertException("the encoder's ops cannot be captured as a graph (-Dwarpbert.graphs=false asks for them one by one): "
                    + e.getMessage(), e);
        }
    }

    /** Graphs that are held. */
    int size() {
        return graphs.size();
    }

    @Override
    public void close() {
        graphs.close();
    }
}
