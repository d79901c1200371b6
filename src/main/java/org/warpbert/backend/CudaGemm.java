package org.warpbert.backend;

import static org.bytedeco.cuda.global.cublas.CUBLAS_COMPUTE_32F;
import static org.bytedeco.cuda.global.cublas.CUBLAS_COMPUTE_32F_FAST_TF32;
import static org.bytedeco.cuda.global.cublas.CUBLAS_STATUS_NOT_SUPPORTED;
import static org.bytedeco.cuda.global.cublas.CUBLAS_STATUS_SUCCESS;
import static org.bytedeco.cuda.global.cublas.cublasLtCreate;
import static org.bytedeco.cuda.global.cublas.cublasLtDestroy;
import static org.bytedeco.cuda.global.cublas.cublasLtGetStatusName;
import static org.bytedeco.cuda.global.cublas.cublasLtGetVersion;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmul;

import org.bytedeco.cuda.cublas.cublasLtContext;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;
import org.warpbert.WarpBertException;
import org.warpbert.backend.ColumnMajorGemm.Product;

/**
 * Products by cuBLASLt on the backend's stream, between its ops. Sums are float32 in every type, also where cuBLASLt splits
 * them; float32 is multiplied as float32 unless TF32 is allowed. Algorithms are asked for once for each {@link GemmKey}.
 * A call makes no object: pointers are made here, once, and given new addresses.
 *
 * <p>An {@link Epilogue}'s bias is in y's type, and added before y is rounded. The library may have none for a shape, which is asked for once:
 * then an op does it, and {@link #describe} says so.
 */
final class CudaGemm implements Gemm {
    /** What NVIDIA recommends for sm_90 and newer, and enough for all. */
    static final long WORKSPACE_BYTES = 32L << 20;
    private static final int MOST_PLANS = 4096; // of some hundred bytes each; packed batches have many sizes

    private final Backend backend;
    private final boolean tf32;
    private final cublasLtContext handle = new cublasLtContext();
    private final CUstream_st stream;
    private final DeviceMemory workspace;
    private final FloatPointer one = new FloatPointer(1f);
    private final FloatPointer zero = new FloatPointer(0f);
    private final Address a = new Address();
    private final Address b = new Address();
    private final Address d = new Address();
    private final Address scratch = new Address();
    private final PointerPointer<Pointer> ours = new PointerPointer<>(1);
    private final GemmKey key = new GemmKey();
    private final LruCache<GemmKey, GemmPlan> plans = new LruCache<>(MOST_PLANS, GemmPlan::close);
    private String refusal = ""; // the first
    private int refusals;

    /** A pointer that can be pointed elsewhere. */
    private static final class Address extends Pointer {
        Address at(long newAddress) {
            address = newAddress;
            return this;
        }
    }

    /** On an open backend, from which the workspace comes. */
    CudaGemm(Backend backend, boolean tf32) {
        this.backend = backend;
        this.tf32 = tf32;
        CublasLt.load();
        stream = new CUstream_st(new Address().at(backend.stream()));
        check("create", cublasLtCreate(handle));
        try {
            workspace = backend.allocate("cuBLASLt's workspace", WORKSPACE_BYTES);
        } catch (RuntimeException e) {
            cublasLtDestroy(handle);
            throw e;
        }
        scratch.at(workspace.address());
    }

    @Override
    public void forward(Dtype dtype, long y, long x, long w, int rows, int in, int out) {
        multiply(Product.FORWARD, Epilogue.NONE, dtype, y, w, x, 0, 0, false, rows, in, out);
    }

    @Override
    public void forwardBias(Dtype dtype, long y, long x, long w, long bias, int rows, int in, int out) {
        if (multiply(Product.FORWARD, Epilogue.BIAS, dtype, y, w, x, bias, 0, false, rows, in, out)) {
            return;
        }
        forward(dtype, y, x, w, rows, in, out); // y is rounded twice then
        long wide = workspace.address(); // products and ops take turns, so it is free
        backend.cast(wide, Dtype.F32, bias, dtype, out);
        backend.biasActivationForward(dtype, y, y, wide, Activation.IDENTITY, rows, out);
    }

    @Override
    public boolean forwardActivated(Dtype dtype, long y, long product, long x, long w, long bias, Activation activation, int rows, int in, int out) {
        return Gemm.activates(dtype, activation, out) && multiply(Product.FORWARD, product == 0 ? Epilogue.GELU : Epilogue.KEEPING_GELU, dtype,
                y, w, x, bias, product, false, rows, in, out);
    }

