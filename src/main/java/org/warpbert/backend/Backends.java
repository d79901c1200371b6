package org.warpbert.backend;

import java.io.IOException;
import java.net.URL;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.javacpp.Loader;
import org.warpbert.WarpBertException;

/** Opens a backend by name and says why where it cannot. */
public final class Backends {
    static final String PLATFORM = "linux-x86_64";
    private static final Pattern CUDA = Pattern.compile("cuda(?::([0-9]{1,3}))?");

    private Backends() {}

    /** {@link #open(String, int, Precision)} in the device's own precision. */
    public static Backend open(String device, int threads) {
        return open(device, threads, Precision.AUTO);
    }

    /**
     * Opens a device.
     *
     * @param device  "cpu"; "cuda", or "cuda:1" for another GPU than the first; or "auto": a GPU where there is one and this
     *                build can use it, else the CPU, {@link Backend#describe} saying which, and why no GPU where one was to
     *                be expected. An explicit name never falls back. "simt" runs the CUDA kernels on the CPU, thread by
     *                thread, to test and debug them.
     * @param threads host threads, 0 for as many as there are cores
     * @param precision what it is to compute in; one that the device lacks is an error
     */
    public static Backend open(String device, int threads, Precision precision) {
        if (threads < 0) {
            throw new WarpBertException("the number of threads (--threads) is " + threads + ", it must be 0 (all cores) or more");
        }
        int count = threads == 0 ? Runtime.getRuntime().availableProcessors() : threads;
        Matcher cuda = CUDA.matcher(device);
        if (cuda.matches()) {
            return cuda(cuda.group(1) == null ? 0 : Integer.parseInt(cuda.group(1)), precision);
        }
        return switch (device) {
            case "auto" -> auto(count, precision);
            case "cpu" -> cpu(count, precision, null);
            case "simt" -> new Backend("simt", library("simt"), 0, 1, precision, null);
            default -> throw new WarpBertException("device \"" + device + "\" is not known; there are auto, cpu, cuda (or cuda:N, "
                    + "the GPU's number) and simt");
        };
    }

    /** Whether the memory of a device of this kind ("cpu", "cuda", "simt") is the host's own. */
    public static boolean isHost(String kind) {
        return !kind.equals("cuda");
    }

    /**
     * Whether a device of this kind ("cpu", "cuda", "simt") captures work to be launched as one; {@code -Dwarpbert.graphs=false} says
     * no, so that a fault names its op.
     */
    public static boolean capturesGraphs(String kind) {
        return !kind.equals("cpu") && !"false".equals(System.getProperty("warpbert.graphs"));
    }

    /** Bytes that a device of this kind ("cpu", "cuda", "simt") holds once it is open, before anything is asked of it. */
    public static long heldBytes(String kind) {
        return kind.equals("cuda") ? CudaGemm.WORKSPACE_BYTES : 0;
    }

    private static Backend cpu(int threads, Precision precision, String note) {
        return new Backend("cpu", library("cpu"), 0, threads, precision, note);
    }

    private static Backend cuda(int number, Precision precision) {
        return new Backend("cuda", library("cuda"), number, 1, precision, null);
    }

    /** Where nothing speaks of a GPU, none is looked for: it would cost every start of a command. */
    private static Backend auto(int threads, Precision precision) {
        if (!CudaLibraries.driverLikely()) {
            return cpu(threads, precision, null);
        }
        try {
            return cuda(0, precision);
        } catch (WarpBertException e) {
            return cpu(threads, precision, "no GPU: " + e.getMessage());
        }
    }

    /** The path of a backend library, out of the class path into JavaCPP's cache where it is inside a jar. */
    static String library(String backend) {
        String file = "libwarpbert_" + backend + ".so";
        URL resource = Backends.class.getResource(PLATFORM + "/" + file);
        if (resource == null) {
            throw new WarpBertException("this build holds no " + file + " for " + PLATFORM + ": run "
                    + (backend.equals("cuda") ? "mvn package -Dcuda where nvcc (CUDA 13) is" : "mvn package where g++ and make are"));
        }
        try {
            return Loader.cacheResource(resource).getAbsolutePath();
        } catch (IOException e) {
            throw new WarpBertException(file + " cannot be unpacked to JavaCPP's cache: " + e.getMessage(), e);
        }
    }
}
