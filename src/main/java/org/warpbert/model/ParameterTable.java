package org.warpbert.model;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.warpbert.WarpBertException;

/**
 * Where every parameter stands in the flat buffers of weights, gradients and moments, under its Hugging Face name.
 *
 * <p>Four regions, in this order: embedding tables, vectors (biases, LayerNorm), the biases that products add themselves
 * (those of queries, keys and values, and of the feed-forward's first layer), matrices. Products read the last two in their own type. Gradients of the first three
 * are added to by their ops and must be cleared before a step; those of matrices are written by the step's first GEMM.
 * Weight decay holds for tables and matrices. Query, key and value of a layer are neighbours, so that one GEMM does
 * all three. Slices start at multiples of 64 bytes; the gaps hold zeros. Word embeddings that decode, and the decoder's bias, have room
 * behind them for zeros up to {@link #decodedWords}.
 */
public final class ParameterTable {
    static final int ALIGNMENT = 16; // floats
    private static final int DECODED_WORDS = 8; // of which a multiple is 16 bytes wide in 16 bits
    static final String WORDS = "embeddings.word_embeddings.weight"; // the first parameter

    /** Which part of the buffers a parameter belongs to. */
    public enum Region {
        TABLES(true),
        VECTORS(false),
        PRODUCT_BIASES(false),
        MATRICES(true);

        private final boolean decays;

        Region(boolean decays) {
            this.decays = decays;
        }

        /** Whether weight decay applies. */
        public boolean decays() {
            return decays;
        }
    }

    /**
     * One parameter.
     *
     * @param name   Hugging Face's, without the {@code bert.} prefix
     * @param shape  Hugging Face's: [out, in] for linear weights
     * @param offset first element's place in the flat buffer, in floats
     */
    public record Slice(String name, long[] shape, Region region, long offset) {
        private static final String LAYER = "encoder.layer.";

        /** How deep it stands: 0 for the embeddings, l + 1 for layer l, the largest int for what stands on the encoder. */
        public int level() {
            if (name.startsWith("embeddings.")) {
                return 0;
            }
            return name.startsWith(LAYER) ? 1 + Integer.parseInt(name.substring(LAYER.length(), name.indexOf('.', LAYER.length()))) : Integer.MAX_VALUE;
        }

        /** Whether it is one that an encoder layer multiplies by. */
        boolean isLayerMatrix() {
            return region == Region.MATRICES && name.startsWith(LAYER);
        }

        public long count() {
            long count = 1;
            for (long extent : shape) {
                count *= extent;
            }
            return count;
        }
    }

    private final Map<String, Slice> slices = new LinkedHashMap<>();
    private final long[] regionEnds = new long[Region.values().length];
    private final long size;
    private final boolean tablesMultiply;

    private ParameterTable(List<Slice> unplaced, boolean tablesMultiply) {
        this.tablesMultiply = tablesMultiply;
        long offset = 0;
        for (Region region : Region.values()) {
            for (Slice slice : unplaced) {
                if (slice.region == region) {
                    // fused neighbours (see fused()) follow without a gap
                    offset = isFusedTail(slice.name) ? offset : align(offset);
                    slices.put(slice.name, new Slice(slice.name, slice.shape, region, offset));
                    offset += slice.count();
                    if (tablesMultiply && slice.name.equals(WORDS)) {
                        offset += (decodedWords((int) slice.shape[0]) - slice.shape[0]) * slice.shape[1];
                    }
                }
            }
            offset = align(offset);
            regionEnds[region.ordinal()] = offset;
        }
        size = offset;
    }

    private static boolean isFusedTail(String name) {
        return name.contains(".attention.self.key.") || name.contains(".attention.self.value.");
    }

