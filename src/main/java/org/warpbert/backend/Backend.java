package org.warpbert.backend;

import java.util.EnumSet;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;
import org.warpbert.WarpBertException;

/**
 * One device and the ops on it. Opened by {@link Backends}; used by one thread at a time; closed last, after every
 * {@link DeviceMemory} of it. Ops take addresses; shapes, aliasing and which outputs are added to stand in
 * {@code native/include/warpbert.h}; of an op that drops out, also what {@code rng} and {@code dropoutRows} are, which may be 0
 * where {@code probability} is. A failed op throws with its name, sizes and the backend's text.
 */
public final class Backend implements AutoCloseable {
    /** Rows of partial sums that a reduction may use, WB_REDUCE_BLOCKS of warpbert.h: what workspaces are sized by. */
    public static final int REDUCE_BLOCKS = 256;

    /** Whether a GPU may round the operands of float32 products to TF32's 10 bits of mantissa, for speed. */
    private static final boolean ALLOW_TF32 = Boolean.parseBoolean(System.getProperty("warpbert.tf32", System.getenv("WARPBERT_TF32")));

    private static final int OK = 0;
    private static final int OUT_OF_MEMORY = 2;
    private static final String INJECTED = "made to fail by -D" + MemoryFaults.FAIL;

    private final String name;
    private final String note;
    private final int threads;
    private final Precision precision;
    private final Gemm gemm;
    private final AtomicLong allocated = new AtomicLong();
    private final AtomicLong peak = new AtomicLong();
    private final AtomicLong hostAllocated = new AtomicLong();
    private MemoryFaults faults = MemoryFaults.NONE;
    private long limit = Long.MAX_VALUE;
    private long context;

    /**
     * @param precision what is to be computed in; one that the device lacks is an error
     * @param note      what {@link #describe} says at the end, or null
     */
    Backend(String name, String library, int device, int threads, Precision precision, String note) {
        this.name = name;
        this.note = note;
        this.threads = threads;
        this.precision = precision.on(name, precisions());
        Native.load();
        try (PointerPointer<Pointer> handle = new PointerPointer<>(1)) {
            int status = Native.wb_open(handle, library, device, threads);
            if (status != OK) {
                throw new WarpBertException("the " + name + " backend cannot be opened: " + lastError());
            }
            context = handle.get(0).address();
        }
        try {
            gemm = name.equals("cuda") ? new CudaGemm(this, ALLOW_TF32)
                    : new CpuGemm(this, name.equals("cpu") && this.precision == Precision.BF16);
        } catch (RuntimeException | Error e) {
            Native.wb_close(context);
            throw e;
        }
        faults = MemoryFaults.ofProperties();
    }

    /** "cpu", "cuda" or "simt". */
    public String name() {
        return name;
    }

    public int threads() {
        return threads;
    }

    /** What is computed in: that which this was opened with, AUTO decided. */
    public Precision precision() {
        return precision;
    }

    /** Type of activations, and of weights as products read them, in {@link #precision}. */
    public Dtype dtype() {
        return precision.dtype(name);
    }

    /** What this kind of device can compute in. The CPU's bf16 is in products alone, where it has the instructions. */
    public Set<Precision> precisions() {
        return !name.equals("cpu") ? EnumSet.of(Precision.F32, Precision.BF16, Precision.FP16)
                : CpuGemm.hasBf16() ? EnumSet.of(Precision.F32, Precision.BF16) : EnumSet.of(Precision.F32);
    }

    /** Whether work may be under way when a call returns, so that the host can run ahead of it; simt pretends to. */
    public boolean asynchronous() {
        return !name.equals("cpu");
    }

    /** The matrix products of this device. */
    public Gemm gemm() {
        return gemm;
    }

    /** One line: device, instruction set or architecture, threads. */
    public String describe() {
        try (BytePointer text = new BytePointer(512L)) {
            check("describe", Native.wb_describe(context(), text, 512));
            return text.limit(0).getString() + "; " + gemm.describe() // limit 0: up to the terminating NUL
                    + (note == null ? "" : "; " + note);
        }
    }

