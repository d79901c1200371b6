package org.warpbert.backend;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** A 16-bit type by its definition: sign, exponent from {@code least} on, {@code digits} of mantissa. */
enum Half {
    F16(Dtype.F16, 10, -14, 65504), BF16(Dtype.BF16, 7, -126, 0x1.fep127);

    final Dtype dtype;
    final int digits;
    final int least;
    final double largest;

    Half(Dtype dtype, int digits, int least, double largest) {
        this.dtype = dtype;
        this.digits = digits;
        this.least = least;
        this.largest = largest;
    }

    float decode(int bits) {
        int exponent = bits >> digits & (1 << 15 - digits) - 1;
        int fraction = bits & (1 << digits) - 1;
        double magnitude = exponent == 0 ? Math.scalb((double) fraction, least - digits)
                : Math.scalb((double) (fraction | 1 << digits), least + exponent - 1 - digits);
        if (exponent == (1 << 15 - digits) - 1) {
            magnitude = fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
        }
        return (float) (bits < 1 << 15 ? magnitude : -magnitude);
    }

    /** Nearest, ties to even; -1 for NaN, of which only that it is one is asked. */
    int encode(float x) {
        if (Float.isNaN(x)) {
            return -1;
        }
        int sign = Float.floatToRawIntBits(x) < 0 ? 1 << 15 : 0;
        int exponent = Math.max(Math.getExponent(x), least);
        double units = Math.rint(Math.scalb((double) Math.abs(x), digits - exponent)); // exact, then rounded once
        if (Math.scalb(units, exponent - digits) > largest) {
            return sign | (1 << 15 - digits) - 1 << digits;
        }
        return sign | (exponent - least) * (1 << digits) + (int) units; // a carry into the exponent is as it should be
    }

    static Half of(Dtype dtype) {
        return valueOf(dtype.name());
    }

    /** The nearest value of this type. */
    float round(float x) {
        return Float.isNaN(x) ? x : decode(encode(x));
    }

    float[] round(float[] values) {
        float[] rounded = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            rounded[i] = round(values[i]);
        }
        return rounded;
    }

    /** As little-endian bytes. */
    byte[] bytes(float[] values) {
        ByteBuffer bytes = ByteBuffer.allocate(2 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) {
            bytes.putShort((short) (Float.isNaN(value) ? 0x7fff : encode(value)));
        }
        return bytes.array();
    }

    float[] floats(byte[] bytes) {
        ByteBuffer bits = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        float[] values = new float[bytes.length / 2];
        for (int i = 0; i < values.length; i++) {
            values[i] = decode(bits.getShort() & 0xffff);
        }
        return values;
    }
}
