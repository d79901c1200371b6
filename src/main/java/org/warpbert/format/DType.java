package org.warpbert.format;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;

/** Floating-point element types of model files, and their exact (F64: nearest) conversion to float32. */
enum DType {
    F32(4), F16(2), BF16(2), F64(8);

    /** Bytes to an element. */
    final int size;

    DType(int size) {
        this.size = size;
    }

    /** Converts all of {@code src} (little-endian) to floats at {@code dst}'s position, and advances it. */
    void toFloat(ByteBuffer src, FloatBuffer dst) {
        switch (this) {
            case F32 -> dst.put(src.asFloatBuffer());
            case F64 -> {
                while (src.hasRemaining()) dst.put((float) src.getDouble());
            }
            case BF16 -> {
                while (src.hasRemaining()) dst.put(Float.intBitsToFloat(src.getShort() << 16));
            }
            case F16 -> {
                while (src.hasRemaining()) dst.put(halfToFloat(src.getShort()));
            }
        }
    }

    /** IEEE binary16 to binary32: every half, subnormals, infinities and NaN payloads included, has its exact float. */
    static float halfToFloat(short half) {
        int sign = (half & 0x8000) << 16;
        int exponent = half >>> 10 & 0x1f;
        int mantissa = half & 0x3ff;
        if (exponent == 31) return Float.intBitsToFloat(sign | 0x7f800000 | mantissa << 13);
        if (exponent == 0) return Math.copySign(mantissa * 0x1p-24f, Float.intBitsToFloat(sign));
        return Float.intBitsToFloat(sign | exponent + 112 << 23 | mantissa << 13); // 112 = bias 127 - bias 15
    }
}
