package org.warpbert.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.warpbert.task.TinyModel;

/** The plan as a user sees it, and {@code --memory} on every command that has it. */
class PlanTest {
    private static final long MIB = 1 << 20;

    @TempDir static Path folder;
    private static String model;
    private static String data;
    private static String run;

    @BeforeAll
    static void write() throws IOException {
        model = TinyModel.write(folder.resolve("tiny"), 64, 2).toString();
        data = TinyModel.data(folder.resolve("data.tsv"), 30, 2, 61, 9, 44, 17, 5, 80, 23, 12).toString();
        run = folder.resolve("run").toString();
        CommandRun.of("finetune", "--model", model, "--train", data, "--text", "text", "--label", "label", "--batch-size", "4", "--max-length", "128",
                "--epochs", "1", "--out", run).done();
    }

    private static JsonNode plan(String... more) throws IOException {
        String[] args = new String[more.length + 4];
        System.arraycopy(new String[] {"plan", "--model", model, "--json"}, 0, args, 0, 4);
        System.arraycopy(more, 0, args, 4, more.length);
        return CommandRun.of(args).done().json();
    }

    @Test
    void aDeviceThatIsNotThereNeedsItsMemory() {
        assumeFalse(Files.exists(Path.of("/dev/nvidiactl")), "there is a GPU");
        CommandRun.of("plan", "--model", model, "--device", "cuda").failedWith("to plan for a GPU that is not here, say what memory it has (--memory)");
    }

    @Test
    void plansForADeviceThatIsNotThere() throws IOException {
        JsonNode plan = plan("--device", "cuda", "--memory", "4GiB", "--batch-size", "8", "--max-length", "512");
        assertTrue(plan.path("fits").asBoolean());
        assertEquals(4096 * MIB, plan.path("budget_bytes").asLong());
        assertEquals(8 * 512, plan.path("micro_batch_tokens").asInt());
        assertEquals(1, plan.path("accumulation_steps").asInt());
        assertEquals("none", plan.path("recompute").asText());
        assertTrue(plan.path("suggestion").isNull());
        assertFalse(plan.path("overhead_measured").asBoolean());
        long sum = StreamSupport.stream(plan.path("breakdown").spliterator(), false).mapToLong(JsonNode::asLong).sum();
        assertEquals(plan.path("planned_bytes").asLong(), sum);
        for (String part : new String[] {"weights", "gradients", "moments", "optimizer", "layer.0", "layer.1", "backward", "batch", "products"}) {
            assertTrue(plan.path("breakdown").path(part).asLong() > 0, part);
        }
        assertEquals(plan.path("planned_bytes").asLong() + plan.path("overhead_bytes").asLong(), plan.path("predicted_peak_bytes").asLong());
        assertTrue(plan.path("predicted_step_seconds").asDouble() > 0);
    }

    /** What is kept on the host for the device counts where the host's memory is the device's, and stands apart elsewhere. */
    @Test
    void stagingOnTheHostIsPlanned() throws IOException {
        String[] options = {"--memory", "4GiB", "--batch-size", "8", "--max-length", "512", "--precision", "f32", "--threads", "1", "--device", ""};
        options[options.length - 1] = "cuda";
        JsonNode cuda = plan(options);
        options[options.length - 1] = "cpu";
        JsonNode cpu = plan(options);
        long filler = 3 * 8 * Integer.BYTES; // where steps are graphs, 8 sequences of 512 tokens are filled up to 16: where each ends, two numbers of its first row
        long staging = 0;
        for (String part : new String[] {"host.batch", "host.read_back", "host.optimizer"}) {
            assertTrue(cpu.path("breakdown").path(part).asLong() > 0, part);
            assertEquals(cpu.path("breakdown").path(part).asLong() + (part.equals("host.batch") ? 2 * filler : 0), cuda.path("host_breakdown").path(part).asLong(), part);
            assertTrue(cuda.path("breakdown").path(part).isMissingNode(), part);
            staging += cpu.path("breakdown").path(part).asLong();
        }
        assertEquals(2 * cpu.path("breakdown").path("batch").asLong(), cpu.path("breakdown").path("host.batch").asLong(), "two blocks in turn");
        long rows = cuda.path("breakdown").path("layer.1").asLong() - cpu.path("breakdown").path("layer.1").asLong() // of the last layer, 16 for 8
                + cuda.path("breakdown").path("selected").asLong() - cpu.path("breakdown").path("selected").asLong();
        assertTrue(rows > 0, "filler has activations");
        assertEquals(cuda.path("planned_bytes").asLong() - cuda.path("breakdown").path("products").asLong() - filler - rows + staging, cpu.path("planned_bytes").asLong());
        assertTrue(cuda.path("host_breakdown").path("host.weights").asLong() > 0, "a GPU's weights pass through the host");
        assertEquals(cpu.path("host_breakdown").path("host.ready_batches"), cuda.path("host_breakdown").path("host.ready_batches"));
        assertTrue(cpu.path("host_breakdown").path("host.ready_batches").asLong() >= 5 * 8 * 512 * 6 * 4, "six numbers a token, in batches that are ready");
        assertEquals(1, cpu.path("host_breakdown").size());
    }

