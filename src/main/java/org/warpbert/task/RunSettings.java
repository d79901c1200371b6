package org.warpbert.task;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.warpbert.WarpBertException;
import org.warpbert.format.AtomicFile;
import org.warpbert.text.WordPieceTokenizer;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.RunFolder;

/** What decides a run's result: one that goes on must have the same. Data are known by their content, wherever they lie. */
record RunSettings(String task, Object taskSettings, String model, Hyperparameters hyper, String trainSha256, String devSha256, Double devSplit, String labels,
                   String tokenizerSha256, String precision, String device) {
    static RunSettings of(Finetune.Options options, String labels, WordPieceTokenizer tokenizer, String precision, String device) {
        return new RunSettings(options.task().name(), options.task().settings(), options.model(), options.hyper(), digest(options.train()),
                options.dev() == null ? null : digest(options.dev()), options.devSplit(), labels, digest(tokenizer), precision, device);
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
        MessageDigest digest = sha256();
        try (InputStream in = new DigestInputStream(Files.newInputStream(file), digest)) {
            in.transferTo(OutputStream.nullOutputStream());
        } catch (IOException e) {
            throw new WarpBertException(file + " cannot be read: " + AtomicFile.reason(e), e);
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    /** Of what makes pieces of texts: tokens may have been added, or a vocabulary learned. */
    private static String digest(WordPieceTokenizer tokenizer) {
        String said = tokenizer.lowerCase() + "\n" + tokenizer.added() + "\n" + String.join("\n", tokenizer.vocabulary());
        return HexFormat.of().formatHex(sha256().digest(said.getBytes(StandardCharsets.UTF_8)));
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every Java has it
        }
    }
}
