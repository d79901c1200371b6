package org.warpbert.check;

import java.util.ArrayList;
import java.util.List;
import org.warpbert.backend.Precision;

/** The steps of a check, in their order: what says most in least time comes first. */
final class Plan {
    static final String DEVICE = "device";

    /** Classes of tests in org.warpbert.backend, each a step: every op in every type, products, and a backend's life. */
    static final List<String> PARITY = List.of("OpParityTest", "GemmTest", "ActivatedProductTest", "DropoutTest", "VocabularyLossTest", "OpErrorsTest", "BackendTest");

    /** Runs whose every allocation is refused once, in turn: they recover, and end with the same bits. */
    static final String RECOVERY = "org.warpbert.task.RecoveryTest#eachAllocationMayFailOnce(java.lang.String)";

    /** Precisions that a GPU trains in. */
    static final List<Precision> PRECISIONS = List.of(Precision.F32, Precision.BF16, Precision.FP16);

    /**
     * @param name    what is done, in words separated by spaces
     * @param seconds after which it has failed
     */
    record Step(String name, int seconds) {}

    private Plan() {}

    /** @param ownModel whether there is a model with a training set to train as well */
    static List<Step> of(String device, boolean ownModel) {
        boolean gpu = device.equals("cuda");
        List<Step> steps = new ArrayList<>(List.of(new Step(DEVICE, 150)));
        PARITY.forEach(tests -> steps.add(new Step("parity " + tests, gpu ? 150 : 600)));
        List<String> models = new ArrayList<>(List.of("small"));
        if (gpu) {
            models.add("bert-base");
        }
        if (ownModel) {
            models.add("own");
        }
        models.forEach(model -> PRECISIONS.forEach(precision -> steps.add(new Step("training " + model + " " + precision, 90))));
        PRECISIONS.forEach(precision -> steps.add(new Step("determinism " + precision, 60)));
        steps.add(new Step("memory " + Precision.BF16, 90));
        steps.add(new Step("budget 4GiB 2", 60));
        steps.add(new Step("budget 9.07GB 10", 60));
        steps.add(new Step("recovery", gpu ? 150 : 600));
        List.of(Precision.F32, Precision.BF16).forEach(precision -> steps.add(new Step("graphs " + precision, 60)));
        List.of(Precision.F32, Precision.BF16).forEach(precision -> steps.add(new Step("step-graphs " + precision, 90)));
        steps.add(new Step("cudnn", 60));
        for (String lengths : gpu ? List.of("fixed:128", "fixed:512", "cola") : List.of("fixed:8")) {
            for (String what : List.of("train", "infer", "ops")) {
                steps.add(new Step("bench " + what + " " + lengths, 60));
            }
        }
        return steps;
    }
}
