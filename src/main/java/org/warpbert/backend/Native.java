package org.warpbert.backend;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerPointer;
import org.bytedeco.javacpp.annotation.Cast;
import org.bytedeco.javacpp.annotation.Platform;
import org.warpbert.WarpBertException;

/**
 * native/include/warpbert.h as Java sees it, name for name. Device addresses and host addresses are plain longs, so
 * that a call allocates nothing; JavaCPP writes the glue from this class at build time, and the C++ compiler checks
 * the argument counts and types against the header. What each function does stands there.
 */
@Platform(value = "linux-x86_64", include = {"stdlib.h", "warpbert.h", "blas.h"}, library = "jniwarpbert")
final class Native {
    /**
     * JavaCPP allows the whole process four times the Java heap, and beyond that collects garbage in a loop and throws
     * OutOfMemoryError: a small heap beside large weights is just what a server has.
     */
    private static final String PROCESS_LIMIT = "org.bytedeco.javacpp.maxphysicalbytes";

    private static boolean loaded;

    private Native() {}

    /** Loads the library; on failure says why, each time it is asked. Before any other method of this class. */
    static synchronized void load() {
        if (!loaded) {
            if (System.getProperty(PROCESS_LIMIT) == null) { // a user's own setting stands; JavaCPP reads it once, with its first pointer
                System.setProperty(PROCESS_LIMIT, "0");
            }
            try {
                Loader.load(Native.class);
            } catch (LinkageError e) {
                // the loader's true reason is in the cause
                throw new WarpBertException("the native library cannot be loaded: "
                        + (e.getCause() != null ? e.getCause() : e).getMessage(), e);
            }
            loaded = true;
        }
    }

    static native int setenv(String name, String value, int overwrite);
    static native int unsetenv(String name);
    static native int wb_blas_needed();
    static native int wb_blas_has_bf16();
    static native @Cast("const char*") BytePointer wb_blas_core();
    @Cast("wb_status") static native int wb_blas_sgemm(
            @Cast("wb_context*") long ctx, int threads, int bf16, int transposeA, int transposeB, int m, int n, int k,
            @Cast("const float*") long a, int lda, @Cast("const float*") long b, int ldb, float beta, @Cast("float*") long c,
            int ldc);
    @Cast("wb_status") static native int wb_blas_pack(@Cast("wb_context*") long ctx, int threads, int bf16, int n, int k, @Cast("float*") long w);
    @Cast("wb_status") static native int wb_blas_sgemm_packed(@Cast("wb_context*") long ctx, int threads, int bf16, int m, int n, int k,
            @Cast("const float*") long a, @Cast("const float*") long w, @Cast("float*") long c);

    @Cast("wb_status") static native int wb_open(@Cast("wb_context**") PointerPointer<?> ctx, String path, int device, int threads);
    @Cast("wb_status") static native int wb_close(@Cast("wb_context*") long ctx);
    static native @Cast("const char*") BytePointer wb_last_error();

