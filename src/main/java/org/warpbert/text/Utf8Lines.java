package org.warpbert.text;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.Reader;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.stream.IntStream;
import java.util.zip.GZIPInputStream;
import org.warpbert.WarpBertException;
import org.warpbert.format.AtomicFile;

/**
 * Lines of a UTF-8 file, strictly decoded: a bad byte is an error that names its line and place, never a silent
 * U+FFFD. Lines end with LF, whose byte occurs in no other character, so they can be cut before they are decoded.
 */
public final class Utf8Lines implements AutoCloseable {
    private final Path file;
    private final InputStream in;
    private final byte[] buffer = new byte[1 << 16];
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder()
            .onMalformedInput(CodingErrorAction.REPORT).onUnmappableCharacter(CodingErrorAction.REPORT);
    private int at;
    private int filled;
    private long line;

    public Utf8Lines(Path file, InputStream in) {
        this.file = file;
        this.in = in;
    }

    /**
     * The lines of a file, plain or gzipped (.gz).
     *
     * @throws WarpBertException if it is missing, a folder, or may not be read
     */
    public static Utf8Lines open(Path file) {
        if (Files.isDirectory(file)) {
            throw new WarpBertException(file + " is a folder; a data file is needed.");
        }
        if (!Files.exists(file)) {
            throw new WarpBertException(file + " does not exist.");
        }
        if (!Files.isReadable(file)) {
            throw new WarpBertException(file + " may not be read: permission denied.");
        }
        return new Utf8Lines(file, stream(file));
    }

    private static InputStream stream(Path file) {
        InputStream raw = null;
        try {
            raw = new BufferedInputStream(Files.newInputStream(file), 1 << 16);
            return file.toString().toLowerCase(Locale.ROOT).endsWith(".gz") ? new GZIPInputStream(raw, 1 << 16) : raw;
        } catch (IOException e) {
            if (raw != null) {
                try {
                    raw.close();
                } catch (IOException again) {
                    e.addSuppressed(again);
                }
            }
            throw new WarpBertException(file + " cannot be read: " + AtomicFile.reason(e), e);
        }
    }

    Path file() {
        return file;
    }

    /** 1-based number of the line that {@link #next} gave last. */
    public long line() {
        return line;
    }

    /** The next line without its LF or CRLF, or null at the end. */
    public String next() {
        String raw = nextRaw();
        if (raw == null || !raw.endsWith("\n")) {
            return raw;
        }
        return raw.substring(0, raw.length() - (raw.endsWith("\r\n") ? 2 : 1));
    }

    /** The next line with its terminator, or null at the end. The first line loses a byte order mark. */
    String nextRaw() {
        bytes.reset();
        boolean ended = false;
        boolean halved = false;
        try {
            while (!ended && fill()) {
                int from = at;
                while (at < filled && !ended) {
                    ended = buffer[at++] == '\n';
                }
                bytes.write(buffer, from, at - from);
            }
            halved = line == 0 && bytes.size() == 1 && fill() && buffer[at] == 0; // an empty line of UTF-16 may be cut behind its line feed, before the NUL
        } catch (IOException e) {
            throw new WarpBertException(file + ", after line " + line + ": cannot be read on: " + AtomicFile.reason(e), e);
        }
        if (bytes.size() == 0) {
            return null;
        }
        line++;
        if (line == 1) {
            refuseUtf16(bytes.toByteArray(), halved);
        }
        String text = decode(ByteBuffer.wrap(bytes.toByteArray()));
        return line == 1 && text.startsWith("\uFEFF") ? text.substring(1) : text;
    }

    private boolean fill() throws IOException {
        if (at == filled) {
            at = 0;
            filled = Math.max(0, in.read(buffer));
        }
        return at < filled;
    }

    /** Without a byte order mark UTF-16 is proper UTF-8 where its letters are ASCII: each with a NUL before or behind it. */
    private void refuseUtf16(byte[] first, boolean halved) {
        long nuls = IntStream.range(0, first.length).filter(i -> first[i] == 0).count();
        if (halved || nuls > first.length / 4) {
            throw new WarpBertException(file + " looks like UTF-16: of its first bytes every other is 0; convert the file to UTF-8.");
        }
    }

    private String decode(ByteBuffer encoded) {
        CharBuffer decoded = CharBuffer.allocate(encoded.remaining()); // UTF-16 never has more units than UTF-8 bytes
        decoder.reset();
        CoderResult result = decoder.decode(encoded, decoded, true);
        if (result.isError()) {
            throw new WarpBertException(String.format(
                    "%s, line %d: byte %d of the line (0x%02x) is not UTF-8; convert the file to UTF-8.",
                    file, line, encoded.position() + 1, encoded.get(encoded.position())));
        }
        return decoded.flip().toString();
    }

    /** All that is left as one stream of characters, for a parser that cuts its own records. */
    Reader reader() {
        return new Reader() {
            private String current = "";
            private int position;

            @Override
            public int read(char[] target, int offset, int length) {
                if (position == current.length()) {
                    current = nextRaw();
                    position = 0;
                    if (current == null) {
                        current = "";
                        return -1;
                    }
                }
                int n = Math.min(length, current.length() - position);
                current.getChars(position, position + n, target, offset);
                position += n;
                return n;
            }

            @Override
            public void close() {
                Utf8Lines.this.close();
            }
        };
    }

    @Override
    public void close() {
        try {
            in.close();
        } catch (IOException e) {
            throw new WarpBertException(file + " cannot be closed: " + AtomicFile.reason(e), e);
        }
    }
}
