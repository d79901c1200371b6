package org.warpbert.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.warpbert.format.ModelFolder;
import org.warpbert.hub.Hub;
import org.warpbert.text.Encoded;
import org.warpbert.text.Utf8Lines;
import org.warpbert.text.WordPieceTokenizer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Texts to WordPiece tokens. */
@Command(name = "tokenize", description = "Tokenize a text per line; a JSON line each: text, tokens, ids.")
final class TokenizeCommand extends WarpBertCommand {
    private static final int UNLIMITED = Integer.MAX_VALUE;
    private static final int CHUNK = 1024;

    @Option(names = "--model", required = true, paramLabel = "NAME|DIR", description = "A model folder, or a name (see: warpbert models list).")
    private String model;

    @Parameters(arity = "0..1", paramLabel = "FILE", description = "A text per line; standard input by default.")
    private Path file;

    @Option(names = "--no-special", description = "Leave out [CLS] and [SEP].")
    private boolean noSpecial;

    @Option(names = "--pair-tab", description = "Lines are pairs of texts with a tab between them.")
    private boolean pairTab;

    @Option(names = "--max-length", paramLabel = "N", description = "Cut to so many tokens, special tokens included; not at all by default.")
    private Integer maxLength;

    /** One line of the output; pair, segments and truncated only where they say something. */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    private record Line(String text, String pair, List<String> tokens, int[] ids, int[] segments, Boolean truncated) {}

    TokenizeCommand(Terminal terminal) {
        super(terminal);
    }

    @Override
    void run() {
        if (noSpecial && (pairTab || maxLength != null)) {
            throw usage("--no-special goes with neither --pair-tab nor --max-length");
        }
        if (maxLength != null && maxLength < 3) {
            throw usage("--max-length is " + maxLength + ", it must be at least 3");
        }
        fetch(model);
        try (ModelFolder folder = ModelFolder.open(Hub.resolve(model));
                WordPieceTokenizer tokenizer = new WordPieceTokenizer(folder.vocabulary(), folder.lowerCase(), folder.addedTokens());
                Utf8Lines lines = TextInput.open(file, terminal)) {
            List<String> chunk = new ArrayList<>();
            for (String line = lines.next(); line != null; line = lines.next()) {
                if (pairTab) {
                    TextInput.tab(line, file, lines); // fails where there is none
                }
                chunk.add(line);
                if (chunk.size() == CHUNK) {
                    print(tokenizer, chunk);
                    chunk.clear();
                }
            }
            print(tokenizer, chunk);
        }
    }

    private void print(WordPieceTokenizer tokenizer, List<String> lines) {
        if (noSpecial) {
            List<int[]> ids = tokenizer.ids(lines);
            for (int i = 0; i < lines.size(); i++) {
                terminal.json(new Line(lines.get(i), null, tokens(tokenizer, ids.get(i)), ids.get(i), null, null));
            }
            return;
        }
        List<String> texts = pairTab ? lines.stream().map(line -> line.substring(0, line.indexOf('\t'))).toList() : lines;
        List<String> pairs = pairTab ? lines.stream().map(line -> line.substring(line.indexOf('\t') + 1)).toList() : null;
        List<Encoded> encoded = tokenizer.encode(texts, pairs, maxLength == null ? UNLIMITED : maxLength);
        for (int i = 0; i < texts.size(); i++) {
            Encoded one = encoded.get(i);
            terminal.json(new Line(texts.get(i), pairTab ? pairs.get(i) : null, tokens(tokenizer, one.tokens()), one.tokens(),
                    pairTab ? widened(one.segments()) : null, maxLength == null ? null : one.truncated()));
        }
    }

    private static List<String> tokens(WordPieceTokenizer tokenizer, int[] ids) {
        return Arrays.stream(ids).mapToObj(tokenizer::token).toList();
    }

    private static int[] widened(byte[] values) {
        int[] wide = new int[values.length];
        Arrays.setAll(wide, i -> values[i]);
        return wide;
    }
}
