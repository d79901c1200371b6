package org.warpbert.cli;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.warpbert.backend.Backends;
import org.warpbert.backend.Dtype;
import org.warpbert.memory.BatchPlanner.Choice;
import org.warpbert.memory.ByteSize;
import org.warpbert.memory.DeviceSpeed;
import org.warpbert.memory.FixedOverhead;
import org.warpbert.memory.MemoryPlan;
import org.warpbert.text.BatchSizes;
import org.warpbert.train.TrainingPlan;

/** A plan for a person and for a program. */
record PlanReport(TrainingPlan plan, BatchSizes sizes, String device, DeviceSpeed speed) {

    /** What {@code --json} prints, in snake case. */
    Map<String, Object> json() {
        Choice choice = plan.choice();
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("fits", plan.fits());
        json.put("budget_bytes", plan.budget().total());
        json.put("planned_bytes", plan.memory().bytes());
        json.put("breakdown", plan.memory().parts());
        json.put("host_breakdown", plan.memory().hostParts());
        json.put("overhead_bytes", plan.budget().overhead());
        json.put("overhead_measured", FixedOverhead.isMeasured(device));
        json.put("predicted_peak_bytes", plan.predictedPeak());
        json.put("largest_batch_tokens", sizes.largest().tokens());
        json.put("micro_batch_tokens", choice == null ? null : choice.microBatch().tokens());
        json.put("accumulation_steps", choice == null ? null : choice.parts());
        json.put("recompute", choice == null ? null : choice.recompute().toString());
        json.put("moments", choice == null ? null : plan.moments().toString());
        json.put("predicted_step_seconds", choice == null ? null : choice.seconds());
        json.put("speed_measured", speed.measured());
        json.put("suggestion", plan.suggestion());
        return json;
    }

    void print(Terminal terminal) {
        Map<String, Long> parts = new LinkedHashMap<>();
        plan.memory().parts().forEach((part, bytes) -> parts.merge(part.startsWith("layer.") ? "layers"
                : part.startsWith(MemoryPlan.HOST) ? "host staging" : part, bytes, Long::sum));
        parts.forEach((part, bytes) -> row(terminal, part, bytes, ""));
        row(terminal, "planned", plan.memory().bytes(), "");
        row(terminal, "fixed overhead", plan.budget().overhead(), FixedOverhead.isMeasured(device) ? "" : "   (assumed, not measured)");
        row(terminal, "predicted peak", plan.predictedPeak(), "");
        row(terminal, "budget", plan.budget().total(), "");
        plan.memory().hostParts().forEach((part, bytes) -> row(terminal, part.replace('.', ' ').replace('_', ' '), bytes,
                Backends.isHost(device) ? "   (in the overhead)" : "   (of the host, not of the device)"));
        Choice choice = plan.choice();
        if (choice == null) {
            terminal.print("It does not fit. What would do: " + plan.suggestion());
            return;
        }
        terminal.print(String.format(Locale.ROOT, "Batches of at most %,d tokens in %s; recomputing %s.", sizes.largest().tokens(),
                choice.parts() == 1 ? "one piece" : String.format(Locale.ROOT, "up to %d micro-batches of at most %,d tokens", choice.parts(),
                        choice.microBatch().tokens()), choice.recompute()));
        if (plan.moments() != Dtype.F32) {
            terminal.print("AdamW's moments are kept in bfloat16, rounded by chance: in float32 nothing fits.");
        }
        terminal.print(String.format(Locale.ROOT, "A step of %,d tokens, the mean, is predicted to take %.3g s (%s).", sizes.meanTokens(),
                choice.seconds(), speed.measured() ? "by this device's speed, measured just now" : "by an assumed speed: the device is not here"));
    }

    private static void row(Terminal terminal, String part, long bytes, String remark) {
        terminal.print(String.format(Locale.ROOT, "%-18s %,15d bytes   %10s%s", part, bytes, ByteSize.format(bytes), remark));
    }
}
