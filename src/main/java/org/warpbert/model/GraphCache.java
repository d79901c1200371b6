package org.warpbert.model;

import java.util.ArrayList;
import java.util.List;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Graph;
import org.warpbert.backend.LruCache;
import org.warpbert.backend.OutOfDeviceMemory;
import org.warpbert.memory.FixedOverhead;

/**
 * The encoder's work captured for each shape of batch that comes back, so that its hundreds of ops are asked for as one. At a
 * shape's first batch it runs op by op: libraries load code and choose algorithms. At the second it is captured, later it is
 * launched. Where most graphs are held, the one that is used least gives way, but only to a shape that comes twice as often: batches of
 * long texts have more shapes than there may be graphs, and to capture costs more than to go op by op. Where there is no memory for a
 * graph, work goes on op by op.
 */
final class GraphCache implements AutoCloseable {
    private static final int MOST_SHAPES = 1024; // that are remembered: packed batches have many
    private static final int EPOCH = 1024; // passes after which what came before counts half: data and what is asked may change

    private final Backend backend;
    private final int most;
    private final LruCache<Key, Shape> shapes = new LruCache<>(MOST_SHAPES, this::release);
    private final List<Shape> captured = new ArrayList<>(); // those with a graph
    private final Key wanted = new Key(); // of the look-up under way
    private long passes;
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

    /** How often a shape came, and its graph if it has one. */
    private static final class Shape {
        private int sights;
        private long epoch;
        private Graph graph;

        int sights(long now) {
            sights >>= Math.min(now - epoch, 31);
            epoch = now;
            return sights;
        }
    }

    /** As many as are planned for. */
    GraphCache(Backend backend, boolean training) {
        this(backend, training ? FixedOverhead.TRAINING_GRAPHS : FixedOverhead.GRAPHS);
    }

    /** @param most graphs at a time */
    GraphCache(Backend backend, int most) {
        this.backend = backend;
        this.most = most;
    }

    /** Does the work, which is the same whenever its kind and shape are, in one way or the other. A launch makes no object. */
    void run(Work work, EncoderShape shape, Runnable ops) {
        Shape of = shapes.get(wanted.set(work, shape));
        if (of == null) {
            of = new Shape();
            shapes.put(wanted.copy(), of);
        }
        long now = passes++ / EPOCH;
        of.sights = of.sights(now) + 1;
        if (of.graph == null && of.sights > 1 && !full && makesPlaceFor(of, now)) {
            capture(of, ops);
        }
        if (of.graph == null) {
            ops.run();
        } else {
            of.graph.launch();
        }
    }

    /** Whether there is place for a graph, for which another that is used half as often and no more gives way. */
    private boolean makesPlaceFor(Shape shape, long now) {
        if (captured.size() < most) {
            return true;
        }
        Shape least = captured.get(0);
        for (int i = 1; i < captured.size(); i++) { // an iterator would be an object
            if (captured.get(i).sights(now) < least.sights(now)) {
                least = captured.get(i);
            }
        }
        if (shape.sights < 2 * (least.sights(now) + 1)) {
            return false;
        }
        release(least);
        return true;
    }

    private void capture(Shape shape, Runnable ops) {
        try {
            shape.graph = backend.capture(ops);
            captured.add(shape);
        } catch (OutOfDeviceMemory e) { // a graph is a matter of speed alone
            full = true;
        } catch (WarpBertException e) { // by itself work would go on slower and nobody would know why
            throw new WarpBertException("the encoder's ops cannot be captured as a graph (-Dwarpbert.graphs=false asks for them one by one): "
                    + e.getMessage(), e);
        }
    }

    private void release(Shape shape) {
        if (shape.graph != null) {
            captured.remove(shape);
            shape.graph.close();
            shape.graph = null;
        }
    }

    /** Graphs that are held. */
    int size() {
        return captured.size();
    }

    @Override
    public void close() {
        shapes.close();
    }
}