    /** Bytes that can be had now: what is free on the device, as far as the limit lets. */
    public long freeBytes() {
        return Math.max(0, Math.min(memoryInfo(true), Math.min(limit, faults.capacity(Long.MAX_VALUE)) - allocatedBytes()));
    }

    /** Bytes on the device in all. */
    public long totalBytes() {
        return faults.capacity(memoryInfo(false));
    }

    /** From now on nothing is allocated that would make {@link #allocatedBytes} more than this, whatever is free. */
    public void limit(long bytes) {
        limit = bytes;
    }

    private long memoryInfo(boolean free) {
        try (LongPointer freeBytes = new LongPointer(1L); LongPointer totalBytes = new LongPointer(1L)) {
            check("memory_info", Native.wb_memory_info(context(), freeBytes, totalBytes));
            return (free ? freeBytes : totalBytes).get();
        }
    }

    /** Whether the device's memory is the host's, so that {@link HostMemory} counts with it. */
    public boolean isHost() {
        return Backends.isHost(name);
    }

    /** Bytes now held by {@link DeviceMemory}, and by {@link HostMemory} where {@link #isHost}. */
    public long allocatedBytes() {
        return allocated.get();
    }

    /** Bytes now held by {@link HostMemory} beside the device's; 0 where {@link #isHost}. */
    public long hostBytes() {
        return hostAllocated.get();
    }

    /** The most that {@link #allocatedBytes} has been. */
    public long peakBytes() {
        return peak.get();
    }

    /**
     * Allocates {@code bytes} (at least one is taken); {@code what} names the block in errors.
     *
     * @throws OutOfDeviceMemory where they are not to be had, or the limit forbids them
     */
    public DeviceMemory allocate(String what, long bytes) {
        long size = Math.max(bytes, 1);
        permit(what, size, true);
        try (PointerPointer<Pointer> address = new PointerPointer<>(1)) {
            int status = Native.wb_alloc(context(), address, size);
            if (status == OUT_OF_MEMORY) {
                throw noMemory(what, size, lastError());
            }
            check("alloc of " + what, status);
            held(size);
            return new DeviceMemory(this, what, address.get(0).address(), size);
        }
    }

    /** Fails where a request is made to fail or, of the device's memory, is more than the limit lets. */
    private void permit(String what, long size, boolean ofDevice) {
        if (faults.fails()) {
            throw noMemory(what, size, INJECTED);
        }
        if (ofDevice && size > Math.min(limit, faults.capacity(Long.MAX_VALUE)) - allocatedBytes()) {
            throw noMemory(what, size, "more than the limit on this device");
        }
    }

    private void held(long more) {
        peak.accumulateAndGet(allocated.addAndGet(more), Math::max);
    }

    private OutOfDeviceMemory noMemory(String what, long size, String reason) {
        return new OutOfDeviceMemory(name + " has no memory for " + what + " (" + size + " bytes asked, " + freeBytes() + " free, "
                + allocatedBytes() + " held): " + reason);
    }

    void free(long address, long bytes) {
        allocated.addAndGet(-bytes);
        if (context != 0) {
            check("free", Native.wb_free(context, address));
        }
    }

    /**
     * Host memory to copy from and to (at least one byte is taken); counted with the device's where {@link #isHost}, else by
     * itself. {@code what} names it in errors.
     *
     * @throws OutOfDeviceMemory where it is not to be had, or the limit forbids it
     */
    public HostMemory allocateHost(String what, int bytes) {
        int size = Math.max(bytes, 1);
        permit(what + " on the host", size, isHost());
        try (PointerPointer<BytePointer> address = new PointerPointer<>(1)) {
            int status = Native.wb_alloc_host(context(), address, size);
            if (status != OK) {
                throw failure("alloc_host of " + bytes + " bytes for " + what, status);
            }
            if (isHost()) {
                held(size);
            } else {
                hostAllocated.addAndGet(size);
            }
            return new HostMemory(this, what, address.get(BytePointer.class, 0), bytes);
        }
    }

    void freeHost(long address, int bytes) {
        (isHost() ? allocated : hostAllocated).addAndGet(-Math.max(bytes, 1));
        if (context != 0) {
            check("free_host", Native.wb_free_host(context, address));
        }
    }

