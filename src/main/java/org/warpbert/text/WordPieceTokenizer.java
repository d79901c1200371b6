package org.warpbert.text;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.huggingface.tokenizers.jni.CharSpan;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.BiFunction;
import org.warpbert.WarpBertException;
import org.warpbert.format.AddedToken;
import org.warpbert.format.TokenizerWriter;
import org.warpbert.format.Vocabulary;

/**
 * BERT's tokenization, piece for piece what Hugging Face's fast tokenizer gives, because it is that library's own
 * code that runs (through DJL). Thread-safe. Close it to free the native tokenizer; a closed one refuses to work.
 *
 * <p>The native library is taken from DJL's jar and unpacked to {@code ~/.djl.ai} (or {@code DJL_CACHE_DIR}); nothing
 * is downloaded.
 */
public final class WordPieceTokenizer implements AutoCloseable {
    private static final int DEFAULT_MAX_LENGTH = 512;
    /**
     * UTF-16 units handed to the library at once, or a single text of more. Of a piece it makes up to 150 bytes on Java's heap, and where
     * they find no room there it aborts the JVM.
     */
    private static final int AT_ONCE = 1 << 18;
    private static final int TEXT_UNITS = 16; // that a text counts beside its own: an empty one takes heap too

    static {
        // Without these DJL looks for a GPU build of its library on the network where it sees a GPU, and reports
        // its use. A user's own setting stands.
        setDefault("ai.djl.offline", "true");
        setDefault("OPT_OUT_TRACKING", "true");
        // It looks for a GPU all the same, and warns where CUDA is installed without one: nothing to do with us.
        setDefault("org.slf4j.simpleLogger.log.ai.djl", "error");
    }

    private final List<String> vocabulary;
    private final boolean lowerCase;
    private final List<AddedToken> added;
    private final int[] specialIds;
    private final HuggingFaceTokenizer tokenizer;
    /** Readers encode, the writer closes: the native tokenizer must not vanish under a running call. */
    private final ReadWriteLock lock = new ReentrantReadWriteLock();
    private boolean closed;

    /** A tokenizer without added tokens. */
    public WordPieceTokenizer(List<String> vocabulary, boolean lowerCase) {
        this(vocabulary, lowerCase, List.of());
    }

    /**
     * @param vocabulary pieces by id; {@code [PAD] [UNK] [CLS] [SEP] [MASK]} must be among them
     * @param lowerCase  true for an uncased model: lower-cases and strips accents
     * @param added      pieces of the vocabulary that are kept whole wherever they stand in a text
     * @throws WarpBertException naming the special tokens that are missing
     */
    public WordPieceTokenizer(List<String> vocabulary, boolean lowerCase, List<AddedToken> added) {
        this.vocabulary = List.copyOf(vocabulary);
        this.lowerCase = lowerCase;
        this.added = List.copyOf(added);
        String json = TokenizerWriter.tokenizerJson(this.vocabulary, lowerCase, added); // refuses where a special is missing
        this.specialIds = Vocabulary.SPECIALS.stream().mapToInt(this.vocabulary::indexOf).toArray();
        try {
            tokenizer = HuggingFaceTokenizer.newInstance(
                    new ByteArrayInputStream(json.getBytes(StandardCharsets.UTF_8)),
                    Map.of("addSpecialTokens", "false", "truncation", "false", "padding", "false"));
        } catch (IOException | RuntimeException | LinkageError e) {
            throw new WarpBertException("The Hugging Face tokenizer library cannot be used: " + e
                    + (e.getCause() == null ? "" : " (" + e.getCause() + ")")
                    + "; it is unpacked to ~/.djl.ai, or to the folder named by DJL_CACHE_DIR.", e);
        }
    }

    /** Pieces of a text as ids, without special tokens and of any length. */
    public int[] ids(String text) {
        return ids(List.of(text)).get(0);
    }

    /** {@link #ids(String)} of many texts, on all cores. */
    public List<int[]> ids(List<String> texts) {
        return encodings(texts, (text, encoding) -> ids(encoding));
    }

    /** Pieces of a text as they stand in the vocabulary; {@code [UNK]} for what it cannot spell. */
    public List<String> pieces(String text) {
        return Arrays.stream(ids(text)).mapToObj(this::token).toList();
    }

    /**
     * Where each piece of {@link #ids(String)} stands in the text: start and end (exclusive) in UTF-16 units, so that
     * {@code text.substring(start, end)} is what the piece was made from. {@code [pieces][2]}
     */
    public int[][] offsets(String text) {
        return encodings(List.of(text), (same, encoding) -> offsets(same, encoding.getCharTokenSpans())).get(0);
    }

    /** {@link #ids(String)} and {@link #offsets} of many texts, on all cores. */
    public List<Located> locate(List<String> texts) {
        return encodings(texts, (text, encoding) -> {
            int[][] offsets = offsets(text, encoding.getCharTokenSpans());
            return new Located(ids(encoding), Arrays.stream(offsets).mapToInt(o -> o[0]).toArray(), Arrays.stream(offsets).mapToInt(o -> o[1]).toArray());
        });
    }

    /**
     * {@code [CLS] text [SEP]}, or {@code [CLS] text [SEP] pair [SEP]}, cut to {@code maxLength} tokens as Hugging
     * Face's {@code truncation=True} does: from the end, of the longer text first.
     *
     * @param pair      the second text, or null
     * @param maxLength most tokens of the result, at least 3
     */
    public Encoded encode(String text, String pair, int maxLength) {
        return encode(List.of(text), pair == null ? null : List.of(pair), maxLength).get(0);
    }

