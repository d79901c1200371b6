/**
 * WarpBERT as a library. Its ways in are {@link org.warpbert.task}: what answers ({@link org.warpbert.task.TextClassifier},
 * {@link org.warpbert.task.MultiLabelClassifier}, {@link org.warpbert.task.TextScorer}, {@link org.warpbert.task.TokenTagger},
 * {@link org.warpbert.task.QuestionAnswerer}, {@link org.warpbert.task.MultipleChoice}, {@link org.warpbert.task.Embedder},
 * {@link org.warpbert.task.FillMask}) and what trains and judges ({@link org.warpbert.task.Finetune},
 * {@link org.warpbert.task.Evaluation}); {@link org.warpbert.train} with {@link org.warpbert.train.Hyperparameters} and
 * {@link org.warpbert.train.TrainingListener}; {@link org.warpbert.hub.Hub}; and of {@link org.warpbert.text} what these take and
 * give. {@code backend}, {@code memory}, {@code model} and {@code format} are what they stand on and change with it; {@code cli} and
 * {@code bench} are the command.
 *
 * <p>In an application:
 * <ul>
 * <li>What answers holds a model's weights outside of the Java heap until it is closed. Threads take turns at it, since each call uses the
 * whole device: many texts in one call are faster than many calls. Small calls that wait are computed in one
 * batch, to the same bits but where products are OpenBLAS's or cuBLAS's. Two models do not wait for each other; share the cores between them
 * with {@link org.warpbert.task.Compute#withThreads}. Buffers, too, stay until it is closed, as large as the largest batch made them.
 * <li>A text is tokenised whole before it is cut, most of them while other threads wait, and takes up to 150 bytes of Java's heap a
 * character meanwhile; where the heap has no room for a text the tokenizer's library aborts the JVM. A server limits the length of what it is sent.
 * <li>An interrupt does not end a wait for a turn, nor a batch; a call of several batches fails at the next one. The thread stays interrupted.
 * <li>Errors are {@link org.warpbert.WarpBertException}, a text that is null among them; a {@code Compute}, {@code Pooling} or
 * {@code Options} that is null is a {@link NullPointerException}. Nothing is printed; what a user may want to hear goes to the {@code note}
 * of {@code load}, or to the {@code TrainingListener}. DJL and the Maven resolver log through SLF4J, with the application's own provider.
 * <li>Native libraries are unpacked on first use, WarpBERT's and OpenBLAS below {@code ~/.javacpp} (or
 * {@code -Dorg.bytedeco.javacpp.cachedir}), the tokenizer's below {@code ~/.djl.ai} (or {@code DJL_CACHE_DIR}). The JVM lets only one class
 * loader of a process load the tokenizer's: where several applications share a server, the jars belong to what they share.
 * <li>JavaCPP's limit on the memory of the whole process is taken off ({@code org.bytedeco.javacpp.maxphysicalbytes}) unless it was set.
 * An application that has used JavaCPP before WarpBERT sets it to 0 itself.
 * </ul>
 */
package org.warpbert;