    @Test
    void whatDoesNotFitSaysWhatWould() throws IOException {
        JsonNode all = plan("--device", "cpu", "--threads", "1", "--memory", "4GiB", "--batch-size", "4", "--max-length", "512");
        assertTrue(all.path("fits").asBoolean());
        JsonNode none = plan("--device", "cpu", "--threads", "1", "--memory", "110MiB", "--batch-size", "4", "--max-length", "512");
        assertFalse(none.path("fits").asBoolean());
        assertTrue(none.path("micro_batch_tokens").isNull());
        String suggestion = none.path("suggestion").asText();
        assertTrue(suggestion.contains("--memory "), suggestion);
        String enough = suggestion.substring(suggestion.indexOf("--memory ") + 9, suggestion.lastIndexOf(')'));
        assertTrue(plan("--device", "cpu", "--threads", "1", "--memory", enough, "--batch-size", "4", "--max-length", "512").path("fits").asBoolean(), enough);
    }

    /** By the real lengths a run takes what was planned for it, to the byte. */
    @Test
    void aRunTakesWhatThePlanSaid() throws IOException {
        String[] options = {"--train", data, "--text", "text", "--label", "label", "--batch-size", "4", "--max-length", "128", "--epochs", "3"};
        JsonNode plan = plan(options);
        assertTrue(plan.path("largest_batch_tokens").asInt() < 4 * 82, "real lengths");
        String[] args = new String[options.length + 6];
        System.arraycopy(new String[] {"finetune", "--model", model, "--json", "--out", folder.resolve("planned").toString()}, 0, args, 0, 6);
        System.arraycopy(options, 0, args, 6, options.length);
        JsonNode summary = CommandRun.of(args).done().json();
        assertEquals(plan.path("planned_bytes").asLong(), summary.path("planned_bytes").asLong());
        assertEquals(plan.path("planned_bytes").asLong(), summary.path("memory").path("planned_bytes").asLong());
        assertEquals(1, summary.path("memory").path("accumulation_steps").asInt());
    }

    /** Without data a plan is of the worst that the task can come to, with the task's own head. */
    @ParameterizedTest
    @CsvSource({"classify, 64, 3", "tag, 64, 9", "regress, 64,", "qa, 384,", "choice, 256, 4", "choice, 384, 6", "mlm, 128,", "nsp, 128,", "sop, 128,"})
    void everyTaskIsPlannedWithoutData(String task, int tokens, Integer labels) throws IOException {
        String length = Integer.toString(task.equals("choice") ? 64 : tokens);
        String[] args = {"--task", task, "--batch-size", "3", "--max-length", length, "--device", "cpu", "--threads", "1", "--memory", "4GiB", "--labels",
            String.valueOf(labels)};
        JsonNode plan = plan(labels == null ? Arrays.copyOf(args, args.length - 2) : args);
        assertEquals(3 * tokens, plan.path("largest_batch_tokens").asInt());
        for (String field : List.of("fits", "planned_bytes", "breakdown", "micro_batch_tokens", "accumulation_steps", "recompute", "suggestion")) {
            assertFalse(plan.path(field).isMissingNode(), field);
        }
        String head = switch (task) {
            case "classify", "regress" -> "classifier";
            case "tag" -> "tagging";
            case "qa" -> "span";
            case "choice" -> "choice";
            default -> "mlm";
        };
        assertTrue(plan.path("breakdown").path(head).asLong() > 0, plan.path("breakdown").toString());
        assertEquals(List.of("nsp", "sop").contains(task), plan.path("breakdown").has("relation"), "the two texts' relation");
    }

