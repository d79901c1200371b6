package org.warpbert.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.CudaLibraries;
import org.warpbert.cli.Doctor.Finding;
import org.warpbert.cli.Doctor.State;

/**
 * {@link Doctor}'s part on GPUs. A machine without a driver is well: the CPU computes. Where there is one, what keeps it from
 * being used is a warning, with the one thing to do next.
 */
final class DoctorCuda {
    private static final int MOST_DEVICES = 16;
    /** An independent reference on the device, for checks; nothing else uses it. */
    private static final String CUDNN = "libcudnn.so.9";

    private DoctorCuda() {}

    static List<Finding> examine() {
        List<Finding> findings = new ArrayList<>();
        findings.add(finding("nvcc", nvcc(), null));
        String driver = driver();
        findings.add(finding("nvidia driver", driver == null ? "none" : driver, null));
        findings.add(libraries(driver != null));
        findings.add(devices(driver != null));
        return findings;
    }

    private static Finding finding(String name, String detail, String remedy) {
        return new Finding(name, remedy == null ? State.OK : State.WARNING, false, detail, remedy);
    }

    private static String nvcc() {
        String text = Doctor.output("nvcc", "--version");
        if (text == null) {
            return "not found; it builds the CUDA kernels";
        }
        Matcher release = Pattern.compile("release ([0-9.]+)").matcher(text);
        return release.find() ? "CUDA " + release.group(1) : text.lines().findFirst().orElse("");
    }

    /** The kernel's line on the driver, or where its library is, or null. */
    private static String driver() {
        String version = Doctor.lines(Path.of("/proc/driver/nvidia/version")).stream().findFirst().orElse(null);
        List<Path> libraries = CudaLibraries.found(CudaLibraries.DRIVER);
        String library = libraries.isEmpty() ? CudaLibraries.DRIVER + " not found" : libraries.get(0).toString();
        return version == null ? libraries.isEmpty() ? null : library : version + "; " + library;
    }

    private static Finding libraries(boolean driver) {
        List<String> lines = new ArrayList<>();
        lines.add("cudart for the kernels is in libwarpbert_cuda.so");
        List<String> missing = new ArrayList<>();
        for (String library : CudaLibraries.NEEDED) {
            List<Path> places = places(library);
            lines.add(places.isEmpty() ? library + " not found" : places.stream().map(Path::toString).collect(Collectors.joining(" and ")));
            if (places.isEmpty()) {
                missing.add(library);
            }
        }
        List<Path> cudnn = places(CUDNN);
        lines.add(cudnn.isEmpty() ? CUDNN + " (for checks only) not found" : cudnn.get(0).toString());
        return finding("cuda libraries", String.join(", ", lines), driver && !missing.isEmpty() ? remedy(missing) : null);
    }

    /** Where it will be taken from. */
    private static List<Path> places(String library) {
        List<Path> found = CudaLibraries.found(library);
        return found.isEmpty() ? CudaLibraries.elsewhere(library) : found;
    }

    private static String remedy(List<String> missing) {
        return "install CUDA 13's " + String.join(", ", missing) + ": packages cuda-cudart-13-x and libcublas-13-x of NVIDIA's repository, or "
                + "nvidia-cublas and nvidia-cuda-runtime of Python's; or put their folders in LD_LIBRARY_PATH";
    }

    /** Opens every GPU, as a command would. */
    private static Finding devices(boolean driver) {
        if (!CudaLibraries.built()) {
            return finding("cuda", "the kernels are not in this build", driver ? "build them where nvcc is: mvn package -Dcuda" : null);
        }
        if (!driver) {
            return finding("cuda", "the kernels are in this build; without a driver the CPU computes", null);
        }
        List<String> devices = new ArrayList<>();
        for (int number = 0; number < MOST_DEVICES; number++) {
            try (Backend backend = Backends.open("cuda:" + number, 0)) {
                devices.add(number + ": " + backend.describe());
            } catch (WarpBertException e) {
                if (number == 0) {
                    return finding("cuda", e.getMessage(), "until this is mended, --device auto takes the CPU");
                }
                break; // there are no more
            }
        }
        return finding("cuda", String.join("; ", devices), null);
    }
}
