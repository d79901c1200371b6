package org.warpbert.model;

/** Which rows of the encoder's output a head reads. Behind its attention, the last layer computes no others. */
public enum OutputRows {
    /** Those of all tokens, [T]. */
    ALL,
    /** That of each sequence's first token, [B], which is what a pooler reads. */
    FIRST,
    /** Those of the tokens that have a label of their own, [M]. */
    LABELLED,
    /** Those of the labelled tokens, and behind them those of {@link #FIRST}, [M + B]. */
    LABELLED_AND_FIRST;

    /** R: how many these are of T tokens, M labelled ones and B sequences. */
    int count(int tokens, int labelled, int sequences) {
        return switch (this) {
            case ALL -> tokens;
            case FIRST -> sequences;
            case LABELLED -> labelled;
            case LABELLED_AND_FIRST -> Math.addExact(labelled, sequences);
        };
    }

    boolean first() {
        return this == FIRST || this == LABELLED_AND_FIRST;
    }

    boolean labelled() {
        return this == LABELLED || this == LABELLED_AND_FIRST;
    }
}