    @Test
    void aNewModelIsPlannedAsItWillBe() throws IOException {
        String[] args = {"plan", "--task", "mlm", "--layers", "2", "--hidden", "32", "--heads", "1", "--vocab-size", "496", "--batch-size", "4", "--device", "cpu",
            "--memory", "1GiB", "--json"};
        JsonNode plan = CommandRun.of(args).done().json();
        assertTrue(plan.path("fits").asBoolean());
        long weights = plan.path("breakdown").path("weights").asLong();
        args[10] = "600";
        long more = CommandRun.of(args).done().json().path("breakdown").path("weights").asLong();
        assertEquals(104 * (32 + 1) * 4, more - weights, 64, "104 words more, and their bias");
    }

    @Test
    void frozenLayersArePlanned() throws IOException {
        String[] args = {"--batch-size", "8", "--max-length", "64", "--device", "cpu", "--threads", "1", "--memory", "1GiB", "--freeze-layers", "0"};
        JsonNode all = plan(args);
        args[args.length - 1] = "1";
        JsonNode some = plan(args);
        assertTrue(some.path("breakdown").path("layer.0").isMissingNode(), "nothing is saved of it");
        assertEquals(all.path("breakdown").path("layer.0"), some.path("breakdown").path("layer.1"), "no gradients below lend it memory");
        assertTrue(all.path("breakdown").path("layer.1").asLong() < all.path("breakdown").path("layer.0").asLong(), "those of layer 0 do");
        assertTrue(some.path("breakdown").path("moments").asLong() < all.path("breakdown").path("moments").asLong());
        args[args.length - 1] = "3";
        CommandRun.of("plan", "--model", model, "--freeze-layers", "3").failedWith("(--freeze-layers) is 3, more than the model's 2 layers");
    }

    @Test
    void whatCannotBePlannedIsRefused() {
        CommandRun.of("plan", "--memory", "1GiB").misusedWith("--model");
        CommandRun.of("plan", "--model", model, "--hidden", "64").misusedWith("for a new one");
        CommandRun.of("plan", "--model", model, "--labels", "3", "--train", data).misusedWith("--labels");
        CommandRun.of("plan", "--model", model, "--task", "qa", "--labels", "3", "--max-length", "64").misusedWith("(--labels) is not for it");
        CommandRun.of("plan", "--model", model, "--task", "tag", "--labels", "0").misusedWith("'--labels': it must be at least 1, not 0");
        CommandRun.of("plan", "--model", model, "--labels", "2000000000").misusedWith("(--labels) is 2000000000");
        CommandRun.of("plan", "--model", model, "--batch-size", "2000000000").failedWith("2000000000 examples (--batch-size)");
        CommandRun.of("plan", "--model", model, "--batch-size", "3000000").failedWith("3000000 examples (--batch-size)", "64 tokens (--max-length)");
        CommandRun.of("plan", "--model", model, "--task", "choice", "--labels", "2000000000").failedWith("(--batch-size)", "(--labels)", "more than can be counted");
        CommandRun.of("plan", "--task", "mlm", "--vocab-size", "5").misusedWith("--vocab-size is 5, it must be more than the 5 special tokens");
        CommandRun.of("plan", "--task", "mlm", "--positions", "48", "--max-length", "49").misusedWith("49", "48 positions");
        CommandRun.of("plan", "--task", "mlm", "--hidden", "65", "--heads", "2").misusedWith("65");
        CommandRun.of("plan", "--task", "mlm", "--config", "none.json").failedWith("none.json");
        CommandRun.of("plan", "--model", model, "--max-length", "600").failedWith("more than the model's 512 positions");
    }

    /** Epochs that a run does not come to are not gone through. */
    @Test
    @Timeout(60)
    void planningEndsWhereTheRunDoes() throws IOException {
        String[] more = {"--train", data, "--text", "text", "--label", "label", "--batch-size", "4", "--max-length", "128", "--steps", "1", "--epochs", "1"};
        JsonNode one = plan(more);
        more[more.length - 1] = "2000000000";
        assertEquals(one.path("planned_bytes"), plan(more).path("planned_bytes"));
        String[] finetune = new String[more.length + 6];
        System.arraycopy(new String[] {"finetune", "--model", model, "--json", "--out", folder.resolve("short").toString()}, 0, finetune, 0, 6);
        System.arraycopy(more, 0, finetune, 6, more.length);
        assertEquals(1, CommandRun.of(finetune).done().json().path("steps").asInt());
    }

