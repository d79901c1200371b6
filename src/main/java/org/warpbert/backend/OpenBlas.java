package org.warpbert.backend;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.openblas.global.openblas_nolapack;
import org.warpbert.WarpBertException;

/**
 * Loads WarpBERT's own copy of OpenBLAS once per process.
 *
 * <p>OpenBLAS picks its kernels when it is loaded, and obeys an inherited OPENBLAS_CORETYPE. That variable is commonly
 * left in an environment for some other program's sake, and costs a factor of two to four where it names narrower
 * vectors than the CPU has. So it is set aside while our copy loads, and OpenBLAS asks the CPU; a core type that is
 * meant for WarpBERT is given as {@code WARPBERT_BLAS_CORE} (or {@code -Dwarpbert.blas.core}), in OpenBLAS's names
 * (Haswell, SkylakeX, Zen, …). OPENBLAS_L2_SIZE is set aside likewise.
 */
final class OpenBlas {
    private static final String[] SET_ASIDE = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"};

    private static boolean loaded;

    private OpenBlas() {}

    /** Loads OpenBLAS; on failure says why, each time it is asked. */
    static synchronized void load() {
        if (loaded) {
            return;
        }
        Native.load();
        String[] inherited = new String[SET_ASIDE.length];
        for (int i = 0; i < SET_ASIDE.length; i++) {
            inherited[i] = System.getenv(SET_ASIDE[i]);
            Native.unsetenv(SET_ASIDE[i]);
        }
        String core = System.getProperty("warpbert.blas.core", System.getenv("WARPBERT_BLAS_CORE"));
        if (core != null) {
            Native.setenv(SET_ASIDE[0], core, 1);
        }
        try {
            Loader.load(openblas_nolapack.class);
        } catch (LinkageError e) {
            // the loader's true reason is in the cause
            throw new WarpBertException("OpenBLAS cannot be loaded: " + (e.getCause() != null ? e.getCause() : e).getMessage(), e);
        } finally {
            for (int i = 0; i < SET_ASIDE.length; i++) {
                if (inherited[i] != null) {
                    Native.setenv(SET_ASIDE[i], inherited[i], 1);
                } else {
                    Native.unsetenv(SET_ASIDE[i]);
                }
            }
        }
        loaded = true;
    }

    /** OpenBLAS's name for the kernels in use, such as SkylakeX. */
    static String core() {
        try (BytePointer name = Native.wb_blas_core()) {
            return name == null ? "unknown" : name.getString();
        }
    }
}
