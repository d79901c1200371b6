package org.warpbert.backend;

import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import org.warpbert.WarpBertException;

/** What a model is to compute in. Weights that are trained, their gradients and moments are float32 in every precision. */
public enum Precision {
    /** The fastest that loses nothing to speak of: bf16 on CUDA, f32 elsewhere. */
    AUTO(null),
    F32(Dtype.F32),
    /** On a CPU that has AVX512-BF16, products alone: they round their operands, and all that is stored stays float32. */
    BF16(Dtype.BF16),
    /** Trained with dynamic loss scaling. */
    FP16(Dtype.F16);

    private final Dtype dtype;

    Precision(Dtype dtype) {
        this.dtype = dtype;
    }

    /** This precision on a kind of device ("cpu", "cuda", "simt") that has some, AUTO decided; one that it lacks is an error. */
    Precision on(String kind, Set<Precision> had) {
        Precision decided = decided(kind);
        if (!had.contains(decided)) {
            throw new WarpBertException("the precision " + this + " (--precision) is not to be had on " + kind + ", which computes in "
                    + had.stream().map(Precision::toString).collect(Collectors.joining(", "))
                    + (this == BF16 ? ": bf16 takes a CPU with AVX512-BF16, and our own products for it (no WARPBERT_GEMM)" : ""));
        }
        return decided;
    }

    private Precision decided(String kind) {
        return this != AUTO ? this : kind.equals("cuda") ? BF16 : F32;
    }

    /**
     * Type of activations, and of weights as products read them, on a kind of device ("cpu", "cuda", "simt"), AUTO decided: on the
     * CPU always float32.
     */
    public Dtype dtype(String kind) {
        return kind.equals("cpu") ? Dtype.F32 : decided(kind).dtype;
    }

    /** As the command line has it. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
