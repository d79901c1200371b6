package org.warpbert.backend;

import java.util.ArrayList;
import java.util.List;

/** THE table of op cases: every compute op of warpbert.h stands in it, at sizes on both sides of vectors, tiles and blocks. */
final class OpTable {
    final List<OpCase> cases = new ArrayList<>();
    final List<Difference> differences = new ArrayList<>();

    OpTable() {
        EmbeddingCases.add(this);
        ActivationCases.add(this);
        LayerNormCases.add(this);
        AttentionCases.add(this);
        RowCases.add(this);
        CrossEntropyCases.add(this);
        ElementwiseLossCases.add(this);
        SegmentLossCases.add(this);
        OptimizerCases.add(this);
        CastCases.add(this);
    }

    OpTable add(OpCase added) {
        cases.add(added);
        return this;
    }

    OpTable add(Difference difference) {
        differences.add(difference);
        return this;
    }
}
