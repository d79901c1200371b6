package org.warpbert.bench;

import org.warpbert.memory.BatchPlanner.Choice;
import org.warpbert.memory.Recompute;

/** A batch's work on a device, everything loaded and allocated: what is measured, or done in turns with other engines. */
interface Session extends AutoCloseable {
    /** Does the work so many times, and returns when the last of it is done. */
    void run(int times);

    /** How a batch is computed that memory does not hold whole, such as {@code ", in 2 parts"}; empty where it does. */
    String inParts();

    /** The same of a choice, null where nothing was computed yet. */
    static String inParts(Choice choice) {
        return choice == null ? "" : (choice.parts() == 1 ? "" : ", in " + choice.parts() + " parts") + (choice.recompute() == Recompute.NONE ? "" : ", recomputing " + choice.recompute());
    }

    /** What came of the last run: of training the loss, of inference the first logits; nothing before the first. */
    double[] result();

    @Override
    void close();
}
