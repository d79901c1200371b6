package org.warpbert.backend;

import java.util.List;
import org.warpbert.WarpBertException;

/** Element-wise functions after a bias; the ordinals are {@code wb_activation}'s numbers. */
public enum Activation {
    IDENTITY("linear"),
    /** x * Phi(x), by erf. */
    GELU("gelu"),
    /** GELU's tanh approximation (Hendrycks and Gimpel 2016), which goes by two names in Hugging Face configurations. */
    GELU_TANH("gelu_new", "gelu_pytorch_tanh"),
    RELU("relu"),
    TANH("tanh");

    private final List<String> names;

    Activation(String... names) {
        this.names = List.of(names);
    }

    /** The name that a {@code config.json} gives it. */
    public String configName() {
        return names.get(0);
    }

    /** The function that a Hugging Face {@code hidden_act} names; an unknown one is an error that lists the known. */
    public static Activation of(String hiddenAct) {
        for (Activation activation : values()) {
            if (activation.names.contains(hiddenAct)) {
                return activation;
            }
        }
        throw new WarpBertException("hidden_act '" + hiddenAct + "' is not supported; use gelu, gelu_new, gelu_pytorch_tanh, relu or tanh.");
    }
}
