package org.warpbert.format;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.junit.jupiter.api.Test;

class DTypeTest {
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
