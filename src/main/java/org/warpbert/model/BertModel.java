package org.warpbert.model;

import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.memory.Arena;
import org.warpbert.memory.MemoryPlan;
import org.warpbert.memory.Recompute;
import org.warpbert.text.Capacity;
import org.warpbert.text.PackedBatch;

/**
 * BERT's encoder with a head, over packed batches up to a capacity, forward and backward by
 * hand. Everything it needs is allocated when it is made; a pass allocates nothing. Several models may share one
 * {@link Parameters}: one to train, one to evaluate. A GPU is asked for the encoder's ops one by one while a shape of batch is
 * new, and as one graph, of a forward or of a backward, where it comes back.
 */
public final class BertModel implements AutoCloseable {
    private final BertConfig config;
    private final Parameters parameters;
    private final Gradients gradients;
    private final Head head;
    private final Arena arena;
    private final DeviceBatch batch;
    private final boolean whole;
    private final Pass pass;
    private final Embeddings embeddings;
    private final LayerAddresses[] layers;
    private final LayerAddresses[] layerGradients;
    private final Recomputation recomputation;
    private final GraphCache graphs; // null where there are none
    private final Runnable encode = this::encode;
    private final Runnable learn = this::learn;
    private LayerObserver observer;

    /**
     * A model whose forward saves everything for the backward.
     *
     * @param gradients where a backward puts the parameters' gradients, or null: a model for inference, without
     *                  dropout and with two layers' worth of activations
     */
    public BertModel(Backend backend, BertConfig config, Parameters parameters, Gradients gradients, Head head, Capacity capacity) {
        this(backend, config, parameters, gradients, head, (gradients == null ? PassPlan.inference(parameters.dtype())
                : PassPlan.training(parameters.dtype(), gradients.part().frozenLevels(), backend.name())).with(capacity, Recompute.NONE));
    }

    /**
     * A model made to a plan.
     *
     * @param gradients where a backward puts the parameters' gradients, or null where the plan is not for training
     */
    public BertModel(Backend backend, BertConfig config, Parameters parameters, Gradients gradients, Head head, PassPlan plan) {
        boolean training = plan.training();
        if (training && plan.frozenLevels() != gradients.part().frozenLevels()) {
            throw new WarpBertException("a plan of " + plan.frozenLevels() + " frozen levels is not for gradients of " + gradients.part().frozenLevels());
        }
        this.config = config;
        this.parameters = parameters;
        this.gradients = gradients;
        this.head = head;
        this.whole = plan.whole();
        ParameterBuffers buffers = parameters.buffers(training ? gradients : null);
        this.arena = new Arena(training ? "activations for training" : "activations for inference");
        OutputRows rows = head.outputRows();
        Activations activations = new Activations(arena, config, plan, rows);
        head.plan(arena, config, plan);
        this.arena.allocate(backend, training ? gradients.loan() : null);
        try {
            this.batch = new DeviceBatch(backend, plan.capacity(), plan.filled(), rows);
        } catch (RuntimeException | Error e) {
            arena.close();
            throw e;
        }
        this.pass = new Pass(backend, config, activations, rows);
        pass.batch = batch;
        embeddings = new Embeddings(buffers);
        layers = new LayerAddresses[config.numHiddenLayers()];
        layerGradients = new LayerAddresses[config.numHiddenLayers()];
        for (int l = 0; l < layers.length; l++) {
            layers[l] = LayerAddresses.weights(buffers, l);
            layerGradients[l] = LayerAddresses.gradients(buffers, l);
        }
        recomputation = new Recomputation(pass, layers);
        graphs = backend.capturesGraphs() ? new GraphCache(backend, training) : null;
        head.bind(buffers);
    }

    /** Bytes that a model of this plan allocates on a kind of device. */
    public static long plannedBytes(BertConfig config, Head head, PassPlan plan, String device) {
        return memory(config, head, plan).on(device).bytes();
    }

    /** What a model of this plan allocates, part by part: layers, buffers that they share, the backward's, the head's. */
    public static MemoryPlan memory(BertConfig config, Head head, PassPlan plan) {
        return new MemoryPlan().add(table(config, head, plan), BertModel::part)
                .add("batch", DeviceBatch.bytes(plan.capacity(), plan.filled(), head.outputRows()))
                .addHost("batch", DeviceBatch.hostBytes(plan.capacity(), plan.filled(), head.outputRows()));
    }

    private static Arena table(BertConfig config, Head head, PassPlan plan) {
        Arena table = new Arena("plan");
        new Activations(table, config, plan, head.outputRows());
        head.plan(table, config, plan);
        return table;
    }

    /** A layer's tensors are a part, and those of one prefix are: layer.0.qkv's is layer.0, backward.wide's is backward. */
    private static String part(String tensor) {
        String[] names = tensor.split("\\.");
        return names[0].equals("layer") ? names[0] + "." + names[1] : names[0];
    }

