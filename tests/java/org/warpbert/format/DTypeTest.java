package org.warpbert.format;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.junit.jupiter.api.Test;

class DTypeTest {
    /** Every one of the 65,536 halves against the definition of binary16, bit for bit. */
    @Test
    void everyHalfIsExact() {
        for (int bits = 0; bits < 1 << 16; bits++) {
            int exponent = bits >> 10 & 31;
            int mantissa = bits & 1023;
            double magnitude = exponent == 0 ? mantissa * Math.pow(2, -24) : (1024 + mantissa) * Math.pow(2, exponent - 25);
            int expected = exponent == 31
                    ? 0x7f800000 | mantissa << 13 // infinity, or NaN with its payload
                    : Float.floatToRawIntBits((float) magnitude);
            if (bits >> 15 != 0) expected |= 0x80000000;
            assertEquals(expected, Float.floatToRawIntBits(DType.halfToFloat((short) bits)), "half 0x" + Integer.toHexString(bits));
        }
    }

    @Test
    void everyBfloatIsTheUpperHalfOfItsFloat() {
        ByteBuffer source = ByteBuffer.allocate(2 << 16).order(ByteOrder.LITTLE_ENDIAN);
        for (int bits = 0; bits < 1 << 16; bits++) source.putShort((short) bits);
        FloatBuffer floats = FloatBuffer.allocate(1 << 16);
        DType.BF16.toFloat(source.flip(), floats);
        for (int bits = 0; bits < 1 << 16; bits++)
            assertEquals(bits << 16, Float.floatToRawIntBits(floats.get(bits)));
    }

    @Test
    void doublesAreRoundedToNearest() {
        ByteBuffer source = ByteBuffer.allocate(24).order(ByteOrder.LITTLE_ENDIAN).putDouble(0.1).putDouble(1e300).putDouble(-0.0).flip();
        FloatBuffer floats = FloatBuffer.allocate(3);
        DType.F64.toFloat(source, floats);
        assertEquals(0.1f, floats.get(0));
        assertEquals(Float.POSITIVE_INFINITY, floats.get(1));
        assertEquals(0x80000000, Float.floatToRawIntBits(floats.get(2)));
    }
}
