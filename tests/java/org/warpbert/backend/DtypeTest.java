package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.junit.jupiter.api.Test;

class DtypeTest {
    private static int[] floatBits(Dtype dtype) {
        ByteBuffer all = ByteBuffer.allocate(2 << 16).order(ByteOrder.LITTLE_ENDIAN);
        for (int bits = 0; bits < 1 << 16; bits++) {
            all.putShort((short) bits);
        }
        float[] floats = new float[1 << 16];
        dtype.toFloats(all.flip(), FloatBuffer.wrap(floats));
        int[] result = new int[1 << 16];
        java.util.Arrays.setAll(result, i -> Float.floatToRawIntBits(floats[i]));
        return result;
    }

    /** Every one of the 65,536 halves against the definition of binary16, bit for bit. */
    @Test
    void everyHalfIsExact() {
        int[] actual = floatBits(Dtype.F16);
        for (int bits = 0; bits < 1 << 16; bits++) {
            int exponent = bits >> 10 & 31;
            int mantissa = bits & 1023;
            double magnitude = exponent == 0 ? mantissa * Math.pow(2, -24) : (1024 + mantissa) * Math.pow(2, exponent - 25);
            int expected = exponent == 31
                    ? 0x7f800000 | mantissa << 13 // infinity, or NaN with its payload
                    : Float.floatToRawIntBits((float) magnitude);
            assertEquals(bits >> 15 == 0 ? expected : expected | 0x80000000, actual[bits], "half 0x" + Integer.toHexString(bits));
        }
    }

    @Test
    void everyBfloatIsTheUpperHalfOfItsFloat() {
        int[] actual = floatBits(Dtype.BF16);
        for (int bits = 0; bits < 1 << 16; bits++) {
            assertEquals(bits << 16, actual[bits]);
        }
    }
}
