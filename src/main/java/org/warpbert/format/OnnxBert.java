package org.warpbert.format;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.warpbert.WarpBertException;
import org.warpbert.format.OnnxInitializers.Node;
import org.warpbert.model.BertConfig;
import org.warpbert.backend.Activation;

/**
 * Finds a BERT in an ONNX graph. The exporter folds the transposition of a linear layer into its weight and drops
 * the name ({@code onnx::MatMul_885}), but the node that uses it keeps the layer's; sizes that no tensor shows
 * (heads, epsilon, activation) are read off the graph too.
 */
final class OnnxBert {
    private final OnnxInitializers model;

    OnnxBert(OnnxInitializers model) {
        this.model = model;
    }

    /** The tensors under canonical names. */
    RenamedTensors tensors() {
        Map<String, String> weightOf = new HashMap<>(); // initialiser, canonical name
        for (Node node : model.nodes())
            if (node.op().equals("MatMul") && node.inputs().size() == 2 && model.contains(node.inputs().get(1)))
                weightOf.put(node.inputs().get(1), TensorNames.fromOnnxMatMul(node.name()));
        RenamedTensors tensors = new RenamedTensors(model);
        for (String name : model.shapes().keySet()) {
            String weight = weightOf.get(name);
            // a MatMul multiplies by [in, out]; a weight that kept its own name stands as Hugging Face's [out, in]
            if (weight != null && !TensorNames.isEncoder(TensorNames.fromHuggingFace(name))) tensors.add(weight, name, true);
            else if (TensorNames.fromHuggingFace(name) != null && !name.startsWith("onnx::")) tensors.add(TensorNames.fromHuggingFace(name), name, false);
        }
        return tensors;
    }

    /** The configuration, from tensor shapes and the graph. */
    BertConfig config(TensorSource tensors) {
        long hidden = tensors.shape("embeddings.word_embeddings.weight")[1];
        return ConfigFromShapes.derive(tensors, heads((int) hidden), activation(), epsilon());
    }

    /** Heads from the shape that splits query, key or value: [batch, length, heads, head size]. */
    private int heads(int hidden) {
        Map<String, Node> producer = new HashMap<>();
        for (Node node : model.nodes()) for (String output : node.outputs()) producer.put(output, node);
        for (Node node : model.nodes()) {
            if (!node.op().equals("Reshape") || !node.name().contains("attention/self") || node.inputs().size() < 2) continue;
            List<Long> shape = constants(node.inputs().get(1), producer);
            if (shape.size() < 3) continue;
            Long heads = shape.get(shape.size() - 2);
            Long size = shape.get(shape.size() - 1);
            if (size == null || size <= 0 || hidden % size != 0) continue;
            if (heads == null || heads == -1 || heads * size == hidden) return (int) (hidden / size);
        }
        throw new WarpBertException("Cannot find the number of attention heads in the graph of " + model.location() + "; put the model's config.json beside it.");
    }

    /** A vector of sizes: a constant, or constants joined; null for a size known only at run time. */
    private List<Long> constants(String name, Map<String, Node> producer) {
        List<Long> values = new ArrayList<>();
        long[] known = model.integers(name);
        Node node = producer.get(name);
        if (known != null) for (long value : known) values.add(value);
        else if (node != null && node.op().equals("Concat")) for (String input : node.inputs()) values.addAll(constants(input, producer));
        else values.add(null);
        return values;
    }

    private Activation activation() {
        for (Node node : model.nodes()) {
            if (!node.name().contains("intermediate")) continue;
            switch (node.op()) {
                case "Erf", "Gelu" -> {
                    return Activation.GELU;
                }
                case "Tanh" -> {
                    return Activation.GELU_TANH;
                }
                case "Relu" -> {
                    return Activation.RELU;
                }
                default -> { }
            }
        }
        throw new WarpBertException("Cannot find the activation function in the graph of " + model.location() + "; put the model's config.json beside it.");
    }

    /** Epsilon from a LayerNormalization node, or what is added to the variance where LayerNorm is spelt out. */
    private double epsilon() {
        for (Node node : model.nodes()) {
            if (!node.name().contains("embeddings/LayerNorm")) continue;
            float epsilon = node.epsilon();
            if (node.op().equals("Add"))
                for (String input : node.inputs()) if (!Float.isNaN(model.scalar(input))) epsilon = model.scalar(input);
            if (!Float.isNaN(epsilon)) return Double.parseDouble(Float.toString(epsilon)); // 1e-12, not the float's 15 digits more
        }
        throw new WarpBertException("Cannot find the epsilon of LayerNorm in the graph of " + model.location() + "; put the model's config.json beside it.");
    }
}
