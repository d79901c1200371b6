/**
 * The command line, a thin shell over the library: results go to standard output, progress and notes to standard
 * error; exit code 0 is done, 1 failed with one line, 2 wrong usage.
 */
package org.warpbert.cli;