    @Override
    public boolean backwardInputActivated(Dtype dtype, long dx, long dy, long w, long product, Activation activation, int rows, int in, int out) {
        return Gemm.activates(dtype, activation, in)
                && multiply(Product.BACKWARD_INPUT, Epilogue.GELU_SLOPE, dtype, dx, w, dy, 0, product, false, rows, in, out);
    }

    @Override
    public void backwardInput(Dtype dtype, long dx, long dy, long w, boolean add, int rows, int in, int out) {
        multiply(Product.BACKWARD_INPUT, Epilogue.NONE, dtype, dx, w, dy, 0, 0, add, rows, in, out);
    }

    @Override
    public void backwardWeight(Dtype dtype, long dw, long dy, long x, boolean add, int rows, int in, int out) {
        if (rows == 0) { // a sum of nothing, which cuBLASLt does not take
            if (!add) {
                backend.zero(dw, (long) in * out * Float.BYTES);
            }
            return;
        }
        multiply(Product.BACKWARD_WEIGHT, Epilogue.NONE, dtype, dw, x, dy, 0, 0, add, rows, in, out);
    }

    /**
     * The operands in {@link ColumnMajorGemm}'s order; bias and what an epilogue keeps or reads are 0 where it has none.
     *
     * @return false where the library has no algorithm for an epilogue that is optional
     */
    private boolean multiply(Product product, Epilogue epilogue, Dtype dtype, long to, long left, long right, long bias, long kept, boolean add,
            int rows, int in, int out) {
        if (rows == 0) {
            return true;
        }
        backend.stream(ours); // makes its device this thread's, which the library asks for: another backend may have had its turn
        GemmPlan plan = plans.get(key.set(product, epilogue, dtype, rows, in, out, bias, kept, to, left, right));
        if (plan == null) {
            GemmKey wanted = key.copy();
            plan = new GemmPlan(this, handle, wanted, tf32 && dtype == Dtype.F32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, bias, kept);
            plans.put(wanted, plan);
        }
        if (!plan.available()) {
            return false;
        }
        plan.operands(this, bias, kept);
        d.at(to);
        int status = cublasLtMatmul(handle, plan.operation, one, a.at(left), plan.a, b.at(right), plan.b, add ? one : zero, d, plan.d,
                d, plan.d, plan.algorithm, scratch, WORKSPACE_BYTES, stream);
        if (status != CUBLAS_STATUS_SUCCESS) {
            if (epilogue.optional() && status == CUBLAS_STATUS_NOT_SUPPORTED) { // of what it recommended itself
                plan.refuse(this, key, status);
                return false;
            }
            check(key.toString(), status);
        }
        return true;
    }

    /** Keeps what {@link #describe} tells. */
    void refused(GemmKey what, int status) {
        if (refusals++ == 0) {
            refusal = what + ": " + cublasLtGetStatusName(status).getString();
        }
    }

    /** A status of cuBLASLt as an error that names what was asked of it; and a kernel's fault before it, which the library is the first to meet. */
    void check(String what, int status) {
        if (status == CUBLAS_STATUS_SUCCESS) {
            return;
        }
        String error = backend.name() + " backend, gemm " + what + ": cuBLASLt " + version() + " says " + cublasLtGetStatusName(status).getString();
        if (status == CUBLAS_STATUS_NOT_SUPPORTED) {
            throw new WarpBertException(error + ", it has no algorithm for this");
        }
        try {
            backend.synchronize();
        } catch (WarpBertException fault) {
            throw new WarpBertException(error + "; " + fault.getMessage(), fault);
        }
        throw new WarpBertException(error);
    }

    @Override
    public long nanos() {
        return 0; // the stream works on while the host goes on
    }

    @Override
    public String describe() {
        return "cuBLASLt " + version() + (tf32 ? ", TF32 for float32" : "")
                + (refusals == 0 ? "" : ", without an epilogue for " + refusals + " products, first " + refusal);
    }

    private static String version() {
        long version = cublasLtGetVersion(); // 130100 is 13.1.0
        return version / 10_000 + "." + version / 100 % 100 + "." + version % 100;
    }

    @Override
    public void close() {
        if (!handle.isNull()) {
            plans.close();
            workspace.close();
            cublasLtDestroy(handle);
            handle.setNull();
            one.close();
            zero.close();
            ours.close();
        }
    }
}
