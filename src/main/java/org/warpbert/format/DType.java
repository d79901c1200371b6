package org.warpbert.format;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import org.warpbert.backend.Dtype;

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
            case F64 -> {
                while (src.hasRemaining()) dst.put((float) src.getDouble());
            }
            case F32, F16, BF16 -> Dtype.valueOf(name()).toFloats(src, dst);
        }
    }
}