    /** A place in the stream of work to wait for. */
    public Event event() {
        return event(false);
    }

    /** One that {@link Event#secondsSince} may be asked of as well, where the backend is {@link #asynchronous}. */
    public Event timedEvent() {
        return event(true);
    }

    private Event event(boolean timed) {
        try (PointerPointer<Pointer> event = new PointerPointer<>(1)) {
            check("event_create", Native.wb_event_create(context(), event, timed ? 1 : 0));
            return new Event(this, addressOf(event));
        }
    }

    void destroyEvent(long event) {
        if (context != 0) {
            check("event_destroy", Native.wb_event_destroy(context, event));
        }
    }

    /** Whether work is captured here: see {@link Backends#capturesGraphs}. */
    public boolean capturesGraphs() {
        return Backends.capturesGraphs(name);
    }

    /**
     * Captures what {@code work} asks of this backend; nothing of it is done yet. See "graphs" in warpbert.h for what it may
     * ask for, and what of it may change from launch to launch.
     *
     * @throws OutOfDeviceMemory where there is no memory for the graph
     */
    public Graph capture(Runnable work) {
        check("capture_begin", Native.wb_capture_begin(context()));
        try {
            work.run();
        } catch (RuntimeException | Error e) {
            Native.wb_capture_end(context(), null);
            throw e;
        }
        try (PointerPointer<Pointer> graph = new PointerPointer<>(1)) {
            check("capture_end", Native.wb_capture_end(context(), graph));
            return new Graph(this, addressOf(graph));
        }
    }

    void destroyGraph(long graph) {
        if (context != 0) {
            check("graph_destroy", Native.wb_graph_destroy(context, graph));
        }
    }

    /** The CUDA stream that ops are queued on, for libraries that shall work in their turn, 0 where ops run at once; its device becomes this thread's current one. */
    public long stream() {
        try (PointerPointer<Pointer> stream = new PointerPointer<>(1)) {
            stream(stream);
            return addressOf(stream);
        }
    }

    /** As {@link #stream()}, and makes no object. */
    void stream(PointerPointer<Pointer> stream) {
        check("stream", Native.wb_stream(context(), stream));
    }

    private static long addressOf(PointerPointer<Pointer> handle) {
        Pointer pointer = handle.get(0);
        return pointer == null ? 0 : pointer.address();
    }

    /** Sets {@code bytes} bytes at an address to 0. */
    public void zero(long address, long bytes) {
        check("zero", Native.wb_zero(context(), address, bytes));
    }

    /** Copies between two addresses of this backend. */
    public void copy(long destination, long source, long bytes) {
        check("copy", Native.wb_copy(context(), destination, source, bytes));
    }

    /** Waits for all work on this device. */
    public void synchronize() {
        check("synchronize", Native.wb_synchronize(context()));
    }

    long context() {
        if (context == 0) {
            throw new WarpBertException("the " + name + " backend is used after it was closed");
        }
        return context;
    }

    void check(String op, int status) {
        if (status != OK) {
            throw failure(op, status);
        }
    }

    private WarpBertException failure(String op, int status) {
        String message = name + " backend, " + op + ": " + lastError() + " (status " + status + ")";
        return status == OUT_OF_MEMORY ? new OutOfDeviceMemory(message) : new WarpBertException(message);
    }

    private static String lastError() {
        return Native.wb_last_error().getString();
    }

    @Override
    public void close() {
        if (context != 0) {
            gemm.close();
            long closing = context;
            context = 0;
            check("close", Native.wb_close(closing));
        }
    }

    // ---------------------------------------------------------------- ops, in the header's order

    /** y[T,H] = dropout(layernorm(word + position + segment rows)); mean, rstd [T] for the backward. */
    public void embeddingsForward(
            Dtype dtype, long y, long mean, long rstd, long word, long position, long segment, long gamma,
            long beta, long tokens, long positions, long segments, float eps, float probability, int site,
            long rng, long dropoutRows, long T, long H, long V, long P, long S) {
        int status = Native.wb_embeddings_forward(
                context(), dtype.ordinal(), y, mean, rstd, word, position, segment, gamma, beta, tokens, positions,
                segments, eps, probability, site, rng, dropoutRows, T, H, V, P, S);
        if (status != OK) {
            throw failure("embeddingsForward[T=" + T + ", H=" + H + ", V=" + V + ", P=" + P + ", S=" + S + "]", status);
        }
    }

