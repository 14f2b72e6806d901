/**
 * The CUDA kernels from Java, through JCuda. {@link org.jlatent.cuda.Cuda} says whether they can
 * run here, and may be asked by any thread; a device belongs to the thread that opened it.
 */
package org.jlatent.cuda;
