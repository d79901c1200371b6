package org.warpbert.backend;

import org.junit.jupiter.api.Assumptions;

/** The CPU in bf16, which takes AVX512-BF16: where there is none, a test that asks for it is skipped. */
public final class CpuBf16 {
    /** Why a test is skipped. */
    public static final String ABSENT = "this CPU has no AVX512-BF16, or WARPBERT_GEMM is set";

    private CpuBf16() {}

    public static boolean isHad() {
        return CpuGemm.hasBf16();
    }

    public static Backend open(int threads) {
        Assumptions.assumeTrue(isHad(), ABSENT);
        return Backends.open("cpu", threads, Precision.BF16);
    }
}