    /** Adds to the three tables' gradients, dgamma and dbeta; marks the batch's words in touched[V], or 0; workspace holds T*H + 2*256*H floats. */
    public void embeddingsBackward(
            Dtype dtype, long dword, long dposition, long dsegment, long dgamma, long dbeta, long touched,
            long workspace, long dy, long mean, long rstd, long word, long position, long segment, long gamma, long tokens,
            long positions, long segments, long wordOrder, long positionOrder, float probability, int site,
            long rng, long dropoutRows, long T, long H, long V, long P, long S) {
        int status = Native.wb_embeddings_backward(
                context(), dtype.ordinal(), dword, dposition, dsegment, dgamma, dbeta, touched, workspace, dy, mean, rstd,
                word, position, segment, gamma, tokens, positions, segments, wordOrder, positionOrder, probability,
                site, rng, dropoutRows, T, H, V, P, S);
        if (status != OK) {
            throw failure("embeddingsBackward[T=" + T + ", H=" + H + ", V=" + V + ", P=" + P + ", S=" + S + "]", status);
        }
    }

    /** y[N,C] = activation(x + bias); bias may be 0 (none); y may be x. */
    public void biasActivationForward(
            Dtype dtype, long y, long x, long bias, Activation activation, long N, long C) {
        int status = Native.wb_bias_activation_forward(
                context(), dtype.ordinal(), y, x, bias, activation.ordinal(), N, C);
        if (status != OK) {
            throw failure("biasActivationForward[N=" + N + ", C=" + C + "]", status);
        }
    }

    /** dx[N,C] = dy * activation'(x + bias), dbias[C] += column sums; dbias may be 0; dx may be dy. */
    public void biasActivationBackward(
            Dtype dtype, long dx, long dbias, long workspace, long dy, long x, long bias, Activation activation,
            long N, long C) {
        int status = Native.wb_bias_activation_backward(
                context(), dtype.ordinal(), dx, dbias, workspace, dy, x, bias, activation.ordinal(), N, C);
        if (status != OK) {
            throw failure("biasActivationBackward[N=" + N + ", C=" + C + "]", status);
        }
    }

    /** z[T,H] = dropout(x + bias) + residual, y = layernorm(z); z, mean, rstd may be 0 for inference. */
    public void residualLayernormForward(
            Dtype dtype, long y, long z, long mean, long rstd, long x, long bias, long residual, long gamma,
            long beta, float eps, float probability, int site, long rng, long dropoutRows, long T, long H) {
        int status = Native.wb_residual_layernorm_forward(
                context(), dtype.ordinal(), y, z, mean, rstd, x, bias, residual, gamma, beta, eps, probability,
                site, rng, dropoutRows, T, H);
        if (status != OK) {
            throw failure("residualLayernormForward[T=" + T + ", H=" + H + "]", status);
        }
    }

    /** dresidual = gradient of z, dx = that through dropout; dbias, dgamma, dbeta += ; workspace 3*256*H floats. */
    public void residualLayernormBackward(
            Dtype dtype, long dx, long dresidual, long dbias, long dgamma, long dbeta, long workspace, long dy,
            long z, long mean, long rstd, long gamma, float probability, int site, long rng, long dropoutRows, long T, long H) {
        int status = Native.wb_residual_layernorm_backward(
                context(), dtype.ordinal(), dx, dresidual, dbias, dgamma, dbeta, workspace, dy, z, mean, rstd,
                gamma, probability, site, rng, dropoutRows, T, H);
        if (status != OK) {
            throw failure("residualLayernormBackward[T=" + T + ", H=" + H + "]", status);
        }
    }