    @Test
    void printsATable() {
        String out = CommandRun.of("plan", "--model", model, "--batch-size", "4", "--memory", "1GiB").done().out();
        for (String row : new String[] {"weights", "layers", "planned", "fixed overhead", "predicted peak", "budget"}) {
            assertTrue(out.lines().anyMatch(line -> line.startsWith(row + " ") && line.contains(" bytes ")), out);
        }
        assertTrue(out.contains("in one piece; recomputing none"), out);
    }

    @ParameterizedTest
    @ValueSource(strings = {"0", "12XB", "-4GiB", ""})
    void badSizesAreWrongUsageOnEveryCommand(String size) {
        CommandRun.of("plan", "--model", model, "--memory", size).misusedWith("--memory", "'" + size + "'");
        CommandRun.of("finetune", "--model", model, "--train", data, "--text", "text", "--label", "label", "--out", folder.resolve("bad").toString(),
                "--memory", size).misusedWith("--memory", "'" + size + "'");
        CommandRun.of("predict", "--model", run, "--memory", size, "w1").misusedWith("--memory", "'" + size + "'");
        CommandRun.of("evaluate", "--model", run, "--data", data, "--text", "text", "--label", "label", "--memory", size).misusedWith("--memory");
        CommandRun.of("embed", "--model", run, "--memory", size, "w1").misusedWith("--memory");
    }

    @Test
    void moreThanTheMachineOrLessThanTheProcessIsRefused() {
        String[] commands = {"finetune", "--model", model, "--train", data, "--text", "text", "--label", "label", "--out", folder.resolve("bad").toString(),
            "--memory", ""};
        commands[commands.length - 1] = "900TiB";
        CommandRun.of(commands).failedWith("(--memory) is 921600.00 GiB, more than", "this machine has");
        commands[commands.length - 1] = "1MiB";
        CommandRun.of(commands).failedWith("(--memory) is 1.0 MiB, less than", "without any model");
        CommandRun.of("predict", "--model", run, "--memory", "900TiB", "w1").failedWith("this machine has");
        CommandRun.of("evaluate", "--model", run, "--data", data, "--text", "text", "--label", "label", "--memory", "900TiB").failedWith("this machine has");
        CommandRun.of("embed", "--model", run, "--memory", "900TiB", "w1").failedWith("this machine has");
    }

    /** Batches that inference cannot hold whole are computed in parts, in order, with the same answers. */
    @Test
    void inferenceIsPlannedToo() throws IOException {
        String[] texts = new String[40];
        for (int i = 0; i < texts.length; i++) {
            texts[i] = "w" + i % 48 + " w3".repeat(i * 7 % 400);
        }
        String[] args = new String[texts.length + 4];
        System.arraycopy(new String[] {"predict", "--model", run, "--json"}, 0, args, 0, 4);
        System.arraycopy(texts, 0, args, 4, texts.length);
        JsonNode[] ample = CommandRun.of(args).done().jsonLines().toArray(JsonNode[]::new);
        System.setProperty("warpbert.device-memory", Long.toString(5 * MIB / 2));
        try {
            JsonNode[] tight = CommandRun.of(args).done().jsonLines().toArray(JsonNode[]::new);
            for (int i = 0; i < ample.length; i++) {
                assertEquals(ample[i].path("text"), tight[i].path("text"));
                assertEquals(ample[i].path("score").asDouble(), tight[i].path("score").asDouble(), 1e-5);
            }
            JsonNode judged = CommandRun.of("evaluate", "--model", run, "--data", data, "--text", "text", "--label", "label", "--json").done().json();
            System.setProperty("warpbert.device-memory", Long.toString(1 << 16));
            CommandRun.of("predict", "--model", run, "w1").failedWith("does not fit", "its weights take", "(--memory)");
            System.setProperty("warpbert.device-memory", Long.toString(MIB / 2));
            CommandRun.of("embed", "--model", run, "w1 ".repeat(500)).failedWith("does not fit", "--max-length ", "--memory ");
            CommandRun.of("embed", "--model", run, "--layers", "all", "w1 ".repeat(500)).failedWith("does not fit", "--max-length ", "--memory ");
            CommandRun.of("embed", "--model", run, "--layers", "all", "w1 w2").done();
            System.clearProperty("warpbert.device-memory");
            JsonNode whole = CommandRun.of("evaluate", "--model", run, "--data", data, "--text", "text", "--label", "label", "--json").done().json();
            assertEquals(whole.path("loss").asDouble(), judged.path("loss").asDouble(), 1e-5);
            assertEquals(whole.path("metrics"), judged.path("metrics"));
        } finally {
            System.clearProperty("warpbert.device-memory");
        }
    }
}
