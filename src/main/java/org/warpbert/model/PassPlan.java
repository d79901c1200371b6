package org.warpbert.model;

import org.warpbert.backend.Dtype;
import org.warpbert.text.Capacity;

/**
 * What a model's buffers are made for.
 *
 * @param capacity the largest batch
 * @param dtype    of activations and products
 * @param training whether the forward saves for a backward and drops out
 */
public record PassPlan(Capacity capacity, Dtype dtype, boolean training) {}