    /** out[T,A*D] from qkv[T,3,A,D], sequence by sequence, of the first {@code queries} tokens of each; lse[A,T] for the backward, or 0. */
    public void attentionForward(
            Dtype dtype, long out, long lse, long qkv, long cuSeqlens, long keyMask, float scale, float probability,
            int site, long rng, long dropoutRows, long T, long B, long A, long D, long maxSeqlen, long queries) {
        int status = Native.wb_attention_forward(
                context(), dtype.ordinal(), out, lse, qkv, cuSeqlens, keyMask, scale, probability, site,
                rng, dropoutRows, T, B, A, D, maxSeqlen, queries);
        if (status != OK) {
            throw failure("attentionForward[T=" + T + ", B=" + B + ", A=" + A + ", D=" + D + ", maxSeqlen=" + maxSeqlen + ", queries=" + queries + "]", status);
        }
    }

    /**
     * dqkv[T,3,A,D] from dout of the first {@code queries} tokens of each sequence: of others dq is 0. dbias[3,A,D] += column sums, or 0;
     * workspace A*T floats, with dbias 3*256*A*D more.
     */
    public void attentionBackward(
            Dtype dtype, long dqkv, long dbias, long workspace, long dout, long out, long lse, long qkv, long cuSeqlens,
            long keyMask, float scale, float probability, int site, long rng, long dropoutRows, long T, long B, long A, long D,
            long maxSeqlen, long queries) {
        int status = Native.wb_attention_backward(
                context(), dtype.ordinal(), dqkv, dbias, workspace, dout, out, lse, qkv, cuSeqlens, keyMask, scale,
                probability, site, rng, dropoutRows, T, B, A, D, maxSeqlen, queries);
        if (status != OK) {
            throw failure("attentionBackward[T=" + T + ", B=" + B + ", A=" + A + ", D=" + D + ", maxSeqlen=" + maxSeqlen + ", queries=" + queries + "]", status);
        }
    }

    /** y[n] = x[rows[n]], rows of H; 0 where rows[n] is -1. */
    public void gatherRowsForward(
            Dtype dtype, long y, long x, long rows, long N, long T, long H) {
        int status = Native.wb_gather_rows_forward(
                context(), dtype.ordinal(), y, x, rows, N, T, H);
        if (status != OK) {
            throw failure("gatherRowsForward[N=" + N + ", T=" + T + ", H=" + H + "]", status);
        }
    }

    /** dx[T,H] = 0, then dx[rows[n]] = dy[n], but where rows[n] is -1; the others distinct. */
    public void gatherRowsBackward(
            Dtype dtype, long dx, long dy, long rows, long N, long T, long H) {
        int status = Native.wb_gather_rows_backward(
                context(), dtype.ordinal(), dx, dy, rows, N, T, H);
        if (status != OK) {
            throw failure("gatherRowsBackward[N=" + N + ", T=" + T + ", H=" + H + "]", status);
        }
    }

    /** y[N,C] = dropout(x); y may be x. */
    public void dropoutForward(
            Dtype dtype, long y, long x, float probability, int site, long rng, long dropoutRows, long N, long C) {
        int status = Native.wb_dropout_forward(
                context(), dtype.ordinal(), y, x, probability, site, rng, dropoutRows, N, C);
        if (status != OK) {
            throw failure("dropoutForward[N=" + N + ", C=" + C + "]", status);
        }
    }

    /** dx[N,C] = dy through the same mask; dx may be dy. */
    public void dropoutBackward(
            Dtype dtype, long dx, long dy, float probability, int site, long rng, long dropoutRows, long N, long C) {
        int status = Native.wb_dropout_backward(
                context(), dtype.ordinal(), dx, dy, probability, site, rng, dropoutRows, N, C);
        if (status != OK) {
            throw failure("dropoutBackward[N=" + N + ", C=" + C + "]", status);
        }
    }

    /** loss[N] and dlogits[N,C] = gradientScale * gradient in one pass; dlogits may be logits, or 0. Rows are {@code stride} elements apart, C or more. */
    public void crossEntropy(
            Dtype dtype, long loss, long dlogits, long logits, long labels, long classWeights, float smoothing,
            int ignoreLabel, float gradientScale, long N, long C, long stride) {
        int status = Native.wb_cross_entropy(
                context(), dtype.ordinal(), loss, dlogits, logits, labels, classWeights, smoothing, ignoreLabel,
                gradientScale, N, C, stride);
        if (status != OK) {
            throw failure("crossEntropy[N=" + N + ", C=" + C + ", stride=" + stride + "]", status);
        }
    }

