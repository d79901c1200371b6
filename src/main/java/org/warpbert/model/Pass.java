package org.warpbert.model;

import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Dtype;

/**
 * What all layers and the head of one pass over one batch share. Reused from step to step, so that a pass allocates
 * nothing.
 */
public final class Pass {
    final Backend backend;
    final BertConfig config;
    final Activations activations;
    final OutputRows outputRows;
    DeviceBatch batch;
    boolean accumulate;

    Pass(Backend backend, BertConfig config, Activations activations, OutputRows outputRows) {
        this.backend = backend;
        this.config = config;
        this.activations = activations;
        this.outputRows = outputRows;
    }

    public Backend backend() {
        return backend;
    }

    public BertConfig config() {
        return config;
    }

    public Dtype dtype() {
        return activations.dtype;
    }

    /** Whether the forward drops out and saves for a backward. */
    public boolean training() {
        return activations.training;
    }

    /** T, tokens of the batch. */
    public int tokens() {
        return batch.tokenCount();
    }

    /** Rows that the encoder computes: the batch's tokens, and filler behind them. */
    int encoderTokens() {
        return batch.shape().tokens();
    }

    /** B, sequences of the batch. */
    public int sequences() {
        return batch.sequenceCount();
    }

    /** E, examples of the batch. */
    public int examples() {
        return batch.exampleCount();
    }

    /** M, tokens of the batch that have a label of their own. */
    public int labelled() {
        return batch.labelledCount();
    }

    /** Address of the examples' labels, [E, w]: int32, or floats for tasks whose labels are. */
    public long labels() {
        return batch.labels();
    }

    /** Address of int32[E + 1], where each example's sequences begin. */
    public long cuExamples() {
        return batch.cuExamples();
    }

    /** Address of int32[B + 1], where each sequence's rows begin. */
    public long cuSeqlens() {
        return batch.cuSeqlens();
    }

    /** Address of int32[M], their classes. */
    public long tokenLabels() {
        return batch.tokenLabels();
    }

    /** R, rows of the encoder's output that the head reads. */
    public int outputRows() {
        return outputRows.count(tokens(), labelled(), sequences());
    }

    /** Address of the encoder's output, [R, H]: those of its rows that {@link Head#outputRows} says. */
    public long lastHiddenState() {
        return activations.lastHiddenState().address();
    }

    /** Address where a head's backward writes the gradient of {@link #lastHiddenState}, [R, H]. */
    public long lastHiddenStateGradient() {
        return activations.backward.gradient().address();
    }

    /** Address of the rows of the sequences' first tokens in {@link #lastHiddenState}, [B, H]; they are the last that are read. */
    public long firstTokens() {
        return lastHiddenState() + beforeFirstTokens();
    }

    /** Address of the gradient of {@link #firstTokens}, [B, H]. */
    public long firstTokensGradient() {
        return lastHiddenStateGradient() + beforeFirstTokens();
    }

    private long beforeFirstTokens() {
        return (long) (outputRows() - sequences()) * config.hiddenSize() * dtype().bytes();
    }

    /** Whether the layer goes on behind its attention with the rows that the head reads, and no others. */
    boolean selects(int layer) {
        return activations.selected != null && layer == activations.layers.length - 1;
    }

    /** Rows of the layer behind its attention, filler counted: all that the encoder computes, or those selected. */
    int rows(int layer) {
        return selects(layer) ? batch.shape().selected() : encoderTokens();
    }

    /** First tokens of each sequence that ask in the layer's attention: the very first where no other's answer is read, else all. */
    int queries(int layer) {
        return selects(layer) && outputRows == OutputRows.FIRST ? 1 : batch.shape().longest();
    }

    /** {@link #dropoutRows} of {@link #rows}. */
    long dropoutRows(int layer) {
        return training() && selects(layer) ? batch.selectedDropoutRows() : dropoutRows();
    }

    /** rows [R, H] = those of x [T, H] that are selected. */
    void select(long rows, long x) {
        backend.gatherRowsForward(dtype(), rows, x, batch.selectedRows(), batch.shape().selected(), encoderTokens(), config.hiddenSize());
    }

    /** dx [T, H] = the gradient of {@link #select}'s x: that of its rows, and 0. */
    void selectBackward(long dx, long dRows) {
        backend.gatherRowsBackward(dtype(), dx, dRows, batch.selectedRows(), batch.shape().selected(), encoderTokens(), config.hiddenSize());
    }

    /** Address of the reductions' scratch. */
    public long workspace() {
        return activations.backward.workspace().address();
    }

    /** Whether matrices' gradients are added to (a later micro-batch) or written (the first of a step). */
    public boolean accumulate() {
        return accumulate;
    }

    /** Address of int64[2] {seed, step} of the dropout masks; 0 outside training. */
    public long rng() {
        return training() ? batch.rng() : 0;
    }

    /** Address of int32[encoder's tokens]: which row of the effective batch each row is, for its masks; 0 outside training. */
    long dropoutRows() {
        return training() ? batch.dropoutRows() : 0;
    }

    /** As {@link #dropoutRows}, for tensors of a row for each sequence, [B]. */
    public long sequenceDropoutRows() {
        return training() ? batch.sequenceDropoutRows() : 0;
    }

    /** As {@link #dropoutRows}, for tensors of a row for each that the head reads, [R]. */
    public long outputDropoutRows() {
        return dropoutRows(config.numHiddenLayers() - 1);
    }

    /** Dropout after embeddings and sublayers; 0 outside training. */
    float hiddenDropout() {
        return training() ? (float) config.hiddenDropoutProb() : 0;
    }

    float attentionDropout() {
        return training() ? (float) config.attentionProbsDropoutProb() : 0;
    }

    /** Dropout before a head; 0 outside training. */
    public float headDropout() {
        return training() ? (float) config.headDropoutProb() : 0;
    }

    /** y[rows, out] = x[rows, in] · matrix[out, in]^T, for a matrix of a layer's {@code weights}. */
    void multiply(LayerAddresses weights, long y, long x, long matrix, int rows, int in, int out) {
        if (weights.packed()) {
            backend.gemm().forwardPacked(dtype(), y, x, matrix, rows, in, out);
        } else {
            backend.gemm().forward(dtype(), y, x, matrix, rows, in, out);
        }
    }

    /** As {@link #multiply}, a bias [out] added. */
    void multiplyAndAdd(LayerAddresses weights, long y, long x, long matrix, long bias, int rows, int in, int out) {
        if (weights.packed()) {
            multiply(weights, y, x, matrix, rows, in, out);
            backend.biasActivationForward(dtype(), y, y, bias, Activation.IDENTITY, rows, out);
        } else {
            backend.gemm().forwardBias(dtype(), y, x, matrix, bias, rows, in, out);
        }
    }

    float eps() {
        return (float) config.layerNormEps();
    }

    /** Numbers of the dropout places: embeddings 0, three for each layer, then the head. */
    static int site(int layer, int place) {
        return 1 + 3 * layer + place;
    }

    /** Number of the head's dropout place. */
    public int headSite() {
        return site(config.numHiddenLayers(), 0);
    }
}
