package org.warpbert.task;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.warpbert.text.TaggedSentence;

/** Sentences whose words have labels. */
public record TagDataset(Path file, List<TaggedSentence> sentences) implements Dataset {
    @Override
    public int size() {
        return sentences.size();
    }

    @Override
    public TagDataset select(int[] rows) {
        return new TagDataset(file, Arrays.stream(rows).mapToObj(sentences::get).toList());
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
