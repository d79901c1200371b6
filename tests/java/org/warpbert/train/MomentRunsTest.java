package org.warpbert.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.DeviceMemory;
import org.warpbert.backend.Dtype;
import org.warpbert.model.Gradients;
import org.warpbert.model.Parameters;
import org.warpbert.model.TinyBert;
import org.warpbert.model.TrainedPart;

/** bfloat16 moments where layers are frozen: what is trained is several runs of the flat buffers, rounded by one sequence of draws. */
class MomentRunsTest {
    private static final int SIZE = 256; // elements of a run that are looked at: each its own chance of one in two or so to be rounded up

    private static final Hyperparameters HYPER = new Hyperparameters(1, 1, 16, 1e-3, 0, 0, 0, null, Schedule.CONSTANT, 0, 0, 42, false); // clips nothing

    /** The first moments after a step of the same gradient everywhere, as they are kept. */
    private static byte[] moments(Backend backend, TinyBert tiny, int frozenLevels) throws IOException {
        try (Parameters parameters = tiny.parameters(backend);
                Gradients gradients = new Gradients(backend, new TrainedPart(parameters.table(), frozenLevels));
                AdamW optimizer = new AdamW(backend, parameters, gradients, Dtype.BF16, HYPER, slice -> 1);
                DeviceMemory same = backend.allocate("the same gradient", gradients.part().size() * Float.BYTES)) {
            byte[] words = new byte[Math.toIntExact(gradients.touched().rows())];
            Arrays.fill(words, (byte) 1);
            gradients.touch(words);
            float[] values = new float[Math.toIntExact(gradients.part().size())];
            Arrays.fill(values, 0.3f);
            same.upload(values);
            backend.copy(gradients.address(), same.address(), same.bytes());
            optimizer.step(1e-3, 1);
            ByteArrayOutputStream kept = new ByteArrayOutputStream();
            optimizer.write(kept);
            return kept.toByteArray();
        }
    }

    @Test
    void anElementIsRoundedAlikeWhateverIsFrozen() throws IOException {
        TinyBert tiny = new TinyBert(32, 2, 64, 3, Activation.GELU, 0, 2, 5);
        try (Backend backend = Backends.open("cpu", 2); Parameters parameters = tiny.parameters(backend)) {
            TrainedPart part = new TrainedPart(parameters.table(), 2);
            List<TrainedPart.Run> runs = part.runs();
            assertNotEquals(1, runs.size());
            byte[] all = moments(backend, tiny, 0);
            byte[] some = moments(backend, tiny, 2);
            byte[] first = null;
            for (TrainedPart.Run run : runs) {
                int size = (int) Math.min(SIZE, run.count()) * Short.BYTES;
                byte[] kept = slice(some, run.at(), size);
                assertEquals(Arrays.toString(slice(all, run.from(), size)), Arrays.toString(kept), run.toString());
                assertFalse(Arrays.equals(first, kept), "the draws of another run");
                first = first == null ? kept : first;
            }
        }
    }

    private static byte[] slice(byte[] moments, long element, int bytes) {
        int at = Math.toIntExact(element) * Short.BYTES;
        return Arrays.copyOfRange(moments, at, at + bytes);
    }
}
