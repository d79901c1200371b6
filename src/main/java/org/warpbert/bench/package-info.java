/**
 * What {@code warpbert bench} measures: ops, training steps and inference on this machine, beside the machine's own copy
 * bandwidth and matrix-product rate; and the gate that compares a measurement with a recorded one.
 */
package org.warpbert.bench;
