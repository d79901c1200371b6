package org.warpbert.backend;

import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_BIAS_POINTER;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_EPILOGUE;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_TRANSA;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_TRANSB;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
import static org.bytedeco.cuda.global.cublas.CUBLAS_OP_N;
import static org.bytedeco.cuda.global.cublas.CUBLAS_OP_T;
import static org.bytedeco.cuda.global.cublas.CUBLAS_STATUS_NOT_SUPPORTED;
import static org.bytedeco.cuda.global.cublas.CUBLAS_STATUS_SUCCESS;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulAlgoGetHeuristic;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulDescCreate;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulDescDestroy;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulDescSetAttribute;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulPreferenceCreate;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulPreferenceDestroy;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulPreferenceSetAttribute;
import static org.bytedeco.cuda.global.cublas.cublasLtMatrixLayoutCreate;
import static org.bytedeco.cuda.global.cublas.cublasLtMatrixLayoutDestroy;
import static org.bytedeco.cuda.global.cudart.CUDA_R_16BF;
import static org.bytedeco.cuda.global.cudart.CUDA_R_16F;
import static org.bytedeco.cuda.global.cudart.CUDA_R_32F;

import org.bytedeco.cuda.cublas.cublasLtContext;
import org.bytedeco.cuda.cublas.cublasLtMatmulAlgo_t;
import org.bytedeco.cuda.cublas.cublasLtMatmulDescOpaque_t;
import org.bytedeco.cuda.cublas.cublasLtMatmulHeuristicResult_t;
import org.bytedeco.cuda.cublas.cublasLtMatmulPreferenceOpaque_t;
import org.bytedeco.cuda.cublas.cublasLtMatrixLayoutOpaque_t;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;

/** cuBLASLt's descriptors of one {@link GemmKey}, and the algorithm that it recommends for them. */
final class GemmPlan implements AutoCloseable {
    final cublasLtMatmulAlgo_t algorithm;
    cublasLtMatmulDescOpaque_t operation;
    cublasLtMatrixLayoutOpaque_t a;
    cublasLtMatrixLayoutOpaque_t b;
    cublasLtMatrixLayoutOpaque_t d;
    private final cublasLtMatmulHeuristicResult_t recommended = new cublasLtMatmulHeuristicResult_t();
    private final LongPointer held = new LongPointer(1L);
    private boolean available = true;

    /** @param bias and {@code kept} of the first call, 0 without: the library takes their alignment for that of all */
    GemmPlan(CudaGemm owner, cublasLtContext handle, GemmKey key, int computeType, long bias, long kept) {
        ColumnMajorGemm gemm = key.gemm();
        try {
            operation = operation(owner, gemm, key.epilogue(), computeType);
            if (kept != 0) { // laid out as d is
                set(owner, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, gemm.d().rows());
            }
            operands(owner, bias, kept);
            a = layout(owner, gemm.a());
            b = layout(owner, gemm.b());
            d = layout(owner, gemm.d());
            recommend(owner, handle, key);
        } catch (RuntimeException e) {
            close();
            throw e;
        }
        algorithm = recommended.algo();
    }

    private static cublasLtMatmulDescOpaque_t operation(CudaGemm owner, ColumnMajorGemm gemm, Epilogue epilogue, int computeType) {
        try (PointerPointer<cublasLtMatmulDescOpaque_t> made = new PointerPointer<>(1)) {
            owner.check("descriptor", cublasLtMatmulDescCreate(made, computeType, CUDA_R_32F));
            cublasLtMatmulDescOpaque_t operation = made.get(cublasLtMatmulDescOpaque_t.class, 0);
            set(owner, operation, CUBLASLT_MATMUL_DESC_TRANSA, gemm.transposeA() ? CUBLAS_OP_T : CUBLAS_OP_N);
            set(owner, operation, CUBLASLT_MATMUL_DESC_TRANSB, gemm.transposeB() ? CUBLAS_OP_T : CUBLAS_OP_N);
            set(owner, operation, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue.number());
            return operation;
        }
    }

    private static void set(CudaGemm owner, cublasLtMatmulDescOpaque_t operation, int attribute, int value) {
        try (IntPointer held = new IntPointer(1L).put(value)) {
            owner.check("descriptor", cublasLtMatmulDescSetAttribute(operation, attribute, held, Integer.BYTES));
        }
    }

