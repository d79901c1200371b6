package org.warpbert.reference;

import static org.warpbert.reference.TorchTensors.linear;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * BERT in libtorch tensor operations, padded {@code [B, S]} with a key mask, gradients by autograd. Eval mode
 * unless {@link #dropout(double)} is set. Results come back packed, {@code [T, H]}, without padded rows.
 *
 * <p>Not thread-safe. Native memory: parameters and gradients live until {@link #close()}; what a call makes
 * is freed when it returns.
 */
@SuppressWarnings("try") // a PointerScope works by being open
public final class TorchBert implements AutoCloseable {
    /** What one forward gives: {@code lastHidden} [T, H]; {@code pooled} [B, H] and {@code logits} [B, C], or null. */
    public record Outputs(double[] lastHidden, double[] pooled, double[] logits) {}

    private final TorchBertConfig config;
    private final ScalarType dtype;
    private final Map<String, Tensor> parameters = new LinkedHashMap<>();
    private double dropout;
    private boolean fusedAttention;
    private ScalarType autocast;
    private double lossScale = 1;

    /**
     * @param values Hugging Face name to row-major values; the pooler, {@code classifier} and
     *               {@code cls.predictions} may be absent
     * @param dtype {@code Float} or {@code Double}
     */
    public TorchBert(TorchBertConfig config, Map<String, float[]> values, Map<String, long[]> shapes, ScalarType dtype) {
        this.config = config;
        this.dtype = dtype;
        values.forEach((name, data) -> {
            try (PointerScope scope = new PointerScope()) {
                Tensor leaf = TorchTensors.of(data, dtype, shapes.get(name)).requires_grad_(true);
                parameters.put(name, TorchTensors.keep(leaf));
            }
        });
    }

    /** Threads of libtorch's own operations, process-wide: 1 unless set here. OpenBLAS's threads are its own matter. */
    public static void threads(int count) {
        TorchTensors.threads(count);
    }

    /** Training mode with this probability at every site of Hugging Face's BERT; 0 is eval mode. */
    public TorchBert dropout(double probability) {
        dropout = probability;
        return this;
    }

    /** Attention by {@code scaled_dot_product_attention} rather than by matmul, softmax, matmul. */
    public TorchBert fusedAttention(boolean fused) {
        fusedAttention = fused;
        return this;
    }

    /**
     * Forwards under {@code torch.autocast} on the CPU, as a training script has it: products in 16 bits, parameters float32.
     *
     * @param scale what the loss is multiplied by for the backward, and gradients divided by after it
     */
    public TorchBert autocast(ScalarType to, double scale) {
        autocast = to;
        lossScale = scale;
        return this;
    }

    public Outputs forward(TorchBatch batch) {
        return scoped(false, () -> {
            Tensor hidden = hidden(batch);
            Tensor pooled = has("pooler.dense.weight") ? pooled(hidden) : null;
            return new Outputs(TorchTensors.doubles(packed(hidden, batch)),
                    pooled == null ? null : TorchTensors.doubles(pooled),
                    has("classifier.weight") ? TorchTensors.doubles(logits(hidden)) : null);
        });
    }

    /** The packed hidden states [T, H] behind so many layers; 0: the embeddings'. */
    public double[] hiddenState(TorchBatch batch, int layers) {
        return scoped(false, () -> TorchTensors.doubles(packed(hidden(batch, layers), batch)));
    }

    /** The attention probabilities [A, S, S] of a layer, 0 the first, for a batch of one sequence. */
    public double[] attention(TorchBatch batch, int layer) {
        return scoped(false, () -> {
            Tensor x = hidden(batch, layer);
            String name = "encoder.layer." + layer + ".attention.self";
            Tensor q = heads(dense(x, name + ".query"));
            Tensor k = heads(dense(x, name + ".key"));
            return TorchTensors.doubles(torch.softmax(torch.matmul(q, k.transpose(2, 3)).mul(new Scalar(1 / Math.sqrt(q.size(3)))), -1));
        });
    }

    /** The first token's last hidden state [H]; all of the batch is computed, and no more of it copied. */
    public double[] firstState(TorchBatch batch) {
        return scoped(false, () -> TorchTensors.doubles(hidden(batch).select(0, 0).select(0, 0)));
    }

    /** Vocabulary logits [rows, V] of the masked language model at packed rows. */
    public double[] mlmLogits(TorchBatch batch, int[] rows) {
        return scoped(false, () -> TorchTensors.doubles(mlm(hidden(batch), batch, rows)));
    }

    /** Class logits [rows, C] of tokens at packed rows: {@code classifier} on the encoder's output, without a pooler. */
    public double[] tokenLogits(TorchBatch batch, int[] rows) {
        return scoped(false, () -> TorchTensors.doubles(tokens(hidden(batch), batch, rows)));
    }

    /** The classification loss; no gradient. */
    public double loss(TorchBatch batch, int[] labels, TorchLoss loss) {
        return scoped(false, () -> loss.of(logits(hidden(batch)), labels).item_double());
    }

    /** The masked language model's mean loss over packed rows; no gradient. */
    public double mlmLoss(TorchBatch batch, int[] rows, int[] labels) {
        return scoped(false, () -> TorchLoss.MEAN.of(mlm(hidden(batch), batch, rows), labels).item_double());
    }

    /** The mean loss of tokens at packed rows; no gradient. */
    public double tokenLoss(TorchBatch batch, int[] rows, int[] labels) {
        return scoped(false, () -> TorchLoss.MEAN.of(tokens(hidden(batch), batch, rows), labels).item_double());
    }

    /** The classification loss; gradients of every parameter are replaced by its own. */
    public double backward(TorchBatch batch, int[] labels, TorchLoss loss) {
        return backward(() -> loss.of(logits(hidden(batch)), labels));
    }

    /**
     * The mean over all class logits [B, C] whose target is a number: of (logit - target)^2, or of the cross-entropy of
     * sigmoid(logit) and target. Gradients as in {@link #backward}.
     */
    public double backwardEach(TorchBatch batch, float[] targets, boolean binary) {
        return backward(() -> {
            Tensor logits = logits(hidden(batch));
            Tensor target = TorchTensors.of(targets, logits.scalar_type(), logits.shape());
            Tensor known = target.isnan().logical_not();
            Tensor x = logits.masked_select(known);
            Tensor t = target.masked_select(known);
            return binary ? torch.binary_cross_entropy_with_logits(x, t) : torch.mse_loss(x, t);
        });
    }

    /** The masked language model's mean loss over packed rows; gradients as in {@link #backward}. */
    public double backwardMlm(TorchBatch batch, int[] rows, int[] labels) {
        return backward(() -> TorchLoss.MEAN.of(mlm(hidden(batch), batch, rows), labels));
    }

    /** The masked language model's mean loss plus that of the relations (0 or 1) of all sequences; gradients as in {@link #backward}. */
    public double backwardPretraining(TorchBatch batch, int[] rows, int[] labels, int[] relations) {
        return backward(() -> {
            Tensor hidden = hidden(batch);
            return TorchLoss.MEAN.of(mlm(hidden, batch, rows), labels).add(TorchLoss.MEAN.of(dense(pooled(hidden), "cls.seq_relationship"), relations));
        });
    }

    /** The mean loss of tokens at packed rows; gradients as in {@link #backward}. */
    public double backwardTokens(TorchBatch batch, int[] rows, int[] labels) {
        return backward(() -> TorchLoss.MEAN.of(tokens(hidden(batch), batch, rows), labels));
    }

    /** The mean of the known ends' cross-entropies: labels are [B, 2], rows of each sequence; gradients as in {@link #backward}. */
    public double backwardSpan(TorchBatch batch, int[] labels) {
        return backward(() -> {
            Tensor logits = dense(hidden(batch), "qa_outputs");                    // [B, S, 2]
            Tensor sum = null;
            int known = 0;
            for (int b = 0; b < batch.size(); b++) {
                int[] ends = {labels[2 * b], labels[2 * b + 1]};
                if (ends[0] != TorchLoss.MEAN.ignoreIndex()) {
                    Tensor loss = TorchLoss.MEAN.of(logits.select(0, b).narrow(0, 0, batch.tokens()[b].length).transpose(0, 1), ends);
                    sum = sum == null ? loss : sum.add(loss);
                    known++;
                }
            }
            return sum.div(new Scalar((double) known));
        });
    }

    /** The logits of an answer's first and last token, [T, 2]. */
    public double[] spanLogits(TorchBatch batch) {
        return scoped(false, () -> TorchTensors.doubles(dense(packed(hidden(batch), batch), "qa_outputs")));
    }

    /** Mean cross-entropy over questions, whose candidates are sequences cuExamples[e] … cuExamples[e+1]-1; as in {@link #backward}. */
    public double backwardChoice(TorchBatch batch, int[] cuExamples, int[] labels) {
        return backward(() -> {
            Tensor scores = logits(hidden(batch));                                 // [B, 1]
            Tensor sum = null;
            int known = 0;
            for (int e = 0; e < labels.length; e++) {
                if (labels[e] != TorchLoss.MEAN.ignoreIndex()) {
                    Tensor loss = TorchLoss.MEAN.of(scores.narrow(0, cuExamples[e], cuExamples[e + 1] - cuExamples[e]).reshape(1, -1), new int[] {labels[e]});
                    sum = sum == null ? loss : sum.add(loss);
                    known++;
                }
            }
            return sum.div(new Scalar((double) known));
        });
    }

    /** sum(lastHidden * upstream), so that {@code upstream} [T, H] is the gradient that enters the encoder's end. */
    public double backwardHidden(TorchBatch batch, double[] upstream) {
        return backward(() -> packed(hidden(batch), batch)
                .mul(TorchTensors.of(upstream, dtype, batch.realTokens(), config.hiddenSize())).sum());
    }

    /** Gradient of the last backward; zeros if the loss does not depend on the parameter. */
    public float[] gradient(String name) {
        return scoped(false, () -> {
            Tensor gradient = parameter(name).grad();
            return gradient.defined() ? TorchTensors.floats(gradient) : new float[(int) parameter(name).numel()];
        });
    }

    /** {@link #gradient} without rounding to float. */
    public double[] gradient64(String name) {
        return scoped(false, () -> {
            Tensor gradient = parameter(name).grad();
            return gradient.defined() ? TorchTensors.doubles(gradient) : new double[(int) parameter(name).numel()];
        });
    }

    /** The norm over all gradients together, before any clipping. */
    public double gradientNorm() {
        return scoped(false, () -> torch.clip_grad_norm_(withGradient(), Double.POSITIVE_INFINITY));
    }

    /** The parameter's present values, row-major. */
    public float[] values(String name) {
        return scoped(false, () -> TorchTensors.floats(parameter(name)));
    }

    /** Adds {@code delta} to one element, for finite differences. */
    public void nudge(String name, long index, double delta) {
        scoped(false, () -> parameter(name).view(-1).narrow(0, index, 1).add_(new Scalar(delta)));
    }

    public Set<String> names() {
        return parameters.keySet();
    }

    @Override
    public void close() {
        parameters.values().forEach(Tensor::close);
        parameters.clear();
    }

    Tensor parameter(String name) {
        Tensor tensor = parameters.get(name);
        if (tensor == null) {
            throw new IllegalArgumentException("no parameter " + name);
        }
        return tensor;
    }

    /** Parameters that have a gradient, as clipping and AdamW see them. */
    TensorVector withGradient() {
        return new TensorVector(parameters.values().stream().filter(p -> p.grad().defined()).toArray(Tensor[]::new));
    }

    private double backward(Supplier<Tensor> loss) {
        return scoped(true, () -> {
            parameters.values().forEach(p -> p.mutable_grad().reset());
            Tensor scalar = autocast == null ? loss.get() : autocast(loss);
            scalar.mul(new Scalar(lossScale)).backward();
            parameters.values().stream().filter(p -> p.grad().defined()).forEach(p -> p.grad().div_(new Scalar(lossScale)));
            return scalar.item_double();
        });
    }

    private Tensor autocast(Supplier<Tensor> loss) {
        torch.set_autocast_dtype(torch.DeviceType.CPU, autocast);
        torch.set_autocast_cache_enabled(false); // it would keep the casts beyond their PointerScope
        torch.set_autocast_enabled(torch.DeviceType.CPU, true);
        try {
            return loss.get();
        } finally {
            torch.set_autocast_enabled(torch.DeviceType.CPU, false);
            torch.set_autocast_cache_enabled(true);
        }
    }

    private Tensor hidden(TorchBatch batch) {                                      // [B, S, H]
        return hidden(batch, config.layers());
    }

    private Tensor hidden(TorchBatch batch, int layers) {                          // [B, S, H]
        Tensor x = torch.embedding(parameter("embeddings.word_embeddings.weight"), batch.pad(batch.tokens()))
                .add(torch.embedding(parameter("embeddings.position_embeddings.weight"), batch.pad(batch.positions())))
                .add(torch.embedding(parameter("embeddings.token_type_embeddings.weight"), batch.pad(batch.segments())));
        x = drop(norm(x, "embeddings.LayerNorm"));
        Tensor mask = batch.keyMask();
        Tensor padded = mask.logical_not();
        for (int i = 0; i < layers; i++) {
            Tensor input = x;
            String layer = "encoder.layer." + i;
            x = TorchTensors.returned(() -> layer(input, layer, mask, padded));
        }
        return x;
    }

    private Tensor layer(Tensor input, String layer, Tensor mask, Tensor padded) { // [B, S, H]
        Tensor context = attention(input, layer + ".attention.self", mask, padded);
        Tensor x = norm(input.add(drop(dense(context, layer + ".attention.output.dense"))),
                layer + ".attention.output.LayerNorm");
        Tensor inner = TorchTensors.activate(config.activation(), dense(x, layer + ".intermediate.dense")); // [B, S, I]
        return norm(x.add(drop(dense(inner, layer + ".output.dense"))), layer + ".output.LayerNorm");
    }

    private Tensor attention(Tensor x, String name, Tensor mask, Tensor padded) {
        Tensor q = heads(dense(x, name + ".query"));                               // [B, A, S, D]
        Tensor k = heads(dense(x, name + ".key"));
        Tensor v = heads(dense(x, name + ".value"));
        Tensor context;
        if (fusedAttention) {
            context = torch.scaled_dot_product_attention(q, k, v, TorchTensors.optional(mask), dropout, false,
                    new DoubleOptional(), false);
        } else {
            Tensor scores = torch.matmul(q, k.transpose(2, 3)).mul(new Scalar(1 / Math.sqrt(q.size(3)))); // [B, A, S, S]
            context = torch.matmul(drop(torch.softmax(scores.masked_fill(padded, new Scalar(Double.NEGATIVE_INFINITY)), -1)), v);
        }
        return context.transpose(1, 2).reshape(x.size(0), x.size(1), config.hiddenSize());
    }

    private Tensor heads(Tensor x) {
        return x.view(x.size(0), x.size(1), config.heads(), config.hiddenSize() / config.heads()).transpose(1, 2);
    }

    private Tensor pooled(Tensor hidden) {                                         // [B, H]
        return torch.tanh(dense(hidden.select(1, 0), "pooler.dense"));
    }

    private Tensor logits(Tensor hidden) {                                         // [B, C]
        return dense(drop(pooled(hidden)), "classifier");
    }

    private Tensor tokens(Tensor hidden, TorchBatch batch, int[] rows) {           // [rows, C]
        return dense(drop(torch.index_select(packed(hidden, batch), 0, TorchTensors.of(rows, rows.length))), "classifier");
    }

    private Tensor mlm(Tensor hidden, TorchBatch batch, int[] rows) {              // [rows, V]
        Tensor x = torch.index_select(packed(hidden, batch), 0, TorchTensors.of(rows, rows.length));
        x = TorchTensors.activate(config.activation(), dense(x, "cls.predictions.transform.dense"));
        x = norm(x, "cls.predictions.transform.LayerNorm");
        return linear(x, parameter("embeddings.word_embeddings.weight"), parameter("cls.predictions.bias"));
    }

    private Tensor packed(Tensor hidden, TorchBatch batch) {                       // [T, H]
        int[] rows = batch.packedRows();
        return torch.index_select(hidden.reshape(-1, config.hiddenSize()), 0, TorchTensors.of(rows, rows.length));
    }

    private Tensor dense(Tensor x, String name) {
        return linear(x, parameter(name + ".weight"), parameter(name + ".bias"));
    }

    private Tensor norm(Tensor x, String name) {
        return TorchTensors.layerNorm(x, parameter(name + ".weight"), parameter(name + ".bias"), config.layerNormEps());
    }

    private Tensor drop(Tensor x) {
        return dropout == 0 ? x : torch.dropout(x, dropout, true);
    }

    private boolean has(String name) {
        return parameters.containsKey(name);
    }

    /** Runs {@code body} with its native tensors freed after it, recording for autograd or not. */
    private static <R> R scoped(boolean autograd, Supplier<R> body) {
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = autograd ? null : new NoGradGuard()) {
            return body.get();
        }
    }
}
