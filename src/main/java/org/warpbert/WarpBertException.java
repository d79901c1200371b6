package org.warpbert;

/**
 * The one exception of this library. Its message is a complete sentence for the user: what went wrong, where
 * (file and row, tensor name, op and shapes), and, where there is one, the remedy. The command line prints
 * just that message and exits with 1. What can be answered other than by telling the user is a subclass.
 */
public class WarpBertException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public WarpBertException(String message) {
        super(message);
    }

    public WarpBertException(String message, Throwable cause) {
        super(message, cause);
    }
}
