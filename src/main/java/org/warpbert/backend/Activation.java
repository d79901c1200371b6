package org.warpbert.backend;

import org.warpbert.WarpBertException;

/** Element-wise functions after a bias; the ordinals are {@code wb_activation}'s numbers. */
public enum Activation {
    IDENTITY,
    GELU,
    GELU_TANH,
    RELU,
    TANH;

    /** The function that a Hugging Face {@code hidden_act} names. */
    public static Activation of(String hiddenAct) {
        return switch (hiddenAct) {
            case "gelu" -> GELU;
            case "gelu_new", "gelu_pytorch_tanh" -> GELU_TANH;
            case "relu" -> RELU;
            case "tanh" -> TANH;
            default -> throw new WarpBertException("hidden_act \"" + hiddenAct
                    + "\" is not known; there are gelu, gelu_new, gelu_pytorch_tanh, relu and tanh");
        };
    }
}
