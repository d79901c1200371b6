package org.warpbert.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.WarpBertException;

class AtomicFileTest {
    @TempDir
    Path dir;

    @Test
    void aFolderThatIsNotEmptyIsSaidInWords() throws IOException {
        Path full = Files.createDirectories(dir.resolve("full/inside")).getParent();
        assertEquals("the folder is not empty", AtomicFile.reason(assertThrows(DirectoryNotEmptyException.class, () -> Files.delete(full))));
    }

    @Test
    void whatIsWrittenMeanwhileIsKnownByItsName() throws IOException {
        Path file = dir.resolve("a.json");
        AtomicFile.write(file, channel -> {
            try (Stream<Path> files = Files.list(dir)) {
                List<String> names = files.map(f -> f.getFileName().toString()).toList();
                assertEquals(1, names.size());
                assertTrue(AtomicFile.isTemporary(names.get(0), "a.json"), names.get(0));
                assertFalse(AtomicFile.isTemporary(names.get(0), "b.json"), names.get(0));
            }
        });
        assertFalse(AtomicFile.isTemporary("a.json", "a.json"));
        assertThrows(WarpBertException.class, () -> AtomicFile.write(file, channel -> {
            throw new IOException("disk");
        }));
        try (Stream<Path> files = Files.list(dir)) {
            assertEquals(List.of(file), files.toList());
        }
    }
}