    /**
     * {@link #encode(String, String, int)} of many texts, on all cores.
     *
     * @param pairs second texts, as many as texts, or null
     */
    public List<Encoded> encode(List<String> texts, List<String> pairs, int maxLength) {
        if (maxLength < 3) {
            throw new WarpBertException("The maximum length must be at least 3 tokens, not " + maxLength + ".");
        }
        if (pairs != null && pairs.size() != texts.size()) {
            throw new WarpBertException(texts.size() + " texts were given " + pairs.size() + " pairs.");
        }
        List<int[]> first = ids(texts);
        List<int[]> second = pairs == null ? null : ids(pairs);
        List<Encoded> encoded = new ArrayList<>(texts.size());
        for (int i = 0; i < first.size(); i++) {
            encoded.add(Encoded.join(first.get(i), second == null ? null : second.get(i), clsId(), sepId(),
                    maxLength));
        }
        return encoded;
    }

    /** Id of {@code [PAD]}. */
    public int padId() {
        return specialIds[0];
    }

    /** Id of {@code [UNK]}. */
    public int unkId() {
        return specialIds[1];
    }

    /** Id of {@code [CLS]}. */
    public int clsId() {
        return specialIds[2];
    }

    /** Id of {@code [SEP]}. */
    public int sepId() {
        return specialIds[3];
    }

    /** Id of {@code [MASK]}. */
    public int maskId() {
        return specialIds[4];
    }

    /** The piece with this id. */
    public String token(int id) {
        if (id < 0 || id >= vocabulary.size()) {
            throw new WarpBertException(
                    "There is no piece " + id + "; the vocabulary has ids 0 to " + (vocabulary.size() - 1) + ".");
        }
        return vocabulary.get(id);
    }

    /** Whether each piece is a special token, by id: BERT's own and added ones. */
    public boolean[] special() {
        boolean[] special = new boolean[vocabulary.size()];
        for (int id : specialIds) {
            special[id] = true;
        }
        for (AddedToken token : added) {
            special[vocabulary.indexOf(token.content())] |= token.special();
        }
        return special;
    }

    /** Pieces kept whole besides BERT's own special tokens. */
    public List<AddedToken> added() {
        return added;
    }

    /** Number of pieces. */
    public int vocabularySize() {
        return vocabulary.size();
    }

    /** All pieces by id. */
    public List<String> vocabulary() {
        return vocabulary;
    }

    /** Whether texts are lower-cased and stripped of accents first. */
    public boolean lowerCase() {
        return lowerCase;
    }

    /** {@link #writeFiles(Path, int)} for a model of 512 positions. */
    public void writeFiles(Path directory) {
        writeFiles(directory, DEFAULT_MAX_LENGTH);
    }

    /**
     * Writes {@code vocab.txt}, {@code tokenizer.json}, {@code tokenizer_config.json} and {@code special_tokens_map.json}, each atomically.
     *
     * @param modelMaxLength the longest sequence that the model takes, in tokens
     */
    public void writeFiles(Path directory, int modelMaxLength) {
        TokenizerWriter.write(directory, vocabulary, lowerCase, added, modelMaxLength);
    }

    @Override
    public void close() {
        lock.writeLock().lock();
        try {
            closed = true;
            tokenizer.close();
        } finally {
            lock.writeLock().unlock();
        }
    }

    private <T> List<T> encodings(List<String> texts, BiFunction<String, Encoding, T> view) {
        lock.readLock().lock();
        try {
            if (closed) {
                throw new WarpBertException("The tokenizer has been closed.");
            }
            List<T> views = new ArrayList<>(texts.size());
            for (int from = 0; from < texts.size(); from = views.size()) {
                String[] clean = texts.subList(from, atOnce(texts, from)).stream().map(WordPieceTokenizer::replaceLoneSurrogates).toArray(String[]::new);
                for (Encoding encoding : tokenizer.batchEncode(clean, false, false)) {
                    views.add(view.apply(texts.get(views.size()), encoding));
                }
            }
            return views;
        } finally {
            lock.readLock().unlock();
        }
    }

    /** The end of the texts that are handed over with the one at {@code from}. */
    private static int atOnce(List<String> texts, int from) {
        int to = from;
        long units = 0;
        do {
            units += texts.get(to++).length() + TEXT_UNITS;
        } while (to < texts.size() && units + texts.get(to).length() + TEXT_UNITS <= AT_ONCE);
        return to;
    }

    private static int[] ids(Encoding encoding) {
        return Arrays.stream(encoding.getIds()).mapToInt(Math::toIntExact).toArray();
    }

    /** The library counts in code points, Java in UTF-16 units. */
    private static int[][] offsets(String text, CharSpan[] spans) {
        int[] unit = new int[text.codePointCount(0, text.length()) + 1]; // UTF-16 index of each code point, and the end
        for (int i = 1; i < unit.length; i++) {
            unit[i] = text.offsetByCodePoints(unit[i - 1], 1);
        }
        int[][] offsets = new int[spans.length][];
        for (int i = 0; i < spans.length; i++) {
            offsets[i] = new int[] {unit[spans[i].getStart()], unit[spans[i].getEnd()]};
        }
        return offsets;
    }

    /** Half a surrogate pair is no character and has no UTF-8; U+FFFD, which BERT's normaliser drops, stands for it. */
    private static String replaceLoneSurrogates(String text) {
        if (text.codePoints().noneMatch(c -> c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE)) {
            return text;
        }
        return text.codePoints().map(c -> c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE ? 0xFFFD : c)
                .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append).toString();
    }

    private static void setDefault(String property, String value) {
        if (System.getProperty(property) == null) {
            System.setProperty(property, value);
        }
    }
}
