package org.warpbert.backend;

import java.io.File;
import java.io.IOException;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import org.bytedeco.javacpp.Loader;

/**
 * Where the machine's CUDA libraries are: looked for as the dynamic loader does, and in the places that it does not look in
 * of itself.
 */
public final class CudaLibraries {
    /** The driver; libwarpbert_cuda looks for it by this name. */
    public static final String DRIVER = "libcuda.so.1";
    /** What the matrix products need beside the driver, in the order in which they are loaded. */
    public static final List<String> NEEDED = List.of("libcudart.so.13", "libcublasLt.so.13", "libcublas.so.13");

    private static final List<Path> SYSTEM = List.of(Path.of("/lib/x86_64-linux-gnu"), Path.of("/usr/lib/x86_64-linux-gnu"), Path.of("/lib64"),
            Path.of("/usr/lib64"), Path.of("/usr/lib/wsl/lib"));

    private static final Path BINDINGS = Path.of("/usr/local/cuda-13.1/targets/x86_64-linux/lib"); // what JavaCPP's were linked for

    private CudaLibraries() {}

    /** Whether a driver is likely to be found: cheap, for what opens a GPU only where there may be one. */
    static boolean driverLikely() {
        return Files.exists(Path.of("/proc/driver/nvidia/version")) || Files.exists(Path.of("/dev/nvidiactl")) || !in(folders(), DRIVER).isEmpty();
    }

    /** Whether this build has our own library, the kernels. */
    public static boolean built() {
        return Backends.class.getResource(Backends.PLATFORM + "/libwarpbert_cuda.so") != null;
    }

    /** Every place where a library will be found, the one that is taken first; empty where there is none. */
    public static List<Path> found(String library) {
        LinkedHashSet<Path> places = new LinkedHashSet<>();
        Path extracted = extracted(library);
        if (extracted != null) {
            places.add(extracted);
        }
        places.addAll(in(path("LD_LIBRARY_PATH"), library));
        places.addAll(loaderCache(library));
        places.addAll(in(SYSTEM, library));
        places.addAll(in(List.of(BINDINGS), library));
        return List.copyOf(places);
    }

    /** Out of a jar of JavaCPP's on the class path (cuda-redist holds NVIDIA's libraries), from its cache. */
    private static Path extracted(String library) {
        URL resource = CudaLibraries.class.getResource("/org/bytedeco/cuda/" + Backends.PLATFORM + "/" + library);
        try {
            return resource == null ? null : Loader.cacheResource(resource).toPath();
        } catch (IOException e) {
            return null; // it cannot be unpacked, and so will not be found
        }
    }

    /**
     * Places where a library lies and the dynamic loader does not look: toolkits under /usr/local/cuda*, and NVIDIA's Python
     * packages (nvidia/cu13/lib in site-packages) of the active environment, the user's, the system's and the Python's on the PATH.
     */
    public static List<Path> elsewhere(String library) {
        List<Path> folders = new ArrayList<>();
        children(Path.of("/usr/local"), "cuda*").forEach(toolkit -> folders.add(toolkit.resolve("lib64")));
        for (String prefix : Arrays.asList(System.getenv("VIRTUAL_ENV"), System.getenv("CONDA_PREFIX"), System.getProperty("user.home") + "/.local", "/usr/local", "/usr")) {
            for (Path python : prefix == null ? List.<Path>of() : children(Path.of(prefix, "lib"), "python3*")) {
                for (String packages : List.of("site-packages", "dist-packages")) {
                    folders.addAll(nvidia(python.resolve(packages)));
                }
            }
        }
        PythonPath.FOLDERS.forEach(packages -> folders.addAll(nvidia(packages)));
        List<Path> there = new ArrayList<>(in(folders, library));
        there.removeAll(found(library));
        return there;
    }

    /** Those that the dynamic loader would not find are loaded by their path, in this order: bindings then find them by their name. */
    public static void loadFromElsewhere(List<String> libraries) {
        for (String library : libraries) {
            if (found(library).isEmpty()) {
                elsewhere(library).stream().findFirst().ifPresent(file -> System.load(file.toAbsolutePath().toString()));
            }
        }
    }

    /** Where NVIDIA's packages among Python's keep their libraries. */
    private static List<Path> nvidia(Path packages) {
        return children(packages.resolve("nvidia"), "*").stream().map(part -> part.resolve("lib")).toList();
    }

    /** Where the Python on the PATH looks for packages, in its own words, asked once: it may be a link or a script that leads anywhere. */
    private static final class PythonPath {
        static final List<Path> FOLDERS = lines("python3", "-c", "import sys; print('\\n'.join(sys.path))").stream()
                .filter(line -> line.startsWith("/")).map(Path::of).toList();
    }

    /** Sorted; none where there is no such folder. */
    private static List<Path> children(Path folder, String glob) {
        List<Path> children = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder, glob)) {
            entries.forEach(children::add);
        } catch (IOException e) {
            return List.of();
        }
        children.sort(null);
        return children;
    }

    private static Collection<Path> folders() {
        List<Path> folders = new ArrayList<>(path("LD_LIBRARY_PATH"));
        folders.addAll(SYSTEM);
        return folders;
    }

    private static List<Path> in(Collection<Path> folders, String library) {
        return folders.stream().map(folder -> folder.resolve(library)).filter(Files::exists).toList();
    }

    private static List<Path> path(String variable) {
        String value = System.getenv(variable);
        return value == null ? List.of() : Arrays.stream(value.split(File.pathSeparator)).filter(s -> !s.isBlank()).map(Path::of).toList();
    }

    /** What {@code ldconfig -p} knows: lines such as "libz.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libz.so.1". */
    private static List<Path> loaderCache(String library) {
        for (String command : List.of("/sbin/ldconfig", "/usr/sbin/ldconfig", "ldconfig")) {
            List<String> lines = lines(command, "-p");
            if (!lines.isEmpty()) {
                return lines.stream().filter(line -> line.strip().startsWith(library + " ") && line.contains("x86-64") && line.contains("=> "))
                        .map(line -> Path.of(line.substring(line.indexOf("=> ") + 3).strip())).toList();
            }
        }
        return List.of();
    }

    /** What a command prints; nothing where it cannot be run. */
    private static List<String> lines(String... command) {
        try {
            Process process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
            process.getOutputStream().close();
            return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).lines().toList();
        } catch (IOException e) {
            return List.of(); // no such command
        }
    }
}
