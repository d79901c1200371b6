package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.warpbert.task.Entities.Entity;

/** Entities and their scores against the rules as conlleval and seqeval state them: of the border between two neighbours. */
class EntitiesTest {
    private static List<String> tags(String line) {
        return List.of(line.split(" "));
    }

    /** A tag's first character, and its type. */
    private record Place(char tag, String type) {
        static Place of(String tag) {
            String type = tag.length() > 1 ? tag.substring(tag.indexOf('-') + 1) : "";
            return new Place(tag.charAt(0), type.isEmpty() ? "_" : type);
        }
    }

    /**
     * Whether an entity ends between neighbours: conlleval's rules, of which seqeval has those for O, B, I, E, S. Each pair of
     * tags stands in a table of pairs that end whatever their types are.
     */
    private static boolean ends(Place before, Place after) {
        boolean always = List.of("BB", "BS", "BO", "IB", "IS", "IO").contains("" + before.tag + after.tag);
        return always || before.tag == 'E' || before.tag == 'S' || (before.tag != 'O' && !before.type.equals(after.type));
    }

    private static boolean starts(Place before, Place after) {
        boolean always = List.of("EE", "EI", "SE", "SI", "OE", "OI").contains("" + before.tag + after.tag);
        return always || after.tag == 'B' || after.tag == 'S' || (after.tag != 'O' && !before.type.equals(after.type));
    }

    /** All borders first, then each end with the last start in front of it. A sentence has O before and behind it. */
    private static List<Entity> reference(List<String> tags) {
        List<Place> places = new ArrayList<>(List.of(Place.of("O")));
        tags.forEach(tag -> places.add(Place.of(tag)));
        places.add(Place.of("O"));
        TreeSet<Integer> startsAt = new TreeSet<>();
        List<Entity> entities = new ArrayList<>();
        for (int border = 0; border + 1 < places.size(); border++) {
            if (ends(places.get(border), places.get(border + 1))) {
                entities.add(new Entity(places.get(border).type, startsAt.last(), border - 1));
            }
            if (starts(places.get(border), places.get(border + 1))) {
                startsAt.add(border);
            }
        }
        return entities;
    }

    private static List<String> random(SplittableRandom random, String[] places, String[] types) {
        String[] tags = new String[1 + random.nextInt(12)];
        Arrays.setAll(tags, i -> {
            String place = places[random.nextInt(places.length)];
            return place.equals("O") ? "O" : random.nextInt(20) == 0 ? place : place + "-" + types[random.nextInt(types.length)];
        });
        return List.of(tags);
    }

    /** 3,000 random sentences and predictions of each scheme, so nearly all malformed: entities, and every score of them. */
    @ParameterizedTest
    @ValueSource(strings = {"O I", "O B I", "O B I E S", "B I E S", "O O O B I I I E S"})
    void agreesWithTheRulesOnRandomTags(String places) {
        SplittableRandom random = new SplittableRandom(places.hashCode());
        String[] types = {"PER", "LOC", "creative-work"};
        EntityMetrics metrics = new EntityMetrics();
        Map<String, long[]> counts = new TreeMap<>(); // of each type: there, predicted, both
        for (int n = 0; n < 3000; n++) {
            List<String> gold = random(random, places.split(" "), types);
            List<String> predicted = new ArrayList<>(gold);
            for (int i = 0; i < predicted.size(); i++) {
                if (random.nextInt(3) == 0) {
                    predicted.set(i, random(random, places.split(" "), types).get(0));
                }
            }
            List<Entity> there = reference(gold);
            assertEquals(there, Entities.of(gold), () -> "of " + gold);
            List<Entity> found = reference(predicted);
            assertEquals(found, Entities.of(predicted), () -> "of " + predicted);
            metrics.add(gold, predicted);
            for (Entity e : there) {
                counts.computeIfAbsent(e.type(), type -> new long[3])[0]++;
            }
            for (Entity e : found) {
                counts.computeIfAbsent(e.type(), type -> new long[3])[1]++;
                counts.get(e.type())[2] += there.contains(e) ? 1 : 0;
            }
        }
        long[] all = new long[3];
        assertEquals(counts.keySet(), metrics.byType().keySet());
        counts.forEach((type, c) -> {
            assertTrue(c[2] > 50 && c[2] < c[0], type + " " + Arrays.toString(c));
            assertScores(c, metrics.byType().get(type));
            assertEquals(c[0], metrics.byType().get(type).get("support"));
            Arrays.setAll(all, k -> all[k] + c[k]);
        });
        assertScores(all, metrics.overall());
    }

