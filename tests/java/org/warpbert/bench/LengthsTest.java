package org.warpbert.bench;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.warpbert.WarpBertException;

class LengthsTest {
    /** Means of the data itself; a batch of quantiles is within 2% of them however small. */
    @ParameterizedTest
    @CsvSource({"fixed:128, 128, 128", "cola, 11.33, 64", "nsmc, 25.96, 512", "fill:0.6@512, 307.2, 512", "fill:0.5@128, 64, 128",
        "fill:0.25@512, 128, 512", "fill:1@77, 77, 77", "normal:256:64, 256, 512"})
    void batchesHaveTheMeanOfTheirSource(String text, double mean, int padded) {
        Lengths lengths = Lengths.parse(text);
        assertEquals(padded, lengths.paddedLength());
        for (int size : new int[] {32, 100, 1000}) {
            int[] batch = lengths.batch(size, 1);
            assertEquals(mean, Arrays.stream(batch).average().orElseThrow(), 0.02 * mean, text + " of " + size);
            assertTrue(Arrays.stream(batch).allMatch(n -> n >= 1 && n <= padded), text);
        }
    }

    @Test
    void theSeedShufflesAndNothingElse() {
        Lengths cola = Lengths.parse("cola");
        int[] one = cola.batch(32, 1);
        int[] two = cola.batch(32, 2);
        assertArrayEquals(one, Lengths.parse("cola").batch(32, 1));
        assertFalse(Arrays.equals(one, two));
        Arrays.sort(one);
        Arrays.sort(two);
        assertArrayEquals(one, two);
    }

    @Test
    void normalHasItsDeviation() {
        int[] batch = Lengths.parse("normal:256:64").batch(1000, 1);
        double variance = Arrays.stream(batch).mapToDouble(n -> (n - 256.0) * (n - 256)).average().orElseThrow();
        assertEquals(64, Math.sqrt(variance), 3);
        assertEquals(3, Arrays.stream(Lengths.parse("normal:5:100").batch(1000, 1)).min().orElseThrow());
    }

    @Test
    void readsFiles(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("lengths"), "# two columns or one\n5 3\n\n7\n");
        int[] batch = Lengths.parse("file:" + file).batch(4, 1);
        Arrays.sort(batch);
        assertArrayEquals(new int[] {5, 5, 5, 7}, batch);
        assertEquals(7, Lengths.parse("file:" + file).paddedLength());
        Files.writeString(file, "5\nfive\n");
        assertTrue(assertThrows(WarpBertException.class, () -> Lengths.parse("file:" + file)).getMessage().contains("line 2: 'five'"));
        assertTrue(assertThrows(WarpBertException.class, () -> Lengths.parse("file:" + folder.resolve("none"))).getMessage().contains("there is no such file"));
        Files.write(file, new byte[] {'5', (byte) 0xff, '\n'});
        assertTrue(assertThrows(WarpBertException.class, () -> Lengths.parse("file:" + file)).getMessage().endsWith(": it is not UTF-8."));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "fixed", "fixed:x", "fixed:0", "fill:0.6", "fill:1.5@512", "fill:0@512", "normal:256", "normal:256:-1", "glue"})
    void refusesWhatIsNone(String text) {
        String message = assertThrows(WarpBertException.class, () -> Lengths.parse(text)).getMessage();
        assertTrue(message.contains("--lengths"), message);
    }
}
