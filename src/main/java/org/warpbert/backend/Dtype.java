package org.warpbert.backend;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.Locale;

/** Element types of activations and weights; the ordinals are {@code wb_dtype}'s numbers. */
public enum Dtype {
    F32(4),
    F16(2),
    BF16(2);

    private final int bytes;

    Dtype(int bytes) {
        this.bytes = bytes;
    }

    /** As options and files name it: f32, f16, bf16. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Size of one element. */
    public int bytes() {
        return bytes;
    }

    /** Converts all that remains of {@code source} (little-endian), exactly, to floats at {@code target}'s position. */
    public void toFloats(ByteBuffer source, FloatBuffer target) {
        switch (this) {
            case F32 -> target.put(source.asFloatBuffer());
            case BF16 -> {
                while (source.hasRemaining()) {
                    target.put(Float.intBitsToFloat(source.getShort() << 16));
                }
            }
            case F16 -> {
                while (source.hasRemaining()) {
                    target.put(halfToFloat(source.getShort()));
                }
            }
        }
    }

    /** IEEE binary16 to binary32: every half, subnormals, infinities and NaN payloads included, has its exact float. */
    static float halfToFloat(short half) {
        int sign = (half & 0x8000) << 16;
        int exponent = half >>> 10 & 0x1f;
        int mantissa = half & 0x3ff;
        if (exponent == 31) {
            return Float.intBitsToFloat(sign | 0x7f800000 | mantissa << 13);
        }
        if (exponent == 0) {
            return Math.copySign(mantissa * 0x1p-24f, Float.intBitsToFloat(sign));
        }
        return Float.intBitsToFloat(sign | exponent + 112 << 23 | mantissa << 13); // 112 = bias 127 - bias 15
    }
}
