/**
 * From files to packed batches: exact Hugging Face WordPiece tokenization
 * ({@link org.warpbert.text.WordPieceTokenizer}), readers for TSV, CSV and JSONL
 * ({@link org.warpbert.text.TextTable}, {@link org.warpbert.text.Examples}) and for
 * CoNLL files ({@link org.warpbert.text.ConllFile}), labels
 * ({@link org.warpbert.text.LabelMap}) and batches without padding
 * ({@link org.warpbert.text.PackedBatch}, {@link org.warpbert.text.BatchLoader}).
 */
package org.warpbert.text;