    private static cublasLtMatrixLayoutOpaque_t layout(CudaGemm owner, ColumnMajorGemm.Matrix matrix) {
        try (PointerPointer<cublasLtMatrixLayoutOpaque_t> made = new PointerPointer<>(1)) {
            owner.check("layout " + matrix, cublasLtMatrixLayoutCreate(made, type(matrix.dtype()), matrix.rows(), matrix.columns(), matrix.rows()));
            return made.get(cublasLtMatrixLayoutOpaque_t.class, 0);
        }
    }

    private static int type(Dtype dtype) {
        return switch (dtype) {
            case F32 -> CUDA_R_32F;
            case F16 -> CUDA_R_16F;
            case BF16 -> CUDA_R_16BF;
        };
    }

    private void recommend(CudaGemm owner, cublasLtContext handle, GemmKey key) {
        try (PointerPointer<cublasLtMatmulPreferenceOpaque_t> made = new PointerPointer<>(1); IntPointer found = new IntPointer(1L);
                LongPointer workspace = new LongPointer(1L).put(CudaGemm.WORKSPACE_BYTES)) {
            owner.check("preference", cublasLtMatmulPreferenceCreate(made));
            cublasLtMatmulPreferenceOpaque_t preference = made.get(cublasLtMatmulPreferenceOpaque_t.class, 0);
            try {
                prefer(owner, preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace, Long.BYTES);
                // the parts of a split sum are added in float32, not in the output's type
                prefer(owner, preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
                prefer(owner, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key.alignA());
                prefer(owner, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key.alignB());
                prefer(owner, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, key.alignD());
                prefer(owner, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key.alignD());
                int status = cublasLtMatmulAlgoGetHeuristic(handle, operation, a, b, d, d, preference, 1, recommended, found.put(0));
                if (status == CUBLAS_STATUS_SUCCESS) {
                    status = found.get() == 0 ? CUBLAS_STATUS_NOT_SUPPORTED : recommended.state();
                }
                if (!key.epilogue().optional()) {
                    owner.check(key.toString(), status);
                } else if (status != CUBLAS_STATUS_SUCCESS) {
                    refuse(owner, key, status);
                }
            } finally {
                cublasLtMatmulPreferenceDestroy(preference);
            }
        }
    }

    private static void prefer(CudaGemm owner, cublasLtMatmulPreferenceOpaque_t preference, int attribute, int value) {
        try (IntPointer held = new IntPointer(1L).put(value)) {
            prefer(owner, preference, attribute, held, Integer.BYTES);
        }
    }

    private static void prefer(CudaGemm owner, cublasLtMatmulPreferenceOpaque_t preference, int attribute, Pointer value, int bytes) {
        owner.check("preference", cublasLtMatmulPreferenceSetAttribute(preference, attribute, value, bytes));
    }

    /** Whether the library can do this; what has no {@link Epilogue#optional} epilogue and cannot be done is an error of the constructor. */
    boolean available() {
        return available;
    }

    /** From now on the library cannot do this. */
    void refuse(CudaGemm owner, GemmKey key, int status) {
        available = false;
        owner.refused(key, status);
    }

    /** Where the next call's bias stands, which its epilogue adds to every column of d, and what it keeps or reads besides; 0: it has none. */
    void operands(CudaGemm owner, long bias, long kept) {
        if (bias != 0) {
            set(owner, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
        }
        if (kept != 0) {
            set(owner, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, kept);
        }
    }

    private void set(CudaGemm owner, int attribute, long value) {
        owner.check("epilogue", cublasLtMatmulDescSetAttribute(operation, attribute, held.put(value), Long.BYTES));
    }

    @Override
    public void close() {
        for (cublasLtMatrixLayoutOpaque_t layout : new cublasLtMatrixLayoutOpaque_t[] {a, b, d}) {
            if (layout != null) {
                cublasLtMatrixLayoutDestroy(layout);
            }
        }
        if (operation != null) {
            cublasLtMatmulDescDestroy(operation);
        }
        recommended.close();
        held.close();
    }
}
