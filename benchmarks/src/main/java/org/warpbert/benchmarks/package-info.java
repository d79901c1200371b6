/**
 * Measurements: JMH benchmarks of parts, and programs that time a peer on the same work. Each prints what it ran
 * on, because a figure without its device, threads and libraries cannot be compared.
 */
package org.warpbert.benchmarks;
