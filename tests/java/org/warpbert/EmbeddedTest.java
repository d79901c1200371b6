package org.warpbert;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.warpbert.backend.OtherJvm;
import org.warpbert.task.Compute;
import org.warpbert.task.Embedder;
import org.warpbert.task.TinyModel;

/** The library in an application's own JVM: no options of ours, a small heap, none of the jars that only the command needs. */
class EmbeddedTest {
    private static final String COMMAND_LINE = ".*/(picocli|progressbar|jline-[a-z]*|xchart|slf4j-simple)-[0-9.]*jar";
    private static final String MAVEN = ".*/(maven-[a-z-]*|context|standalone-[a-z]*|plexus-[a-z-]*|httpc[a-z]*|jcl-over-slf4j|asm)-[0-9.]*jar";

    @TempDir
    Path folder;

    /** Embeds a text by each model, and says what came of it. */
    public static final class Application {
        private Application() {}

        public static void main(String[] models) {
            for (String model : models) {
                try (Embedder embedder = Embedder.load(model, Embedder.Pooling.MEAN, Compute.on("cpu"))) {
                    System.out.println(embedder.embed(List.of("w1 w2"), null, true, 16, 1)[0].length);
                } catch (WarpBertException e) {
                    System.out.println(e.getMessage());
                }
            }
        }
    }

    private static String without(String jars) {
        return Arrays.stream(OtherJvm.classes().split(":"))
                .filter(path -> !path.matches(jars)).collect(Collectors.joining(":"));
    }

    private OtherJvm.Run run(String classes, String... models) throws IOException, InterruptedException {
        return OtherJvm.run(classes, List.of(), List.of("-Xmx10m", "-Dwarpbert.cache=" + folder.resolve("cache")), Application.class, models);
    }

    /** The process takes more than four times the heap, where JavaCPP would draw the line. */
    @Test
    void aSmallHeapIsEnoughAndNothingIsPrinted() throws IOException, InterruptedException {
        String model = TinyModel.write(folder.resolve("model"), 32, 2).toString();
        OtherJvm.Run run = run(without(COMMAND_LINE), model, model);
        assertEquals(List.of("32", "32"), run.done());
        assertTrue(run.err().stream().allMatch(line -> line.startsWith("SLF4J(W)")), run.err().toString()); // no logger, so it says
    }

    @Test
    void withoutMavenFoldersAreOpenedAndNamesAreNot() throws IOException, InterruptedException {
        String model = TinyModel.write(folder.resolve("model"), 32, 2).toString();
        List<String> out = run(without(MAVEN), model, "all-MiniLM-L6-v2").done();
        assertEquals("32", out.get(0));
        assertTrue(out.get(1).startsWith("Cannot get all-MiniLM-L6-v2: the Maven resolver") && out.get(1).contains("standalone-static"), out.get(1));
    }
}
