package org.warpbert.train;

import org.warpbert.WarpBertException;

/**
 * Whether a run that is stopped can go on.
 *
 * @param every  steps from one saved state to the next, and one at each epoch's end; 0: none is saved
 * @param resume whether this run goes on from the state that one of the same settings has left. The result is then the undisturbed
 *               run's, to the bit where the device and the plan are the same
 */
public record Saving(int every, boolean resume) {
    public static final Saving NONE = new Saving(0, false);

    public Saving {
        if (every < 0) {
            throw new WarpBertException("the number of steps between savings (--save-every) is " + every + ", it must be at least 0");
        }
    }
}
