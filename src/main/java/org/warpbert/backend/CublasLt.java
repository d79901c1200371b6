package org.warpbert.backend;

import org.bytedeco.cuda.presets.cublas;
import org.bytedeco.javacpp.Loader;
import org.warpbert.WarpBertException;

/** Loads cuBLAS 13 once per process. The bindings come with WarpBERT, the libraries are the machine's. */
final class CublasLt {
    private static boolean loaded;
    private static WarpBertException failed;

    private CublasLt() {}

    /** Loads the library; on failure says why, each time it is asked: the JVM keeps the reason for the first time only. */
    static synchronized void load() {
        if (failed != null) {
            throw new WarpBertException(failed.getMessage(), failed);
        }
        if (!loaded) {
            try {
                CudaLibraries.loadFromElsewhere(CudaLibraries.NEEDED);
                Loader.load(cublas.class);
                loaded = true;
            } catch (LinkageError e) {
                failed = new WarpBertException("cuBLAS 13 cannot be loaded: " + reason(e) + ". Install CUDA 13's cuBLAS and runtime "
                        + "(libcublas-13-x and cuda-cudart-13-x in NVIDIA's Debian packages), or put the folders of "
                        + "libcublasLt.so.13 and libcudart.so.13 in LD_LIBRARY_PATH", e);
                throw failed;
            }
        }
    }

    /** The loader's own words, without the path of the bindings that ask: "libcublas.so.13: cannot open …". */
    static String reason(LinkageError e) {
        String message = String.valueOf((e.getCause() != null ? e.getCause() : e).getMessage());
        return message.replaceFirst("^\\S*/libjni\\w+\\.so: ", "");
    }
}
