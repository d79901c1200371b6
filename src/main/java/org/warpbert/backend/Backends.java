package org.warpbert.backend;

import java.io.IOException;
import java.net.URL;
import org.bytedeco.javacpp.Loader;
import org.warpbert.WarpBertException;

/** Opens a backend by name and says why where it cannot. */
public final class Backends {
    private static final String PLATFORM = "linux-x86_64";

    private Backends() {}

    /**
     * Opens a device.
     *
     * @param device  "cpu", or "auto": the fastest there is. An explicit name never falls back. "simt" runs the CUDA
     *                kernels on the CPU, thread by thread, to test and debug them.
     * @param threads host threads, 0 for as many as there are cores
     */
    public static Backend open(String device, int threads) {
        if (threads < 0) {
            throw new WarpBertException("--threads is " + threads + ", it must be 0 (all cores) or more");
        }
        int count = threads == 0 ? Runtime.getRuntime().availableProcessors() : threads;
        return switch (device) {
            case "auto", "cpu" -> new Backend("cpu", library("cpu"), 0, count);
            case "simt" -> new Backend("simt", library("simt"), 0, 1);
            default -> throw new WarpBertException("device \"" + device + "\" is not known to this build; there are auto, cpu and simt");
        };
    }

    /** The path of a backend library, out of the class path into JavaCPP's cache where it is inside a jar. */
    static String library(String backend) {
        String file = "libwarpbert_" + backend + ".so";
        URL resource = Backends.class.getResource(PLATFORM + "/" + file);
        if (resource == null) {
            throw new WarpBertException("this build holds no " + file + " for " + PLATFORM + ": run mvn package where g++ and make are");
        }
        try {
            return Loader.cacheResource(resource).getAbsolutePath();
        } catch (IOException e) {
            throw new WarpBertException(file + " cannot be unpacked to JavaCPP's cache: " + e.getMessage(), e);
        }
    }
}
