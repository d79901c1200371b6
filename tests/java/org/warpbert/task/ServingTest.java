package org.warpbert.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
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
