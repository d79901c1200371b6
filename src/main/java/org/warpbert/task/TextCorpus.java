package org.warpbert.task;

import java.nio.file.Path;
import java.util.List;
import org.warpbert.text.Documents;

/** Running text; its examples are documents. */
public record TextCorpus(Documents documents) implements Dataset {
    @Override
    public Path file() {
        return documents.file();
    }

    @Override
    public int size() {
        return documents.documents().size();
    }

    @Override
    public TextCorpus select(int[] rows) {
        return new TextCorpus(documents.select(rows));
    }

    @Override
    public int skipped() {
        return 0;
    }

    @Override
    public List<String> notes() {
        return List.of();
    }
}