    /** loss[N,C] = (prediction - target)^2 and dprediction = gradientScale * gradient; no label: target NaN. */
    public void meanSquaredError(
            Dtype dtype, long loss, long dprediction, long prediction, long target, float gradientScale, long N, long C) {
        int status = Native.wb_mean_squared_error(
                context(), dtype.ordinal(), loss, dprediction, prediction, target, gradientScale, N, C);
        if (status != OK) {
            throw failure("meanSquaredError[N=" + N + ", C=" + C + "]", status);
        }
    }

    /** loss[N,C] of sigmoid(logits) against target[N,C] in [0,1] (NaN: no label) and dlogits, which may be logits, or 0. */
    public void binaryCrossEntropy(
            Dtype dtype, long loss, long dlogits, long logits, long target, long classWeights, float gradientScale,
            long N, long C) {
        int status = Native.wb_binary_cross_entropy(
                context(), dtype.ordinal(), loss, dlogits, logits, target, classWeights, gradientScale, N, C);
        if (status != OK) {
            throw failure("binaryCrossEntropy[N=" + N + ", C=" + C + "]", status);
        }
    }

    /** loss[B,C] of a softmax over each segment's rows of logits[T,C], column by column; labels[B,C] are rows of the segment. */
    public void segmentCrossEntropy(
            Dtype dtype, long loss, long dlogits, long logits, long cuSeqlens, long labels, int ignoreLabel,
            float gradientScale, long T, long B, long C) {
        int status = Native.wb_segment_cross_entropy(
                context(), dtype.ordinal(), loss, dlogits, logits, cuSeqlens, labels, ignoreLabel, gradientScale, T, B, C);
        if (status != OK) {
            throw failure("segmentCrossEntropy[T=" + T + ", B=" + B + ", C=" + C + "]", status);
        }
    }

    /** x[R,width] = 0 in the rows whose byte of touched[R] is not 0. */
    public void zeroRows(long x, long touched, long R, long width) {
        int status = Native.wb_zero_rows(context(), x, touched, R, width);
        if (status != OK) {
            throw failure("zeroRows[R=" + R + ", width=" + width + "]", status);
        }
    }

    /** stats[3] = {norm, factor for AdamW, 1 if all finite}; workspace 2*256 floats; touched[R], or 0: all, of the first R rows. */
    public void gradientNorm(
            long stats, long workspace, long gradient, long touched, long lossScale, float maxNorm, long n, long R, long width) {
        int status = Native.wb_gradient_norm(
                context(), stats, workspace, gradient, touched, lossScale, maxNorm, n, R, width);
        if (status != OK) {
            throw failure("gradientNorm[n=" + n + ", R=" + R + ", width=" + width + "]", status);
        }
    }

    /**
     * One AdamW step over flat buffers of n elements with K segments, skipped where stats[2] is 0; rng[3] rounds bf16 moments.
     * touched[R], or 0: all, of the first R rows.
     */
    public void adamw(
            Dtype copyDtype, Dtype momentDtype, long parameter, long m, long v, long parameterCopy, long gradient,
            long touched, long stats, long hyper, long rng, long ends, long decay, long lrScale, float beta1, float beta2,
            float eps, long n, long K, long R, long width) {
        int status = Native.wb_adamw(
                context(), copyDtype.ordinal(), momentDtype.ordinal(), parameter, m, v, parameterCopy, gradient, touched,
                stats, hyper, rng, ends, decay, lrScale, beta1, beta2, eps, n, K, R, width);
        if (status != OK) {
            throw failure("adamw[n=" + n + ", K=" + K + ", R=" + R + ", width=" + width + "]", status);
        }
    }

    /** y[n] = x[n] in another type. */
    public void cast(
            long y, Dtype yDtype, long x, Dtype xDtype, long n) {
        int status = Native.wb_cast(
                context(), y, yDtype.ordinal(), x, xDtype.ordinal(), n);
        if (status != OK) {
            throw failure("cast[n=" + n + "]", status);
        }
    }
}