    @Cast("wb_status") static native int wb_describe(@Cast("wb_context*") long ctx, @Cast("char*") BytePointer text, @Cast("int64_t") long capacity);
    @Cast("wb_status") static native int wb_memory_info(@Cast("wb_context*") long ctx, @Cast("int64_t*") LongPointer free, @Cast("int64_t*") LongPointer total);
    @Cast("wb_status") static native int wb_alloc(@Cast("wb_context*") long ctx, @Cast("void**") PointerPointer<?> address, @Cast("int64_t") long bytes);
    @Cast("wb_status") static native int wb_free(@Cast("wb_context*") long ctx, @Cast("void*") long address);
    @Cast("wb_status") static native int wb_alloc_host(@Cast("wb_context*") long ctx, @Cast("void**") PointerPointer<?> address, @Cast("int64_t") long bytes);
    @Cast("wb_status") static native int wb_free_host(@Cast("wb_context*") long ctx, @Cast("void*") long address);
    @Cast("wb_status") static native int wb_upload(@Cast("wb_context*") long ctx, @Cast("void*") long destination, @Cast("const void*") long source, @Cast("int64_t") long bytes);
    @Cast("wb_status") static native int wb_download(@Cast("wb_context*") long ctx, @Cast("void*") long destination, @Cast("const void*") long source, @Cast("int64_t") long bytes);
    @Cast("wb_status") static native int wb_copy(@Cast("wb_context*") long ctx, @Cast("void*") long destination, @Cast("const void*") long source, @Cast("int64_t") long bytes);
    @Cast("wb_status") static native int wb_zero(@Cast("wb_context*") long ctx, @Cast("void*") long destination, @Cast("int64_t") long bytes);
    @Cast("wb_status") static native int wb_synchronize(@Cast("wb_context*") long ctx);
    @Cast("wb_status") static native int wb_download_async(@Cast("wb_context*") long ctx, @Cast("void*") long destination, @Cast("const void*") long source, @Cast("int64_t") long bytes);
    @Cast("wb_status") static native int wb_event_create(@Cast("wb_context*") long ctx, @Cast("wb_event**") PointerPointer<?> event, int timed);
    @Cast("wb_status") static native int wb_event_destroy(@Cast("wb_context*") long ctx, @Cast("wb_event*") long event);
    @Cast("wb_status") static native int wb_event_record(@Cast("wb_context*") long ctx, @Cast("wb_event*") long event);
    @Cast("wb_status") static native int wb_event_wait(@Cast("wb_context*") long ctx, @Cast("wb_event*") long event);
    @Cast("wb_status") static native int wb_event_elapsed(@Cast("wb_context*") long ctx, DoublePointer seconds, @Cast("wb_event*") long begin, @Cast("wb_event*") long end);
    @Cast("wb_status") static native int wb_capture_begin(@Cast("wb_context*") long ctx);
    @Cast("wb_status") static native int wb_capture_end(@Cast("wb_context*") long ctx, @Cast("wb_graph**") PointerPointer<?> graph);
    @Cast("wb_status") static native int wb_graph_launch(@Cast("wb_context*") long ctx, @Cast("wb_graph*") long graph);
    @Cast("wb_status") static native int wb_graph_destroy(@Cast("wb_context*") long ctx, @Cast("wb_graph*") long graph);
    @Cast("wb_status") static native int wb_stream(@Cast("wb_context*") long ctx, @Cast("void**") PointerPointer<?> stream);

    @Cast("wb_status") static native int wb_embeddings_forward(
            @Cast("wb_context*") long ctx, @Cast("wb_dtype") int dtype, @Cast("void*") long y,
            @Cast("float*") long mean, @Cast("float*") long rstd, @Cast("const float*") long word,
            @Cast("const float*") long position, @Cast("const float*") long segment, @Cast("const float*") long gamma,
            @Cast("const float*") long beta, @Cast("const int32_t*") long tokens,
            @Cast("const int32_t*") long positions, @Cast("const int32_t*") long segments, float eps, float dropout,
            int site, @Cast("const int64_t*") long rng, @Cast("const int32_t*") long dropoutRows,
            @Cast("int64_t") long T, @Cast("int64_t") long H, @Cast("int64_t") long V, @Cast("int64_t") long P,
            @Cast("int64_t") long S);

    @Cast("wb_status") static native int wb_embeddings_backward(
            @Cast("wb_context*") long ctx, @Cast("wb_dtype") int dtype, @Cast("float*") long dword,
            @Cast("float*") long dposition, @Cast("float*") long dsegment, @Cast("float*") long dgamma,
            @Cast("float*") long dbeta, @Cast("uint8_t*") long touched, @Cast("float*") long workspace, @Cast("const void*") long dy,
            @Cast("const float*") long mean, @Cast("const float*") long rstd, @Cast("const float*") long word,
            @Cast("const float*") long position, @Cast("const float*") long segment, @Cast("const float*") long gamma,
            @Cast("const int32_t*") long tokens, @Cast("const int32_t*") long positions,
            @Cast("const int32_t*") long segments, @Cast("const int32_t*") long wordOrder,
            @Cast("const int32_t*") long positionOrder, float dropout, int site, @Cast("const int64_t*") long rng,
            @Cast("const int32_t*") long dropoutRows, @Cast("int64_t") long T, @Cast("int64_t") long H,
            @Cast("int64_t") long V, @Cast("int64_t") long P, @Cast("int64_t") long S);

    @Cast("wb_status") static native int wb_bias_activation_forward(
            @Cast("wb_context*") long ctx, @Cast("wb_dtype") int dtype, @Cast("void*") long y,
            @Cast("const void*") long x, @Cast("const float*") long bias, @Cast("wb_activation") int activation,
            @Cast("int64_t") long N, @Cast("int64_t") long C);

