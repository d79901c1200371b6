package org.warpbert.backend;

import static org.bytedeco.cuda.global.cublas.CUBLASLT_EPILOGUE_BIAS;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_EPILOGUE_DEFAULT;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_EPILOGUE_DGELU;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_EPILOGUE_GELU_BIAS;

/** What cuBLASLt does to a product's sums before it rounds them. GELU is the tanh approximation. */
enum Epilogue {
    NONE(CUBLASLT_EPILOGUE_DEFAULT, ""),
    /** y = sums + bias. */
    BIAS(CUBLASLT_EPILOGUE_BIAS, " with bias"),
    /** y = gelu(sums + bias). */
    GELU(CUBLASLT_EPILOGUE_GELU_BIAS, " with bias and gelu"),
    /** kept = sums + bias, y = gelu(kept) before its rounding. */
    KEEPING_GELU(CUBLASLT_EPILOGUE_GELU_AUX_BIAS, " with bias and gelu, keeping its input"),
    /** dx = sums * gelu'(kept). */
    GELU_SLOPE(CUBLASLT_EPILOGUE_DGELU, " with gelu's slope");

    private final int number;
    private final String words;

    Epilogue(int number, String words) {
        this.number = number;
        this.words = words;
    }

    /** {@code cublasLtEpilogue_t}'s. */
    int number() {
        return number;
    }

    /** Behind a product's name. */
    String words() {
        return words;
    }

    /** Whether a product and an op do the same, where the library has no algorithm for this. */
    boolean optional() {
        return this != NONE;
    }
}
