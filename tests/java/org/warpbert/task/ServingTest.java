package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.AbstractList;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.warpbert.WarpBertException;
import org.warpbert.model.BertConfig;
import org.warpbert.model.ParameterTable;
import org.warpbert.text.ChoiceQuestion;

/** Every class that answers, as a server uses it: from many threads, with whatever texts come, up to its end and after it. */
class ServingTest {
    private static final Compute COMPUTE = Compute.on("cpu").withThreads(2);
    private static final int THREADS = 4;

    @TempDir
    Path folder;

    /** A model that says something of a text, as a string that tells all bits. */
    private record Served(AutoCloseable model, OpenModel opened, Function<String, String> answer) implements AutoCloseable {
        @Override
        public void close() throws Exception {
            model.close();
        }
    }

    enum Kind {
        CLASSIFIER(config -> ClassificationHead.parameters(config, 2)) {
            @Override
            Served load(String model) {
                TextClassifier it = TextClassifier.load(model, COMPUTE);
                return new Served(it, it.model, text -> it.predict(texts(text)).stream().map(p -> p.label() + Arrays.toString(p.scores())).toList().toString());
            }
        },
        LABELS(config -> ClassificationHead.parameters(config, 2)) {
            @Override
            BertConfig config() {
                return super.config().withUse(new BertConfig.Use("BertForSequenceClassification", "multi_label_classification", null));
            }

            @Override
            Served load(String model) {
                MultiLabelClassifier it = MultiLabelClassifier.load(model, COMPUTE);
                return new Served(it, it.model, text -> it.predict(texts(text)).stream().map(Arrays::toString).toList().toString());
            }
        },
        SCORER(config -> ClassificationHead.parameters(config, 1)) {
            @Override
            Served load(String model) {
                TextScorer it = TextScorer.load(model, COMPUTE);
                return new Served(it, it.model, text -> Arrays.toString(it.score(texts(text))));
            }
        },
        TAGGER(config -> TaggingHead.parameters(config, 3)) {
            @Override
            Served load(String model) {
                TokenTagger it = TokenTagger.load(model, COMPUTE);
                return new Served(it, it.model, text -> it.predict(texts(text)).toString());
            }
        },
        ANSWERER(SpanHead::parameters) {
            @Override
            Served load(String model) {
                QuestionAnswerer it = QuestionAnswerer.load(model, COMPUTE);
                return new Served(it, it.model, text -> it.answer("w1 w2", text).toString());
            }
        },
        CHOICE(ChoiceHead::parameters) {
            @Override
            Served load(String model) {
                MultipleChoice it = MultipleChoice.load(model, COMPUTE);
                return new Served(it, it.model, text -> it.choose(List.of(new ChoiceQuestion(text, null, List.of("w1", "w2 w3")))).stream().map(answer -> Arrays.toString(answer.scores())).toList().toString());
            }
        },
        EMBEDDER(config -> ParameterTable.bert(config).build()) {
            @Override
            Served load(String model) {
                Embedder it = Embedder.load(model, Embedder.Pooling.MEAN, COMPUTE);
                return new Served(it, it.model, text -> Arrays.deepToString(it.embed(texts(text), true)));
            }
        },
        INSPECTOR(config -> ParameterTable.bert(config).build()) {
            @Override
            Served load(String model) {
                Embedder it = Embedder.load(model, Embedder.Pooling.MEAN, COMPUTE);
                return new Served(it, it.model, text -> Arrays.deepToString(it.inspect(text, null, false, 128).hiddenStates()));
            }
        },
        WORDS(config -> MaskedWordHead.parameters(config, false)) {
            @Override
            Served load(String model) {
                FillMask it = FillMask.load(model, COMPUTE);
                return new Served(it, it.model, text -> it.fill(text == null ? null : "[MASK] " + text, null, 5, 128).toString());
            }
        };

        private final Function<BertConfig, ParameterTable> parameters;

        Kind(Function<BertConfig, ParameterTable> parameters) {
            this.parameters = parameters;
        }

        BertConfig config() {
            return TinyModel.config(32, 2);
        }

