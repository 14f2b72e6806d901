package org.jlatent;

/** What an element of a tensor is. */
public enum DType {
    /** IEEE 754 single precision: what every operation takes unless it says otherwise. */
    F32(4),
    /**
     * bfloat16, the upper half of an {@link #F32}: storage for the operands of products and
     * convolutions, whose sums are made in f32.
     */
    BF16(2),
    /** Signed integers: codes and class labels. */
    I32(4);

    private final int bytes;

    DType(int bytes) {
        this.bytes = bytes;
    }

    /** Bytes an element. */
    public int bytes() {
        return bytes;
    }

    /** The f32 that {@code bits}, a bfloat16, stands for; exact. */
    static float bf16ToFloat(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    /** The bfloat16 nearest to {@code value}, ties to even; NaN stays NaN. */
    static short floatToBf16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
            return (short) ((bits >>> 16) | 0x40);
        }
        return (short) ((bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16);
    }
}
