package org.warpbert.task;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.warpbert.WarpBertException;
import org.warpbert.format.AtomicFile;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.RunFolder;

/** What decides a run's result: one that goes on must have the same. Data are known by their content, wherever they lie. */
record RunSettings(String task, String model, Hyperparameters hyper, String trainSha256, String devSha256, Double devSplit, String labels, String precision,
                   String device) {
    static RunSettings of(Finetune.Options options, String labels, String precision, String device) {
        return new RunSettings(options.task().name(), options.model(), options.hyper(), digest(options.train()), options.dev() == null ? null : digest(options.dev()),
                options.devSplit(), labels, precision, device);
    }

    /** As a file's reader would give it. */
    JsonNode json() {
        try {
            return RunFolder.JSON.readTree(RunFolder.JSON.writeValueAsBytes(this));
        } catch (IOException e) {
            throw new IllegalStateException(e); // no file takes part
        }
    }

    private static String digest(Path file) {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            try (InputStream in = new DigestInputStream(Files.newInputStream(file), digest)) {
                in.transferTo(OutputStream.nullOutputStream());
            }
            return HexFormat.of().formatHex(digest.digest());
        } catch (IOException e) {
            throw new WarpBertException(file + " cannot be read: " + AtomicFile.reason(e), e);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every Java has it
        }
    }
}
