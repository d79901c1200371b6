package org.warpbert.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.warpbert.WarpBertException;
import org.warpbert.backend.Activation;
import org.warpbert.backend.Backend;
import org.warpbert.backend.Backends;
import org.warpbert.backend.OutOfDeviceMemory;
import org.warpbert.text.BatchSizes;
import org.warpbert.text.PackedBatch;

/** What a planned model does where memory is refused over and over. */
class PlannedModelTest {
    private static final TinyBert TINY = new TinyBert(24, 3, 31, 2, Activation.GELU, 0, 3, 10);

    /** A head whose forward is refused memory so many times. */
    private static final class Refused extends NoLayers {
        private int left;

        private Refused(int times) {
            super(OutputRows.ALL);
            left = times;
        }

        @Override
        public void forward(Pass pass) {
            if (left-- > 0) {
                throw new OutOfDeviceMemory("nothing for the head");
            }
        }
    }

    /** The parts in which a batch was computed, and the notes. */
    private static List<String> infer(int refusals, List<PackedBatch> parts) {
        PackedBatch batch = PackedBatch.of(TinyBert.sequences(1, 9, 7, 11, 5), null);
        List<String> notes = new ArrayList<>();
        try (Backend backend = Backends.open("cpu", 1); Parameters parameters = TINY.parameters(backend);
                PlannedModel model = PlannedModel.inference(backend, TINY.config, parameters, new Refused(refusals), BatchSizes.of(batch), notes::add)) {
            model.infer(batch, false, (pass, part) -> parts.add(part));
        }
        return notes;
    }

    /** The same plan once more, then smaller ones. */
    @Test
    void isMadeSmallerUntilItIsGranted() {
        List<PackedBatch> parts = new ArrayList<>();
        assertEquals(1, infer(1, parts).size());
        assertEquals(1, parts.size());
        parts.clear();
        List<String> notes = infer(4, parts);
        assertEquals(4, notes.size());
        assertTrue(notes.get(3).contains("nothing for the head"), notes.get(3));
        assertTrue(parts.size() > 1, parts.size() + " parts");
        assertEquals(32, parts.stream().mapToInt(PackedBatch::totalTokens).sum());
    }

    @Test
    void whatIsNeverGrantedEnds() {
        assertTimeoutPreemptively(Duration.ofSeconds(60), () -> {
            WarpBertException e = assertThrows(WarpBertException.class, () -> infer(Integer.MAX_VALUE, new ArrayList<>()));
            assertTrue(e.getMessage().contains("does not fit"), e.getMessage());
        });
    }
}
