package org.warpbert.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.warpbert.WarpBertException;

/** What becomes of "cuda" and "auto" on machines whose driver cannot be used. */
class DeviceChoiceTest {
    /** One line for each device that is named. */
    public static final class Opens {
        private Opens() {}

        public static void main(String[] devices) {
            for (String device : devices) {
                try (Backend backend = Backends.open(device, 1)) {
                    System.out.println("opened " + backend.describe());
                } catch (WarpBertException e) {
                    System.out.println("failed " + e.getMessage());
                }
            }
        }
    }

    private static String reason(String driver) {
        return CudaLibraries.built() ? "the cuda backend cannot be opened: " + driver : "this build holds no libwarpbert_cuda.so";
    }

    private static void check(String reason, List<String> out) {
        assertEquals(3, out.size(), out.toString()); // a line each
        assertTrue(out.get(0).startsWith("failed " + reason), out.get(0));
        assertTrue(out.get(1).startsWith("failed " + reason), out.get(1));
        assertTrue(out.get(2).startsWith("opened CPU: ") && out.get(2).contains("; no GPU: " + reason), out.get(2));
    }

    @Test
    void anOldDriverIsNamedAndAutoGoesOnWithTheCpu() throws IOException, InterruptedException {
        check(reason("the NVIDIA driver is too old: it is for CUDA 12.4"),
                OtherJvm.run(List.of(OtherJvm.OLD_DRIVER), Opens.class, "cuda", "cuda:1", "auto").done());
    }

    @Test
    void aDriverThatCannotBeUsedIsNone() throws IOException, InterruptedException {
        check(reason("no NVIDIA driver (libcuda.so.1) was found"),
                OtherJvm.run(List.of(OtherJvm.EMPTY), Opens.class, "cuda", "cuda:1", "auto").done());
    }
}
