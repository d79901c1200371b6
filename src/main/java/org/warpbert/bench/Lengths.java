package org.warpbert.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.warpbert.WarpBertException;
import org.warpbert.format.AtomicFile;

/** How long the sequences of a measured batch are: a histogram of token counts, and what a padded batch pads to. */
public final class Lengths {
    /** What {@link #parse} understands. */
    public static final String SYNTAX = "fixed:N|cola|nsmc|fill:SHARE@N|normal:MEAN:SD|file:PATH";

    private static final int LONGEST = 512; // positions of a BERT
    private static final int NORMAL_DRAWS = 10_000;

    private final String name;
    private final TreeMap<Integer, Long> counts; // length, sequences of it
    private final int paddedLength;

    private Lengths(String name, TreeMap<Integer, Long> counts, int paddedLength) {
        this.name = name;
        this.counts = counts;
        this.paddedLength = paddedLength;
    }

    /**
     * Reads a description.
     * <ul>
     * <li>{@code fixed:128}: every sequence has 128 tokens
     * <li>{@code cola}, {@code nsmc}: as the sentences of CoLA and the reviews of NSMC; padded to 64 and 512, as their
     *     recipes are cut
     * <li>{@code fill:0.6@512}: spread evenly, as widely as 1 to 512 allow, about 0.6 · 512; padded to 512
     * <li>{@code normal:256:64}: normally distributed, cut to 3 to 512; padded to 512
     * <li>{@code file:PATH}: a file of a length a line, perhaps with how many sequences have it; padded to the longest
     * </ul>
     */
    public static Lengths parse(String text) {
        String[] parts = text.split(":", 2);
        String value = parts.length == 2 ? parts[1] : "";
        try {
            return switch (parts[0]) {
                case "fixed" -> fixed(text, Integer.parseInt(value));
                case "cola" -> resource(text, 64);
                case "nsmc" -> resource(text, LONGEST);
                case "fill" -> fill(text, Double.parseDouble(value.split("@", 2)[0]), Integer.parseInt(value.split("@", 2)[1]));
                case "normal" -> normal(text, Double.parseDouble(value.split(":", 2)[0]), Double.parseDouble(value.split(":", 2)[1]));
                case "file" -> file(text, Path.of(value));
                default -> throw unknown(text);
            };
        } catch (NumberFormatException | ArrayIndexOutOfBoundsException e) {
            throw unknown(text);
        }
    }

    private static WarpBertException unknown(String text) {
        return new WarpBertException("--lengths is '" + text + "', it must be " + SYNTAX);
    }

    private static Lengths fixed(String name, int length) {
        return of(name, new TreeMap<>(Map.of(length, 1L)), length);
    }

    private static Lengths fill(String name, double share, int longest) {
        if (!(share > 0 && share <= 1)) {
            throw unknown(name);
        }
        double mean = share * longest;
        int half = (int) Math.min(longest - mean, mean - 1);
        TreeMap<Integer, Long> counts = new TreeMap<>();
        for (int length = (int) Math.round(mean) - half; length <= Math.min(longest, (int) Math.round(mean) + half); length++) {
            counts.put(length, 1L);
        }
        return of(name, counts, longest);
    }

    private static Lengths normal(String name, double mean, double deviation) {
        if (!(deviation >= 0 && mean > 0)) {
            throw unknown(name);
        }
        TreeMap<Integer, Long> counts = new TreeMap<>();
        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < NORMAL_DRAWS; i++) {
            long length = Math.round(mean + deviation * random.nextGaussian());
            counts.merge((int) Math.max(3, Math.min(LONGEST, length)), 1L, Long::sum);
        }
        return of(name, counts, LONGEST);
    }

    private static Lengths resource(String name, int paddedLength) {
        try (InputStream in = Lengths.class.getResourceAsStream(name + ".lengths")) {
            return of(name, read(new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8)), name), paddedLength);
        } catch (IOException e) {
            throw new IllegalStateException("the lengths of " + name + " are not in this build", e);
        }
    }

    private static Lengths file(String name, Path file) {
        try (BufferedReader in = Files.newBufferedReader(file)) {
            TreeMap<Integer, Long> counts = read(in, file.toString());
            return of(name, counts, counts.isEmpty() ? 0 : counts.lastKey());
        } catch (IOException e) {
            throw new WarpBertException("Cannot read " + file + ": " + AtomicFile.reason(e) + ".", e);
        }
    }

    private static TreeMap<Integer, Long> read(BufferedReader in, String where) throws IOException {
        TreeMap<Integer, Long> counts = new TreeMap<>();
        int number = 0;
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            number++;
            String text = line.strip();
            if (text.isEmpty() || text.startsWith("#")) {
                continue;
            }
            String[] fields = text.split("\\s+");
            try {
                counts.merge(Integer.parseInt(fields[0]), fields.length == 1 ? 1L : Long.parseLong(fields[1]), Long::sum);
            } catch (NumberFormatException e) {
                throw new WarpBertException(where + ", line " + number + ": '" + text + "' is not a length, or a length and a count");
            }
        }
        return counts;
    }

    private static Lengths of(String name, TreeMap<Integer, Long> counts, int paddedLength) {
        if (counts.isEmpty() || counts.firstKey() < 1 || counts.values().stream().anyMatch(count -> count < 1)) {
            throw new WarpBertException("--lengths " + name + " gives no lengths of at least 1");
        }
        return new Lengths(name, counts, paddedLength);
    }

    /** The description that this was read from. */
    public String name() {
        return name;
    }

    /** What a padded batch pads every sequence to. */
    public int paddedLength() {
        return paddedLength;
    }

    /**
     * The lengths of a batch: the histogram's quantiles, so that a batch of any size stands for the whole without luck,
     * in an order that {@code seed} shuffles.
     */
    public int[] batch(int size, long seed) {
        long total = counts.values().stream().mapToLong(Long::longValue).sum();
        int[] lengths = new int[size];
        int i = 0;
        long before = 0;
        for (Map.Entry<Integer, Long> entry : counts.entrySet()) {
            before += entry.getValue();
            while (i < size && (i + 0.5) / size * total <= before) {
                lengths[i++] = entry.getKey();
            }
        }
        Random random = new Random(seed);
        for (int last = size - 1; last > 0; last--) {
            int other = random.nextInt(last + 1);
            int length = lengths[last];
            lengths[last] = lengths[other];
            lengths[other] = length;
        }
        return lengths;
    }
}
