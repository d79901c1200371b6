package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * What the library says is read by programmers and by who types options. So outside of the command an option stands only in
 * brackets, behind words that say what it is: "the batch size (--batch-size) is 0".
 */
class MessagesTest {
    private static final Path SOURCES = Path.of("src/main/java/org/warpbert");
    private static final Set<String> COMMANDS = Set.of("cli", "bench");
    private static final Pattern LITERAL = Pattern.compile("\"((?:[^\"\\\\]|\\\\.)*)\"");
    private static final Pattern BRACKETS = Pattern.compile("\\([^()]*(?:\\)|$)"); // that are closed in the next literal too
    private static final Pattern OPTION = Pattern.compile("--[a-z][a-z-]*");

    private static List<String> literals() throws IOException {
        List<String> literals = new ArrayList<>();
        try (Stream<Path> files = Files.walk(SOURCES)) {
            for (Path file : files.filter(file -> file.toString().endsWith(".java") && !COMMANDS.contains(SOURCES.relativize(file).getName(0).toString())).toList()) {
                for (String line : Files.readAllLines(file)) {
                    if (!line.strip().startsWith("*") && !line.strip().startsWith("/")) {
                        LITERAL.matcher(line).results().map(literal -> literal.group(1)).forEach(literals::add);
                    }
                }
            }
        }
        return literals;
    }

    private static Set<String> options(Stream<String> texts) {
        return texts.map(OPTION::matcher).flatMap(Matcher::results).map(MatchResult::group).collect(Collectors.toCollection(TreeSet::new));
    }

    @Test
    void optionsStandInBrackets() throws IOException {
        assertEquals(List.of(), literals().stream().filter(text -> OPTION.matcher(BRACKETS.matcher(text).replaceAll("")).find()).toList());
    }

    /** And are the command's own, by their present names. */
    @Test
    void optionsAreThere() throws IOException {
        Set<String> known = options(Stream.of("finetune", "pretrain", "plan", "predict", "fill-mask").map(command -> CommandRun.of(command, "--help").done().out()));
        Set<String> named = options(literals().stream());
        assertTrue(named.size() > 30, named.toString());
        named.removeAll(known);
        assertEquals(Set.of(), named);
    }
}
