package org.warpbert.task;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.warpbert.text.Examples;

/** Rows of a table: a text or two, and a label each. */
public record TextDataset(Examples examples) implements Dataset {
    @Override
    public Path file() {
        return examples.file();
    }

    @Override
    public int size() {
        return examples.rows().size();
    }

    @Override
    public TextDataset select(int[] rows) {
        return new TextDataset(examples.select(rows));
    }

    @Override
    public int skipped() {
        return examples.skippedEmpty();
    }

    @Override
    public List<String> notes() {
        return skipped() == 0 ? List.of() : List.of(String.format(Locale.ROOT, "%s: %,d of %,d rows skipped, their text is empty",
                file(), skipped(), examples.read()));
    }
}