    @Cast("wb_status") static native int wb_bias_activation_backward(
            @Cast("wb_context*") long ctx, @Cast("wb_dtype") int dtype, @Cast("void*") long dx,
            @Cast("float*") long dbias, @Cast("float*") long workspace, @Cast("const void*") long dy,
            @Cast("const void*") long x, @Cast("const float*") long bias, @Cast("wb_activation") int activation,
            @Cast("int64_t") long N, @Cast("int64_t") long C);

    @Cast("wb_status") static native int wb_residual_layernorm_forward(
            @Cast("wb_context*") long ctx, @Cast("wb_dtype") int dtype, @Cast("void*") long y, @Cast("void*") long z,
            @Cast("float*") long mean, @Cast("float*") long rstd, @Cast("const void*") long x,
            @Cast("const float*") long bias, @Cast("const void*") long residual, @Cast("const float*") long gamma,
            @Cast("const float*") long beta, float eps, float dropout, int site, @Cast("const int64_t*") long rng,
            @Cast("const int32_t*") long dropoutRows, @Cast("int64_t") long T, @Cast("int64_t") long H);

    @Cast("wb_status") static native int wb_residual_layernorm_backward(
            @Cast("wb_context*") long ctx, @Cast("wb_dtype") int dtype, @Cast("void*") long dx,
            @Cast("void*") long dresidual, @Cast("float*") long dbias, @Cast("float*") long dgamma,
            @Cast("float*") long dbeta, @Cast("float*") long workspace, @Cast("const void*") long dy,
            @Cast("const void*") long z, @Cast("const float*") long mean, @Cast("const float*") long rstd,
            @Cast("const float*") long gamma, float dropout, int site, @Cast("const int64_t*") long rng,
            @Cast("const int32_t*") long dropoutRows, @Cast("int64_t") long T, @Cast("int64_t") long H);

    @Cast("wb_status") static native int wb_attention_forward(
            @Cast("wb_context*") long ctx, @Cast("wb_dtype") int dtype, @Cast("void*") long out,
            @Cast("float*") long lse, @Cast("const void*") long qkv, @Cast("const int32_t*") long cuSeqlens,
            @Cast("const uint8_t*") long keyMask, float scale, float dropout, int site,
            @Cast("const int64_t*") long rng, @Cast("const int32_t*") long dropoutRows, @Cast("int64_t") long T,
            @Cast("int64_t") long B, @Cast("int64_t") long A, @Cast("int64_t") long D, @Cast("int64_t") long maxSeqlen,
            @Cast("int64_t") long queries);

    @Cast("wb_status") static native int wb_attention_backward(
            @Cast("wb_context*") long ctx, @Cast("wb_dtype") int dtype, @Cast("void*") long dqkv,
            @Cast("float*") long dbias, @Cast("float*") long workspace, @Cast("const void*") long dout, @Cast("const void*") long out,
            @Cast("const float*") long lse, @Cast("const void*") long qkv, @Cast("const int32_t*") long cuSeqlens,
            @Cast("const uint8_t*") long keyMask, float scale, float dropout, int site,
            @Cast("const int64_t*") long rng, @Cast("const int32_t*") long dropoutRows, @Cast("int64_t") long T,
            @Cast("int64_t") long B, @Cast("int64_t") long A, @Cast("int64_t") long D, @Cast("int64_t") long maxSeqlen,
            @Cast("int64_t") long queries);

    @Cast("wb_status") static native int wb_gather_rows_forward(
            @Cast("wb_context*") long ctx, @Cast("wb_dtype") int dtype, @Cast("void*") long y,
            @Cast("const void*") long x, @Cast("const int32_t*") long rows, @Cast("int64_t") long N,
            @Cast("int64_t") long T, @Cast("int64_t") long H);

    @Cast("wb_status") static native int wb_gather_rows_backward(
            @Cast("wb_context*") long ctx, @Cast("wb_dtype") int dtype, @Cast("void*") long dx,
            @Cast("const void*") long dy, @Cast("const int32_t*") long rows, @Cast("int64_t") long N,
            @Cast("int64_t") long T, @Cast("int64_t") long H);