    private static long align(long offset) {
        return (offset + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    /** Columns of the logits of a vocabulary: no fewer than it has words, and whole 16 bytes in every type. */
    public static int decodedWords(int vocabulary) {
        return (vocabulary + DECODED_WORDS - 1) / DECODED_WORDS * DECODED_WORDS;
    }

    /** Elements of each flat buffer, gaps included. */
    public long size() {
        return size;
    }

    /** Elements of all parameters, gaps not counted. */
    public long parameters() {
        return slices.values().stream().mapToLong(Slice::count).sum();
    }

    /** End of a region, in floats: where the next begins. */
    public long end(Region region) {
        return regionEnds[region.ordinal()];
    }

    /** Where the matrices begin, in floats. */
    public long matricesFrom() {
        return end(Region.PRODUCT_BIASES);
    }

    /** Where what matrix products read begins, in floats: their biases, or the word embeddings where they decode too. */
    public long operandsFrom() {
        return tablesMultiply ? 0 : end(Region.VECTORS);
    }

    /** All parameters in buffer order. */
    public Collection<Slice> slices() {
        return Collections.unmodifiableCollection(slices.values());
    }

    /** The matrices [out, in] that encoder layers multiply by; fused neighbours are one. */
    List<Slice> layerMatrices() {
        List<Slice> matrices = new ArrayList<>();
        for (Slice slice : slices.values()) {
            if (!slice.isLayerMatrix()) {
                continue;
            }
            if (isFusedTail(slice.name)) {
                Slice head = matrices.remove(matrices.size() - 1);
                matrices.add(new Slice(head.name, new long[] {head.shape[0] + slice.shape[0], slice.shape[1]}, head.region, head.offset));
            } else {
                matrices.add(slice);
            }
        }
        return matrices;
    }

    public boolean contains(String name) {
        return slices.containsKey(name);
    }

    /** The parameter of this name; an unknown one is an error. */
    public Slice slice(String name) {
        Slice slice = slices.get(name);
        if (slice == null) {
            throw new WarpBertException("the model has no parameter " + name);
        }
        return slice;
    }

    /** Byte address of a parameter in a flat buffer that starts at {@code base}. */
    public long address(long base, String name) {
        return base + slice(name).offset * Float.BYTES;
    }

    /** Starts a table with the embeddings and encoder of a BERT. */
    public static Builder bert(BertConfig config) {
        return new Builder(config);
    }

    /** Adds parts to the encoder. */
    public static final class Builder {
        private final BertConfig config;
        private final List<Slice> list = new ArrayList<>();
        private boolean tiedDecoder;

        private Builder(BertConfig config) {
            this.config = config;
            long h = config.hiddenSize();
            add(WORDS, Region.TABLES, config.vocabSize(), h);
            add("embeddings.position_embeddings.weight", Region.TABLES, config.maxPositionEmbeddings(), h);
            add("embeddings.token_type_embeddings.weight", Region.TABLES, config.typeVocabSize(), h);
            layerNorm("embeddings.LayerNorm");
            for (int l = 0; l < config.numHiddenLayers(); l++) {
                String layer = "encoder.layer." + l + ".";
                linear(layer + "attention.self.query", h, h);
                linear(layer + "attention.self.key", h, h);
                linear(layer + "attention.self.value", h, h);
                linear(layer + "attention.output.dense", h, h);
                layerNorm(layer + "attention.output.LayerNorm");
                linear(layer + "intermediate.dense", config.intermediateSize(), h);
                linear(layer + "output.dense", h, config.intermediateSize());
                layerNorm(layer + "output.LayerNorm");
            }
        }

        /** The dense layer on [CLS] before a sequence head. */
        public Builder pooler() {
            return linear("pooler.dense", config.hiddenSize(), config.hiddenSize());
        }

        /** A linear head on the pooled output. */
        public Builder classifier(int labels) {
            return linear("classifier", labels, config.hiddenSize());
        }

        /** A linear layer on every token: the logits of an answer's first and last. */
        public Builder span() {
            return linear("qa_outputs", 2, config.hiddenSize());
        }

        /** The masked language model's head; its decoder is the word embeddings. */
        public Builder maskedLanguageModel() {
            tiedDecoder = true;
            linear("cls.predictions.transform.dense", config.hiddenSize(), config.hiddenSize());
            layerNorm("cls.predictions.transform.LayerNorm");
            return add("cls.predictions.bias", Region.VECTORS, config.vocabSize());
        }

        /** The head on the pooled output that says how two texts stand to each other. */
        public Builder sequenceRelationship() {
            return linear("cls.seq_relationship", 2, config.hiddenSize());
        }

        private Builder linear(String name, long out, long in) {
            add(name + ".weight", Region.MATRICES, out, in);
            boolean added = name.contains(".attention.self.") || name.endsWith(".intermediate.dense");
            return add(name + ".bias", added ? Region.PRODUCT_BIASES : Region.VECTORS, out);
        }

        private Builder layerNorm(String name) {
            add(name + ".weight", Region.VECTORS, config.hiddenSize());
            return add(name + ".bias", Region.VECTORS, config.hiddenSize());
        }

        private Builder add(String name, Region region, long... shape) {
            list.add(new Slice(name, shape, region, -1));
            return this;
        }

        /** Places everything. */
        public ParameterTable build() {
            return new ParameterTable(list, tiedDecoder);
        }
    }
}
