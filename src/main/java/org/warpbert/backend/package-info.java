/**
 * The op set as Java sees it: {@link org.warpbert.backend.Backend} opens a native library and offers every op of
 * {@code native/include/warpbert.h}, {@link org.warpbert.backend.Gemm} the matrix products,
 * {@link org.warpbert.backend.DeviceMemory} owned memory. Tensors are plain addresses, so that a step allocates
 * nothing; shapes and aliasing rules stand in the header, whose names the methods carry.
 */
package org.warpbert.backend;
