package org.warpbert.format;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.stream.Stream;
import org.warpbert.WarpBertException;

/** Writes a file so that a reader sees all of it or nothing: to a temporary neighbour, synced, then moved into place. */
public final class AtomicFile {
    private AtomicFile() {}

    /** What puts the content in the channel. */
    @FunctionalInterface
    public interface Content {
        void writeTo(FileChannel channel) throws IOException;
    }

    /** Writes these bytes; the parent folder is made where it is missing. */
    public static void write(Path file, byte[] bytes) {
        write(file, channel -> writeFully(channel, ByteBuffer.wrap(bytes)));
    }

    /**
     * Writes what {@code content} puts in the channel. Whatever it throws, no temporary file stays and an older file
     * of this name is untouched.
     */
    public static void write(Path file, Content content) {
        Path temporary = null;
        try {
            Path folder = file.toAbsolutePath().getParent();
            Files.createDirectories(folder);
            temporary = folder.resolve("." + file.getFileName() + "." + ProcessHandle.current().pid() + "-" + System.nanoTime() + ".tmp");
            try (FileChannel channel = FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
                content.writeTo(channel);
                channel.force(true);
            }
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            temporary = null;
        } catch (IOException e) {
            throw new WarpBertException("Cannot write " + file + ": " + reason(e) + ".", e);
        } finally {
            if (temporary != null) temporary.toFile().delete();
        }
    }

    /** Whether a file of this name is what {@link #write} leaves of another where the process is killed meanwhile. */
    public static boolean isTemporary(String name, String of) {
        return name.startsWith("." + of + ".") && name.endsWith(".tmp");
    }

    /** Writes all that remains of the buffer (a channel may take less at a time). */
    public static void writeFully(FileChannel channel, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) channel.write(bytes);
    }

    /** An I/O failure in words: the JDK's own message is often just the path, Jackson's has lines about its source. */
    public static String reason(IOException e) {
        if (e instanceof NoSuchFileException) return "there is no such file";
        if (e instanceof AccessDeniedException) return "permission denied";
        if (e instanceof FileAlreadyExistsException || e instanceof NotDirectoryException) return "a file stands where a folder is needed";
        if (e instanceof JsonProcessingException json) return "it is not valid JSON (" + malformed(json) + ")";
        if (e instanceof DirectoryNotEmptyException) return "the folder is not empty";
        if (e instanceof CharacterCodingException) return "it is not UTF-8";
        if (e instanceof ClosedByInterruptException) return "the thread was interrupted";
        if (e instanceof EOFException) return "it ends too early";
        return e.getMessage() == null ? e.toString() : e.getMessage();
    }

    /** What is wrong with JSON: Jackson's words, without the hint at its own settings that follows them in some. */
    public static String malformed(JsonProcessingException e) {
        return e.getOriginalMessage().replaceFirst(" \\(start marker at .*", "");
    }

    /** Removes a folder with all that is in it, or nothing where there is none; links are removed, not followed. */
    public static void deleteFolder(Path folder) throws IOException {
        if (!Files.exists(folder)) return;
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) Files.delete(file); // what is inside comes first
        }
    }
}
