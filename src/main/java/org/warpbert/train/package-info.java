/** The training loop: hyperparameters, schedule, AdamW with clipping, steps and their reports, the run folder. */
package org.warpbert.train;
