package org.warpbert.backend;

import java.util.Locale;
import java.util.stream.Collectors;
import org.warpbert.WarpBertException;

/** What a model is to compute in. Weights that are trained, their gradients and moments are float32 in every precision. */
public enum Precision {
    /** The fastest that loses nothing to speak of: bf16 on CUDA, f32 elsewhere. */
    AUTO(null),
    F32(Dtype.F32),
    BF16(Dtype.BF16),
    /** Trained with dynamic loss scaling. */
    FP16(Dtype.F16);

    private final Dtype dtype;

    Precision(Dtype dtype) {
        this.dtype = dtype;
    }

    /** This precision on a device, AUTO decided; one that the device lacks is an error. */
    public Precision on(Backend backend) {
        if (this == AUTO) {
            return backend.name().equals("cuda") ? BF16 : F32;
        }
        if (!backend.types().contains(dtype)) {
            throw new WarpBertException("the precision " + this + " (--precision) is not to be had on " + backend.name() + ", which computes in "
                    + backend.types().stream().map(type -> of(type).toString()).collect(Collectors.joining(", ")));
        }
        return this;
    }

    private static Precision of(Dtype type) {
        return switch (type) {
            case F32 -> F32;
            case BF16 -> BF16;
            case F16 -> FP16;
        };
    }

    /** Of activations and products. AUTO has none: see {@link #on}. */
    public Dtype dtype() {
        return dtype;
    }

    /** As the command line has it. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
