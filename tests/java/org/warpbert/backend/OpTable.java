package org.warpbert.backend;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** THE table of op cases: every compute op of warpbert.h stands in it, at sizes on both sides of vectors, tiles and blocks. */
final class OpTable {
    private static final Map<Dtype, OpTable> TABLES = new EnumMap<>(Dtype.class); // for all tests: cases are hundreds of megabytes

    /** Of the {@code void*} tensors. */
    final Dtype dtype;
    final List<OpCase> cases = new ArrayList<>();
    final List<Difference> differences = new ArrayList<>();

    /** The table of a type. Of 16 bits it is without differences (roundings are larger), and without ops that have no such tensors. */
    static synchronized OpTable of(Dtype dtype) {
        return TABLES.computeIfAbsent(dtype, OpTable::new);
    }

    private OpTable(Dtype dtype) {
        this.dtype = dtype;
        EmbeddingCases.add(this);
        ActivationCases.add(this);
        LayerNormCases.add(this);
        AttentionCases.add(this);
        RowCases.add(this);
        CrossEntropyCases.add(this);
        ElementwiseLossCases.add(this);
        SegmentLossCases.add(this);
        OptimizerCases.add(this);
        if (dtype == Dtype.F32) {
            CastCases.add(this); // of every pair of types
        }
    }

    /** What a tensor of the table's type holds of these values. */
    float[] operand(float[] values) {
        return dtype == Dtype.F32 ? values : Half.of(dtype).round(values);
    }

    OpTable add(OpCase added) {
        if (dtype == Dtype.F32) {
            cases.add(added);
        } else if (added.typed()) {
            cases.add(added.in(dtype));
        }
        return this;
    }

    OpTable add(Difference difference) {
        if (dtype == Dtype.F32) {
            differences.add(difference);
        }
        return this;
    }
}
