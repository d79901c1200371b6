package org.warpbert.memory;

import java.math.BigDecimal;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.warpbert.WarpBertException;

/** Bytes as a person writes and reads them. {@code GiB} is 2^30 bytes, {@code GB} 10^9. */
public final class ByteSize {
    private static final Pattern FORM = Pattern.compile("(\\d+(?:\\.\\d+)?)\\s*([a-z]*)", Pattern.CASE_INSENSITIVE);
    private static final Map<String, Long> UNITS = Map.of("", 1L, "b", 1L, "kb", 1000L, "mb", 1_000_000L, "gb", 1_000_000_000L,
            "tb", 1_000_000_000_000L, "kib", 1L << 10, "mib", 1L << 20, "gib", 1L << 30, "tib", 1L << 40);

    private ByteSize() {}

    /** The bytes that a text such as {@code 4GiB}, {@code 9.07GB}, {@code 512MiB} or {@code 4294967296} names; never 0. */
    public static long parse(String text) {
        Matcher form = FORM.matcher(text.strip());
        Long unit = form.matches() ? UNITS.get(form.group(2).toLowerCase(Locale.ROOT)) : null;
        if (unit == null) {
            throw new WarpBertException("'" + text + "' is no size of memory; write it as 4GiB, 9.07GB, 512MiB or in bytes");
        }
        BigDecimal bytes = new BigDecimal(form.group(1)).multiply(BigDecimal.valueOf(unit));
        if (bytes.compareTo(BigDecimal.ONE) < 0) {
            throw new WarpBertException("'" + text + "' is no memory at all");
        }
        if (bytes.compareTo(BigDecimal.valueOf(Long.MAX_VALUE)) > 0) {
            throw new WarpBertException("'" + text + "' is more memory than can be counted");
        }
        return bytes.longValue();
    }

    /** In binary units, three digits or so: {@code 1.75 GiB}. */
    public static String format(long bytes) {
        if (bytes >= 1L << 30) {
            return String.format(Locale.ROOT, "%.2f GiB", bytes / (double) (1L << 30));
        }
        if (bytes >= 1L << 20) {
            return String.format(Locale.ROOT, "%.1f MiB", bytes / (double) (1L << 20));
        }
        return bytes >= 1L << 10 ? String.format(Locale.ROOT, "%.1f KiB", bytes / (double) (1L << 10)) : bytes + " bytes";
    }

    /** As an option's value that {@link #parse} reads and that is no less: {@code 1793MiB}. */
    public static String option(long bytes) {
        return (bytes + (1L << 20) - 1 >> 20) + "MiB";
    }
}
