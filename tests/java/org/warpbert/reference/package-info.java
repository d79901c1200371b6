/**
 * Independent references, test scope only: BERT and single ops by libtorch autograd, MiniLM by ONNX Runtime.
 * They share no code with what they check. The {@code Torch*} classes are also compiled into
 * {@code benchmarks/}, where the same model is the peer to be timed against.
 *
 * <p>JavaCPP counts the whole process against {@code maxPhysicalBytes} and calls {@code System.gc()} in a
 * loop above it: run with {@code -Dorg.bytedeco.javacpp.maxphysicalbytes=0 -Dorg.bytedeco.javacpp.maxbytes=0}.
 * Native tensors are closed by {@code PointerScope}, never left to the collector.
 */
package org.warpbert.reference;
