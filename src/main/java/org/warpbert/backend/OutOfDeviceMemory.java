package org.warpbert.backend;

import org.warpbert.WarpBertException;

/** A device had no memory for something: what was asked for may be asked for again, smaller or later. */
public final class OutOfDeviceMemory extends WarpBertException {
    private static final long serialVersionUID = 1L;

    public OutOfDeviceMemory(String message) {
        super(message);
    }
}
