/**
 * Model files. A {@link org.warpbert.format.TensorSource} reads named float tensors (safetensors, TensorFlow
 * checkpoint, ONNX initialisers); {@code ModelFolder} finds out what a folder holds and gives
 * its configuration, vocabulary and tensors under one set of names, {@link org.warpbert.format.TensorNames}.
 * {@link org.warpbert.format.Vocabulary} is the one reader of tokenizer files and
 * {@link org.warpbert.format.TokenizerWriter} the one writer; {@code ModelWriter} writes the rest of a model.
 */
package org.warpbert.format;