        abstract Served load(String model);

        private static List<String> texts(String text) {
            return Arrays.asList("w5 w6", text);
        }

        Served open(Path folder) throws IOException {
            return load(TinyModel.write(folder.resolve(name().toLowerCase(Locale.ROOT)), config(), parameters.apply(config())).toString());
        }
    }

    private static String words(int count) {
        return IntStream.range(0, count).mapToObj(word -> "w" + word).collect(Collectors.joining(" "));
    }

    /** Threads take turns, each to the bits that it has alone; once one has closed the model, the others hear so. */
    @ParameterizedTest
    @EnumSource
    @Timeout(120)
    void threadsTakeTurnsUntilOneCloses(Kind kind) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(THREADS);
        try (Served served = kind.open(folder)) {
            List<String> alone = IntStream.range(0, THREADS).mapToObj(t -> served.answer.apply(words(3 + 10 * t))).toList();
            CountDownLatch answered = new CountDownLatch(THREADS);
            List<Callable<Integer>> work = new ArrayList<>();
            for (int thread = 0; thread < THREADS; thread++) {
                int mine = thread;
                work.add(() -> {
                    for (int call = 0; ; call++) {
                        if (call == 1) {
                            answered.countDown();
                        }
                        if (mine == 0 && call == 20) {
                            answered.await();
                            served.close();
                        }
                        try {
                            assertEquals(alone.get(mine), served.answer.apply(words(3 + 10 * mine)));
                        } catch (WarpBertException e) {
                            assertTrue(e.getMessage().endsWith(" is used after it was closed") && e.getMessage().contains(folder.toString()), e.getMessage());
                            return call;
                        }
                    }
                });
            }
            for (Future<Integer> done : pool.invokeAll(work)) {
                assertNotEquals(0, done.get());
            }
        } finally {
            pool.shutdown();
        }
    }

    /** What a call is told does not depend on whose calls wait beside it, though all are computed in the first one's batch. */
    @ParameterizedTest
    @EnumSource
    @Timeout(120)
    void callsThatWaitAreToldWhatTheyAreToldAlone(Kind kind) throws Exception {
        try (Served served = kind.open(folder)) {
            List<String> texts = IntStream.range(0, THREADS).mapToObj(t -> t == 1 ? " " : words(13 - 4 * t) + " [MASK]".repeat(t)).toList();
            List<String> alone = texts.stream().map(served.answer).toList();
            long before = served.opened.backend().allocatedBytes();
            List<FutureTask<String>> calls = served.opened.inTurn(3, () -> texts.stream().map(text -> {
                FutureTask<String> call = new FutureTask<>(() -> served.answer.apply(text));
                Thread thread = new Thread(call);
                thread.start();
                while (thread.getState() != Thread.State.WAITING) {
                    Thread.onSpinWait();
                }
                return call;
            }).toList());
            for (int t = 0; t < THREADS; t++) {
                assertEquals(alone.get(t), calls.get(t).get());
            }
            assertEquals(kind != Kind.INSPECTOR, served.opened.backend().allocatedBytes() > before, "buffers for a larger batch than any before");
        }
    }

    /** Models share nothing: each, in a thread of its own, gives the bits that it gives alone. */
    @Test
    @Timeout(120)
    void modelsComputeSideBySide() throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(2);
        try (Served one = Kind.EMBEDDER.open(folder); Served other = Kind.TAGGER.open(folder)) {
            List<Callable<Set<String>>> work = new ArrayList<>();
            List<Set<String>> alone = new ArrayList<>();
            for (Served served : List.of(one, other)) {
                alone.add(Set.of(served.answer.apply(words(40))));
                work.add(() -> IntStream.range(0, 50).mapToObj(call -> served.answer.apply(words(40))).collect(Collectors.toSet()));
            }
            List<Set<String>> together = new ArrayList<>();
            for (Future<Set<String>> done : pool.invokeAll(work)) {
                together.add(done.get());
            }
            assertEquals(alone, together);
        } finally {
            pool.shutdown();
        }
    }

    /** Nothing to read, nothing that the vocabulary knows, half a character, and more than the model has positions for. */
    @ParameterizedTest
    @EnumSource
    void everyTextHasAnAnswerAndNullIsNamed(Kind kind) throws Exception {
        try (Served served = kind.open(folder)) {
            for (String text : List.of("", " \n\t", "\u0000\u0007", "\u4e00 \ud83d\ude00", "\ud800 w1 \udc00", words(48).repeat(20), "x".repeat(100_000))) {
                assertTrue(served.answer.apply(text).length() > 2, text);
            }
            String message = assertThrows(WarpBertException.class, () -> served.answer.apply(null)).getMessage();
            assertTrue(message.endsWith("is null") || message.endsWith("has neither a context nor a question"), message);
        }
    }

    /** A caller's list may change while its texts wait or are computed: it is read once. */
    @ParameterizedTest
    @EnumSource(names = {"CLASSIFIER", "TAGGER"})
    void aListIsReadOnce(Kind kind) throws Exception {
        List<String> once = new AbstractList<>() {
            private int reads;

            @Override
            public String get(int i) {
                return reads++ < size() ? "w1 w2" : null;
            }

            @Override
            public int size() {
                return 3;
            }
        };
        try (Served served = kind.open(folder)) {
            Function<List<String>, List<?>> model = served.model instanceof TokenTagger tagger ? tagger::predict : ((TextClassifier) served.model)::predict;
            assertEquals(3, model.apply(once).size());
        }
    }

    /** Of weights that are not numbers no class makes an answer; the inspector shows them as they are. */
    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "INSPECTOR")
    void whatIsNotANumberIsNoAnswer(Kind kind) throws Exception {
        kind.open(folder).close();
        Path weights = folder.resolve(kind.name().toLowerCase(Locale.ROOT)).resolve("model.safetensors");
        byte[] bytes = Files.readAllBytes(weights);
        long header = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
        Arrays.fill(bytes, Math.toIntExact(Long.BYTES + header), bytes.length, (byte) -1); // bits all set: NaN
        Files.write(weights, bytes);
        try (Served served = kind.load(weights.getParent().toString())) {
            String message = assertThrows(WarpBertException.class, () -> served.answer.apply("w1 w2")).getMessage();
            assertTrue(message.startsWith("the model's answer is not a finite number"), message);
        }
    }

    private static void refused(String message, Executable call) {
        assertEquals(message, assertThrows(WarpBertException.class, call).getMessage());
    }

    /** Before a turn is waited for, so that no call of another thread can take them up. */
    @Test
    void wrongArgumentsAreNamed() throws Exception {
        List<String> texts = List.of("w1");
        String tooShort = "the maximum length (--max-length) is 2, it must be at least 3";
        String tooLong = "the maximum length (--max-length) is 513, more than the model's 512 positions";
        String noBatch = "the batch size (--batch-size) is 0, it must be at least 1";
        refused("the memory to take (--memory) is -1 bytes, it must be 0 (what is free) or more", () -> COMPUTE.withMemory(-1));
        for (Kind kind : List.of(Kind.EMBEDDER, Kind.TAGGER, Kind.ANSWERER, Kind.CHOICE, Kind.WORDS)) {
            kind.open(folder).close();
        }
        try (Embedder embedder = Embedder.load(folder.resolve("embedder").toString(), Embedder.Pooling.MEAN, COMPUTE)) {
            refused("the text list is null", () -> embedder.embed(null, true));
            refused(tooShort, () -> embedder.embed(texts, null, true, 2, 1));
            refused(tooLong, () -> embedder.embed(texts, null, true, 513, 1));
            refused(noBatch, () -> embedder.embed(texts, null, true, 3, 0));
            refused(tooShort, () -> embedder.inspect("w1", null, false, 2));
        }
        try (TokenTagger tagger = TokenTagger.load(folder.resolve("tagger").toString(), COMPUTE)) {
            refused("the text list is null", () -> tagger.predict(null));
            refused(tooShort, () -> tagger.predict(texts, 2, 1));
            refused(tooLong, () -> tagger.predict(texts, 513, 1));
            refused(noBatch, () -> tagger.predict(texts, 3, 0));
            assertEquals(List.of(), tagger.predict(List.of()));
        }
        try (QuestionAnswerer answerer = QuestionAnswerer.load(folder.resolve("answerer").toString(), COMPUTE)) {
            List<QuestionAnswerer.Query> queries = List.of(new QuestionAnswerer.Query("w1 w2 w3", "w4"));
            refused("query 1 of 1 is null", () -> answerer.answer(Collections.singletonList(null), QaTask.Options.DEFAULT, 1, 16, 1));
            refused("question 1 of 1 is null", () -> answerer.answer(null, "w1"));
            refused("the number of answers (--n-best) is 0, it must be at least 1", () -> answerer.answer(queries, QaTask.Options.DEFAULT, 0, 16, 1));
            refused(tooShort, () -> answerer.answer(queries, QaTask.Options.DEFAULT, 1, 2, 1));
            refused(tooLong, () -> answerer.answer(queries, QaTask.Options.DEFAULT, 1, 513, 1));
            refused(noBatch, () -> answerer.answer(queries, QaTask.Options.DEFAULT, 1, 16, 0));
            assertTrue(assertThrows(WarpBertException.class, () -> answerer.answer(queries, QaTask.Options.DEFAULT, 1, 6, 1)).getMessage()
                    .contains("leaves no room for its context in 6 tokens"));
            assertEquals(List.of(), answerer.answer(List.of(), QaTask.Options.DEFAULT, 1, 16, 1));
        }
        try (MultipleChoice chooser = MultipleChoice.load(folder.resolve("choice").toString(), COMPUTE)) {
            List<ChoiceQuestion> questions = List.of(new ChoiceQuestion("w1", null, List.of("w2", "w3")));
            refused("question 1 of 1 is null", () -> chooser.choose(Collections.singletonList(null)));
            refused("a choice of the choice question is null", () -> new ChoiceQuestion("w1", null, Arrays.asList("w2", null)));
            refused("the choice question has fewer than two choices", () -> new ChoiceQuestion("w1", null, texts));
            refused(tooShort, () -> chooser.choose(questions, 2, 1));
            refused(tooLong, () -> chooser.choose(questions, 513, 1));
            refused(noBatch, () -> chooser.choose(questions, 3, 0));
            assertEquals(List.of(), chooser.choose(List.of()));
        }
        try (FillMask words = FillMask.load(folder.resolve("words").toString(), COMPUTE)) {
            List<List<FillMask.Candidate>> all = words.fill("[MASK] ".repeat(MaskedWordHead.CHUNK + 44), null, 2); // more than share a batch
            assertEquals(MaskedWordHead.CHUNK + 44, all.size());
            assertTrue(all.stream().allMatch(best -> best.size() == 2 && best.get(0).probability() >= best.get(1).probability() && best.get(1).probability() > 0));
            refused("the number of candidates (--top) is 0, it must be at least 1", () -> words.fill("[MASK]", null, 0));
            refused("the text has no [MASK] to fill: w1", () -> words.fill("w1", null, 1));
            refused(tooShort, () -> words.fill("[MASK]", null, 1, 2));
            refused(tooLong, () -> words.fill("[MASK]", null, 1, 513));
        }
    }

    @Test
    void theNullAmongManyIsNumbered() throws Exception {
        Kind.CLASSIFIER.open(folder).close();
        try (TextClassifier classifier = TextClassifier.load(folder.resolve("classifier").toString(), COMPUTE)) {
            assertEquals("text 2 of 3 is null", assertThrows(WarpBertException.class, () -> classifier.predict(Arrays.asList("a", null, null))).getMessage());
            assertEquals("second text 1 of 2 is null",
                    assertThrows(WarpBertException.class, () -> classifier.predict(List.of("a", "b"), Collections.nCopies(2, null), 16, 1)).getMessage());
            assertEquals(List.of(), classifier.predict(List.of()));
        }
    }
}
