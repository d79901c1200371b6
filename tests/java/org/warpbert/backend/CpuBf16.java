package org.warpbert.backend;

import org.junit.jupiter.api.Assumptions;

/** The CPU in bf16, which takes AVX512-BF16: where there is none, a test that asks for it is skipped. */
public final class CpuBf16 {
    private CpuBf16() {}

    public static void assumeHad() {
        Assumptions.assumeTrue(CpuGemm.hasBf16(), "this CPU has no AVX512-BF16, or WARPBERT_GEMM=openblas is set");
    }

    public static Backend open(int threads) {
        assumeHad();
        return Backends.open("cpu", threads, Precision.BF16);
    }
}
