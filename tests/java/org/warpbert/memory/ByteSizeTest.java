package org.warpbert.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.warpbert.WarpBertException;

class ByteSizeTest {
    @ParameterizedTest
    @CsvSource({"4GiB, 4294967296", "4GB, 4000000000", "9.07GB, 9070000000", "512MiB, 536870912", "512mb, 512000000", "1 KiB, 1024", "77, 77",
        "77B, 77", "1.5TiB, 1649267441664", "0.5kb, 500"})
    void readsDecimalAndBinaryUnits(String text, long bytes) {
        assertEquals(bytes, ByteSize.parse(text));
    }

    @ParameterizedTest
    @ValueSource(strings = {"0", "0GiB", "12XB", "", "GiB", "-1GiB", "1e9", "4 G i B", "0.1B", "4G", "99999999999TiB", "1,5GB"})
    void refusesWhatIsNoSize(String text) {
        String message = assertThrows(WarpBertException.class, () -> ByteSize.parse(text)).getMessage();
        assertTrue(message.contains("'" + text + "'"), message);
    }

    @ParameterizedTest
    @CsvSource({"4294967296, 4.00 GiB", "536870912, 512.0 MiB", "1536, 1.5 KiB", "77, 77 bytes"})
    void writesBinaryUnits(long bytes, String text) {
        assertEquals(text, ByteSize.format(bytes));
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 1 << 20, (1 << 20) + 1, 1_936_003_904L})
    void anAdvisedOptionIsEnoughAndNotMuchMore(long bytes) {
        long advised = ByteSize.parse(ByteSize.option(bytes));
        assertTrue(advised >= bytes && advised < bytes + (1 << 20), advised + " for " + bytes);
    }
}
