package org.warpbert.model;

import java.util.LinkedHashMap;
import java.util.Map;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Graph;
import org.warpbert.backend.OutOfDeviceMemory;
import org.warpbert.memory.FixedOverhead;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;

/**
 * One piece of work captured for each shape of batch that comes back, so that its hundred ops are asked for as one. The first
 * batch of a shape runs op by op: libraries load code and choose algorithms. The second is captured, later ones are launched. Of
 * most shapes the least recently used give way. Where there is no memory for a graph, work goes on op by op.
 */
final class GraphCache implements AutoCloseable {
    private static final int MOST_SEEN = 1024; // shapes that came once: packed batches have many

    private final Backend backend;
    private final int most;
    private final Map<Shape, Boolean> seen = new LinkedHashMap<>(64, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<Shape, Boolean> eldest) {
            return size() > MOST_SEEN;
        }
    };
    private final Map<Shape, Graph> graphs = new LinkedHashMap<>(64, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<Shape, Graph> eldest) {
            if (size() <= most) {
                return false;
            }
            eldest.getValue().close();
            return true;
        }
    };
    private boolean full;

    /**
     * All that sizes, arguments and addresses of a pass depend on; the type and the buffers are the model's.
     *
     * @param longest tokens of the longest sequence
     * @param masked  whether there is a key mask
     */
    record Shape(Capacity sizes, int longest, boolean masked) {
        static Shape of(PackedBatch batch) {
            return new Shape(Capacity.of(batch), batch.maxSeqlen(), batch.keyMask() != null);
        }
    }

    GraphCache(Backend backend) {
        this(backend, FixedOverhead.GRAPHS);
    }

    /** @param most graphs at a time */
    GraphCache(Backend backend, int most) {
        this.backend = backend;
        this.most = most;
    }

    /** Does the work, which is the same for every batch of this shape, in one way or the other. */
    void run(Shape shape, Runnable work) {
        Graph graph = graphs.get(shape);
        if (graph == null && !full && seen.put(shape, true) != null) {
            graph = captured(shape, work);
        }
        if (graph == null) {
            work.run();
        } else {
            graph.launch();
        }
    }

    private Graph captured(Shape shape, Runnable work) {
        try {
            Graph graph = backend.capture(work);
            graphs.put(shape, graph);
            seen.remove(shape);
            return graph;
        } catch (OutOfDeviceMemory e) { // a graph is a matter of speed alone
            full = true;
            return null;
        }
    }

    /** Graphs that are held. */
    int size() {
        return graphs.size();
    }

    @Override
    public void close() {
        graphs.values().forEach(Graph::close);
        graphs.clear();
    }
}