    /** f1 as 2 both / (there + predicted), another form of the harmonic mean. */
    private static void assertScores(long[] counts, Map<String, Double> scores) {
        assertEquals((double) counts[2] / counts[1], scores.get("precision"), 1e-15);
        assertEquals((double) counts[2] / counts[0], scores.get("recall"), 1e-15);
        assertEquals(2.0 * counts[2] / (counts[0] + counts[1]), scores.get("f1"), 1e-15);
    }

    @ParameterizedTest
    @CsvSource({
        "B-PER I-PER O B-LOC, PER 0-1 LOC 3-3", // seqeval's own example
        "I-PER I-PER B-PER I-LOC, PER 0-1 PER 2-2 LOC 3-3", // IOB1
        "B-PER I-PER E-PER S-LOC O S-LOC S-LOC, PER 0-2 LOC 3-3 LOC 5-5 LOC 6-6", // BIOES
        "E-PER E-PER I-PER O, PER 0-0 PER 1-1 PER 2-2", // malformed from here on
        "O I-PER E-LOC I-LOC, PER 1-1 LOC 2-2 LOC 3-3",
        "S-PER E-PER B-PER S-PER, PER 0-0 PER 1-1 PER 2-2 PER 3-3",
        "B I O I-PER, _ 0-1 PER 3-3"})
    void readsEachScheme(String line, String expected) {
        StringBuilder found = new StringBuilder();
        Entities.of(tags(line)).forEach(e -> found.append(e.type()).append(' ').append(e.first()).append('-').append(e.last()).append(' '));
        assertEquals(expected, found.toString().strip());
    }

    /** The example of seqeval's documentation, with its scores. */
    @Test
    void scoresOfSeqevalsExample() {
        EntityMetrics metrics = new EntityMetrics();
        metrics.add(tags("O O O B-MISC I-MISC I-MISC O"), tags("O O B-MISC I-MISC I-MISC I-MISC O"));
        metrics.add(tags("B-PER I-PER O"), tags("B-PER I-PER O"));
        assertEquals(Map.of("f1", 0.5, "precision", 0.5, "recall", 0.5), metrics.overall());
        assertEquals(Map.of("f1", 0.0, "precision", 0.0, "recall", 0.0, "support", 1.0), metrics.byType().get("MISC"));
        assertEquals(1.0, metrics.byType().get("PER").get("f1"));
    }

    @Test
    void nothingToFindAndNothingFound() {
        EntityMetrics metrics = new EntityMetrics();
        assertEquals(Map.of("f1", 0.0, "precision", 0.0, "recall", 0.0), metrics.overall());
        metrics.add(tags("O O"), tags("O O"));
        assertEquals(0, metrics.overall().get("f1"));
        metrics.add(tags("O O"), tags("B-X O"));
        assertEquals(0, metrics.overall().get("precision"));
    }

    @Test
    void tellsTagsFromPartsOfSpeech() {
        assertTrue(Entities.areTags(List.of("O", "B-PER", "I-PER")));
        assertTrue(Entities.areTags(List.of("B", "I", "E", "S")));
        assertFalse(Entities.areTags(List.of("O", "NOUN", "B-PER")));
        assertFalse(Entities.areTags(List.of("NOUN", "VERB", "SYM", "INTJ")));
        assertFalse(Entities.areTags(List.of("O")));
    }
}
