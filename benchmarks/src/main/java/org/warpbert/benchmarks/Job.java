package org.warpbert.benchmarks;

import com.fasterxml.jackson.annotation.JsonIgnore;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.warpbert.backend.Precision;
import org.warpbert.reference.TorchBertConfig;

/**
 * The same work for every engine: what a run of it does is one training step (forward, backward, clip 1.0, AdamW) or one
 * inference (ids to last hidden states) of one batch.
 *
 * @param kind    "train" or "infer"
 * @param model   "bert-base" (weights drawn from {@code seed}) or "all-MiniLM-L6-v2" (the real ones)
 * @param lengths real tokens of each sequence
 * @param padded  what engines that pad pad every sequence to
 * @param dropout of training
 * @param precision of those engines that have another than float32
 */
public record Job(String kind, String model, int[] lengths, int padded, int threads, double dropout, long seed, Precision precision) {
    private static final int FIRST_WORD = 1000; // below are [unused] and special tokens

    @JsonIgnore
    public boolean training() {
        return kind.equals("train");
    }

    public Job paddedTo(int length) {
        return new Job(kind, model, lengths, length, threads, dropout, seed, precision);
    }

    Job in(Precision other) {
        return new Job(kind, model, lengths, padded, threads, dropout, seed, other);
    }

    @JsonIgnore
    boolean bf16() {
        return precision == Precision.BF16;
    }

    @JsonIgnore
    int realTokens() {
        return Arrays.stream(lengths).sum();
    }

    @JsonIgnore
    int longest() {
        return Arrays.stream(lengths).max().orElseThrow();
    }

    @JsonIgnore
    TorchBertConfig config() {
        return switch (model) {
            case "bert-base" -> TorchBertConfig.bertBase();
            case "all-MiniLM-L6-v2" -> new TorchBertConfig(30522, 384, 6, 12, 1536, 512, 2, 1e-12, "gelu");
            default -> throw new IllegalArgumentException("there is no model " + model);
        };
    }

    /** Ids of every sequence. */
    int[][] tokens() {
        SplittableRandom random = new SplittableRandom(seed);
        return Arrays.stream(lengths).mapToObj(n -> random.ints(n, FIRST_WORD, config().vocabSize()).toArray()).toArray(int[][]::new);
    }

    /** The class of every sequence, of two. */
    int[] labels() {
        return new SplittableRandom(seed + 1).ints(lengths.length, 0, 2).toArray();
    }
}