    /**
     * Runs the encoder and head over a batch.
     *
     * @param seed of the dropout masks
     * @param step number of the optimizer step
     */
    public void forward(PackedBatch packed, long seed, long step) {
        requireOpen();
        requireInside("token", packed.tokens(), config.vocabSize());
        requireInside("position", packed.positions(), config.maxPositionEmbeddings());
        requireInside("segment", packed.segments(), config.typeVocabSize());
        batch.upload(packed, seed, step);
        if (observer != null) { // who looks on reads from the device
            encode();
        } else {
            run(GraphCache.Work.FORWARD, encode);
        }
        head.forward(pass); // in no graph: of few ops, and it keeps on the host what it saw
    }

    /** Weights and gradients are their owner's to close, but ops go on with the addresses that they had when the model was made. */
    private void requireOpen() {
        parameters.address();
        if (gradients != null) {
            gradients.address();
        }
    }

    private void run(GraphCache.Work work, Runnable ops) {
        if (graphs == null) {
            ops.run();
        } else {
            graphs.run(work, batch.shape(), ops);
        }
    }

    private void encode() {
        embeddings.forward(pass);
        seen(0, pass.activations.embeddings, null);
        for (int l = 0; l < layers.length; l++) {
            SelfAttention.forward(pass, l, layers[l], pass.activations.input(l));
            FeedForward.forward(pass, l, layers[l]);
            seen(l + 1, pass.activations.layers[l].output(), pass.activations.layers[l].qkv());
        }
    }

    private void seen(int layer, Arena.Tensor states, Arena.Tensor qkv) {
        if (observer != null) {
            observer.seen(layer, states, qkv);
        }
    }

    /** No op reads past an embedding table: what an index may be is known here. */
    private static void requireInside(String what, int[] values, int rows) {
        for (int t = 0; t < values.length; t++) {
            if (values[t] < 0 || values[t] >= rows) {
                throw new WarpBertException(what + " " + values[t] + " at token " + t + " of the batch is outside the model's " + rows + " " + what + " embeddings");
            }
        }
    }

    /** From now on, this one looks on while the forward runs; all rows of all layers, so a head that reads fewer is not for this. */
    public void observe(LayerObserver newObserver) {
        if (pass.outputRows != OutputRows.ALL) {
            throw new WarpBertException("a model whose head reads " + pass.outputRows + " rows computes no others for an observer to see");
        }
        observer = newObserver;
    }

    /** {@link #forward(PackedBatch, long, long)} for inference, where nothing is drawn. */
    public void forward(PackedBatch packed) {
        forward(packed, 0, 0);
    }

    /**
     * Runs losses and gradients of the batch last forwarded.
     *
     * @param gradientScales for each term of the head's loss, 1 / the effective batch's normaliser
     * @param accumulate     whether gradients are added to those of earlier micro-batches of this step
     */
    public void backward(float[] gradientScales, boolean accumulate) {
        if (accumulate && whole) {
            throw new WarpBertException("a model that is planned for whole batches cannot add to the gradients of a part");
        }
        requireOpen();
        if (!accumulate) {
            gradients.clear();
        }
        pass.accumulate = accumulate;
        head.backward(pass, gradientScales);
        if (pass.activations.lowest < layers.length) {
            clearFiller();
            run(accumulate ? GraphCache.Work.ADDING_BACKWARD : GraphCache.Work.BACKWARD, learn);
        }
    }

    /** The head has left the gradient of the rows that it read; what stands behind them teaches nothing. */
    private void clearFiller() {
        Arena.Tensor gradient = pass.activations.backward.gradient();
        long row = (long) config.hiddenSize() * pass.dtype().bytes();
        int read = pass.outputRows();
        int computed = pass.rows(layers.length - 1);
        if (computed > read) {
            pass.backend.zero(gradient.address() + read * row, (computed - read) * row);
        }
    }

    /** The encoder's backward. */
    private void learn() {
        boolean all = gradients.part().frozenLevels() == 0;
        int lowest = pass.activations.lowest; // below it nothing is learned: the backward ends there
        for (int l = layers.length - 1; l >= lowest; l--) {
            recomputation.feedForward(l);
            FeedForward.backward(pass, l, layers[l], layerGradients[l]);
            recomputation.attention(l);
            SelfAttention.backward(pass, l, layers[l], layerGradients[l], pass.activations.input(l), all || l > lowest);
        }
        if (all) {
            embeddings.backward(pass);
        }
    }

    /** Losses of the batch last forwarded, without gradients; the head has them. */
    public void evaluate() {
        requireOpen();
        head.evaluate(pass);
    }

    /** Graphs that are held: of the encoder's forward, or of its backward, for a shape of batch. */
    public int graphs() {
        return graphs == null ? 0 : graphs.size();
    }

    public BertConfig config() {
        return config;
    }

    public Parameters parameters() {
        return parameters;
    }

    /** The table of this model's activations. */
    public Arena arena() {
        return arena;
    }

    /** The encoder's output of the last forward, row-major [R, H]: those rows that the head reads. */
    public float[] lastHiddenState() {
        return pass.activations.lastHiddenState().downloadFloats(Math.multiplyExact(pass.outputRows(), config.hiddenSize()));
    }

    @Override
    public void close() {
        if (graphs != null) {
            graphs.close();
        }
        arena.close();
        batch.close();
    }
}
