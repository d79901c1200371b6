package org.warpbert.format;

import java.util.Map;

/**
 * One set of names for a BERT's tensors, whatever file they come from. Canonical names are Hugging Face's without
 * the {@code bert.} prefix ({@code encoder.layer.0.attention.self.query.weight}), and shapes are Hugging Face's: a
 * linear weight is [out, in].
 */
public final class TensorNames {
    /** The heads of Google's checkpoints, whose names follow no rule. */
    private static final Map<String, String> TF_TO_CANONICAL = Map.of(
            "cls/predictions/output_bias", "cls.predictions.bias",
            "cls/seq_relationship/output_weights", "cls.seq_relationship.weight",
            "cls/seq_relationship/output_bias", "cls.seq_relationship.bias",
            "cls/squad/output_weights", "qa_outputs.weight",
            "cls/squad/output_bias", "qa_outputs.bias",
            "output_weights", "classifier.weight",
            "output_bias", "classifier.bias");

    private TensorNames() {}

    /** Whether a canonical name is of the encoder (embeddings, layers, pooler), not of a head. */
    public static boolean isEncoder(String canonical) {
        return canonical.startsWith("embeddings.") || canonical.startsWith("encoder.") || canonical.startsWith("pooler.");
    }

    /**
     * The canonical name of a tensor in a Hugging Face file: no {@code bert.} prefix, no old LayerNorm names. Null
     * for what is no parameter ({@code position_ids}). Names that are not BERT's stay as they are.
     */
    public static String fromHuggingFace(String name) {
        String canonical = name.startsWith("bert.") ? name.substring(5) : name;
        if (canonical.equals("embeddings.position_ids") || canonical.equals("embeddings.token_type_ids")) return null;
        if (canonical.equals("cls.predictions.decoder.bias")) return "cls.predictions.bias";
        return canonical.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias");
    }

    /** The name in a Hugging Face file: bare in a plain {@code BertModel}, under {@code bert.} beside a head. */
    public static String toHuggingFace(String canonical, boolean besideHead) {
        return besideHead && isEncoder(canonical) ? "bert." + canonical : canonical;
    }

    /**
     * The canonical name of a variable of Google's BERT, whatever scope stands before {@code bert/} or {@code cls/}.
     * Null for what is no parameter (global step, Adam's moments, other networks).
     */
    public static String fromTensorFlow(String name) {
        if (name.endsWith("/adam_m") || name.endsWith("/adam_v") || name.endsWith("/.ATTRIBUTES/OBJECT_CONFIG_JSON")) return null;
        String local = afterScope(name);
        if (local == null) return TF_TO_CANONICAL.get(name);
        String head = TF_TO_CANONICAL.get(local);
        if (head != null) return head;
        return (local.startsWith("bert/") ? local.substring(5) : local)
                .replace("/layer_", "/layer/").replace('/', '.')
                .replaceFirst("^(embeddings\\.\\w+_embeddings)$", "$1.weight")
                .replaceFirst("\\.(kernel|gamma)$", ".weight").replaceFirst("\\.beta$", ".bias");
    }

    /** Whether a TensorFlow variable holds the transpose of the canonical tensor: kernels do, and nothing else. */
    public static boolean isTransposed(String tensorFlowName) {
        return tensorFlowName.endsWith("/kernel");
    }

    /**
     * The canonical name of the weight that a node of an ONNX graph multiplies by, from the node's scope:
     * {@code /encoder/layer.0/attention/self/query/MatMul} uses {@code encoder.layer.0.attention.self.query.weight}.
     */
    public static String fromOnnxMatMul(String node) {
        String scope = node.replaceFirst("/MatMul$", "").replaceFirst("^/", "");
        return fromHuggingFace(scope.replace('/', '.') + ".weight");
    }

    private static String afterScope(String name) {
        for (String root : new String[] {"bert/", "cls/"}) {
            if (name.startsWith(root)) return name;
            int at = name.indexOf("/" + root);
            if (at >= 0) return name.substring(at + 1);
        }
        return null;
    }
}
