package org.warpbert.text;

/** What is learned from running text besides the masked words. */
public enum Objective {
    /** Nothing: sequences of one text, as long as they may be (Liu et al. 2019). */
    MLM,
    /** Next sentence prediction (Devlin et al. 2019): whether the second text follows the first, or is another document's. */
    NSP,
    /** Sentence order prediction (Lan et al. 2020): whether two texts that follow each other stand in their order. */
    SOP;

    /** Whether sequences hold two texts, and a label: 0 where the second follows the first, 1 where not. */
    public boolean pairs() {
        return this != MLM;
    }
}
