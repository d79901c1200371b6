package org.warpbert.task;

import org.warpbert.model.Pass;

/**
 * A loss of each logit by itself, against floats whose bits are the labels (NaN: none); the mean is over all that have one, as
 * PyTorch has it.
 */
enum ElementLoss implements LogitLoss {
    /** (logit - target)^2. */
    SQUARED_ERROR {
        @Override
        public void compute(Pass pass, long losses, long gradient, long logits, float gradientScale, int classes) {
            pass.backend().meanSquaredError(pass.dtype(), losses, gradient, logits, pass.labels(), gradientScale, pass.sequences(), classes);
        }
    },
    /** A yes (1) or no (0) for each class, by the logit's sigmoid. */
    BINARY_CROSS_ENTROPY {
        @Override
        public void compute(Pass pass, long losses, long gradient, long logits, float gradientScale, int classes) {
            pass.backend().binaryCrossEntropy(pass.dtype(), losses, gradient, logits, pass.labels(), 0, gradientScale, pass.sequences(), classes);
        }
    };

    @Override
    public int width(int classes) {
        return classes;
    }

    @Override
    public double normaliser(int[] labels) {
        int labelled = 0;
        for (int bits : labels) {
            labelled += Float.isNaN(Float.intBitsToFloat(bits)) ? 0 : 1;
        }
        return labelled;
    }
}
