package org.warpbert.cli;

import java.util.Locale;
import org.warpbert.WarpBertException;
import org.warpbert.train.Hyperparameters;
import org.warpbert.train.LayerRates;
import org.warpbert.train.Schedule;
import org.warpbert.train.Selection;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** How to train; what is not given is as in {@link Hyperparameters#DEFAULT}. */
final class HyperparameterOptions {
    private static final Hyperparameters DEFAULT = Hyperparameters.DEFAULT;

    @Option(names = "--epochs", paramLabel = "N", description = "Times through the training set (default: 4).")
    private int epochs = DEFAULT.epochs();

    @Option(names = "--batch-size", paramLabel = "N", description = "Examples per optimizer step (default: 32).")
    private int batchSize = DEFAULT.batchSize();

    @Option(names = "--max-length", paramLabel = "N", description = "Longer texts are cut to so many tokens (default: see below).")
    private Integer maxLength;

    @Option(names = "--lr", paramLabel = "X", description = "Peak learning rate of AdamW (default: 2e-5).")
    private double lr = DEFAULT.lr();

    @Option(names = "--warmup-steps", paramLabel = "N", description = "Steps over which the rate rises from 0 (default: 0).")
    private int warmupSteps = DEFAULT.warmupSteps();

    @Option(names = "--weight-decay", paramLabel = "X", description = "On neither biases nor LayerNorm (default: 0.01).")
    private double weightDecay = DEFAULT.weightDecay();

    @Option(names = "--clip", paramLabel = "X", description = "Largest norm of the whole gradient; 0: none (default: 1.0).")
    private double clip = DEFAULT.clip();

    @Option(names = "--dropout", paramLabel = "P", description = "Every dropout probability (default: the model's own).")
    private Double dropout = DEFAULT.dropout();

    @Option(names = "--schedule", paramLabel = "linear|constant", converter = ScheduleName.class,
            description = "How the rate goes after warm-up: linear to 0 (the default), or constant.")
    private Schedule schedule = DEFAULT.schedule();

    @Option(names = "--total-steps", paramLabel = "N", description = "Steps after which the linear rate is 0 (default: those of all epochs).")
    private int totalSteps = DEFAULT.totalSteps();

    @Option(names = "--steps", paramLabel = "N", description = "Stop after so many steps (default: at the end of the epochs).")
    private int steps = DEFAULT.steps();

    @Option(names = "--seed", paramLabel = "N", description = "Of order, split, dropout and new heads (default: 42).")
    private long seed = DEFAULT.seed();

    @Option(names = "--no-shuffle", description = "The file's order in every epoch.")
    private boolean noShuffle;

    @Option(names = "--freeze-embeddings", description = "Leave the embeddings as they are.")
    private boolean freezeEmbeddings;

    @Option(names = "--freeze-layers", paramLabel = "N", description = "Leave the embeddings and the first N layers as they are (default: 0).")
    private int freezeLayers;

    @Option(names = "--layer-decay", paramLabel = "X", description = "Each layer's rate over that of the layer above; the head has the full rate (default: 1).")
    private double layerDecay = DEFAULT.layerRates().decay();

    @Option(names = "--patience", paramLabel = "N", description = "Stop after N epochs in a row that were not better on the dev set (default: never).")
    private int patience;

    @Option(names = "--keep", paramLabel = "best|last", description = "Which epoch's weights the run holds (default: last).")
    private String keep = "last";

    @Option(names = "--metric", paramLabel = "NAME", description = "What --patience and --keep go by: a metric of the task, or loss (default: the task's own).")
    private String metric;

    /** @param usualLength the task's own default for the maximum length, or 0 */
    Hyperparameters get(int usualLength) {
        if (!keep.equals("best") && !keep.equals("last")) {
            throw new WarpBertException("--keep is " + keep + ", it must be best or last");
        }
        int length = maxLength != null ? maxLength : usualLength > 0 ? usualLength : DEFAULT.maxLength();
        return new Hyperparameters(epochs, batchSize, length, lr, warmupSteps, weightDecay, clip, dropout, schedule,
                totalSteps, steps, seed, !noShuffle, new LayerRates(freezeEmbeddings, freezeLayers, layerDecay),
                new Selection(metric, patience, keep.equals("best")));
    }

    private static final class ScheduleName implements ITypeConverter<Schedule> {
        @Override
        public Schedule convert(String name) {
            for (Schedule schedule : Schedule.values()) {
                if (schedule.toString().equals(name.toLowerCase(Locale.ROOT))) {
                    return schedule;
                }
            }
            throw new TypeConversionException("it must be linear or constant, not '" + name + "'");
        }
    }
}