    @Cast("wb_status") static native int wb_dropout_forward(
            @Cast("wb_context*") long ctx, @Cast("wb_dtype") int dtype, @Cast("void*") long y,
            @Cast("const void*") long x, float dropout, int site, @Cast("const int64_t*") long rng,
            @Cast("const int32_t*") long dropoutRows, @Cast("int64_t") long N, @Cast("int64_t") long C);

    @Cast("wb_status") static native int wb_dropout_backward(
            @Cast("wb_context*") long ctx, @Cast("wb_dtype") int dtype, @Cast("void*") long dx,
            @Cast("const void*") long dy, float dropout, int site, @Cast("const int64_t*") long rng,
            @Cast("const int32_t*") long dropoutRows, @Cast("int64_t") long N, @Cast("int64_t") long C);

    @Cast("wb_status") static native int wb_cross_entropy(
            @Cast("wb_context*") long ctx, @Cast("wb_dtype") int dtype, @Cast("float*") long loss,
            @Cast("void*") long dlogits, @Cast("const void*") long logits, @Cast("const int32_t*") long labels,
            @Cast("const float*") long classWeights, float smoothing, int ignoreLabel, float gradientScale,
            @Cast("int64_t") long N, @Cast("int64_t") long C, @Cast("int64_t") long stride);

    @Cast("wb_status") static native int wb_mean_squared_error(
            @Cast("wb_context*") long ctx, @Cast("wb_dtype") int dtype, @Cast("float*") long loss,
            @Cast("void*") long dprediction, @Cast("const void*") long prediction, @Cast("const float*") long target,
            float gradientScale, @Cast("int64_t") long N, @Cast("int64_t") long C);

    @Cast("wb_status") static native int wb_binary_cross_entropy(
            @Cast("wb_context*") long ctx, @Cast("wb_dtype") int dtype, @Cast("float*") long loss,
            @Cast("void*") long dlogits, @Cast("const void*") long logits, @Cast("const float*") long target,
            @Cast("const float*") long classWeights, float gradientScale, @Cast("int64_t") long N,
            @Cast("int64_t") long C);

    @Cast("wb_status") static native int wb_segment_cross_entropy(
            @Cast("wb_context*") long ctx, @Cast("wb_dtype") int dtype, @Cast("float*") long loss,
            @Cast("void*") long dlogits, @Cast("const void*") long logits, @Cast("const int32_t*") long cuSeqlens,
            @Cast("const int32_t*") long labels, int ignoreLabel, float gradientScale, @Cast("int64_t") long T,
            @Cast("int64_t") long B, @Cast("int64_t") long C);

    @Cast("wb_status") static native int wb_zero_rows(
            @Cast("wb_context*") long ctx, @Cast("float*") long x, @Cast("const uint8_t*") long touched, @Cast("int64_t") long R,
            @Cast("int64_t") long width);

    @Cast("wb_status") static native int wb_gradient_norm(
            @Cast("wb_context*") long ctx, @Cast("float*") long stats, @Cast("float*") long workspace,
            @Cast("const float*") long gradient, @Cast("const uint8_t*") long touched, @Cast("const float*") long lossScale,
            float maxNorm, @Cast("int64_t") long n, @Cast("int64_t") long R, @Cast("int64_t") long width);

    @Cast("wb_status") static native int wb_adamw(
            @Cast("wb_context*") long ctx, @Cast("wb_dtype") int copyDtype, @Cast("wb_dtype") int momentDtype,
            @Cast("float*") long parameter, @Cast("void*") long m, @Cast("void*") long v, @Cast("void*") long parameterCopy,
            @Cast("const float*") long gradient, @Cast("const uint8_t*") long touched, @Cast("const float*") long stats,
            @Cast("const float*") long hyper,
            @Cast("const int64_t*") long rng, @Cast("const int64_t*") long ends, @Cast("const float*") long decay,
            @Cast("const float*") long lrScale, float beta1, float beta2, float eps, @Cast("int64_t") long n,
            @Cast("int64_t") long K, @Cast("int64_t") long R, @Cast("int64_t") long width);

    @Cast("wb_status") static native int wb_cast(
            @Cast("wb_context*") long ctx, @Cast("void*") long y, @Cast("wb_dtype") int yDtype,
            @Cast("const void*") long x, @Cast("wb_dtype") int xDtype, @Cast("int64_t") long n);
}
