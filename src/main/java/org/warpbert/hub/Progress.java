package org.warpbert.hub;

/** Hears how far a download or conversion is; called often, perhaps from several threads. */
@FunctionalInterface
public interface Progress {
    /** Hears nothing. */
    Progress NONE = (what, done, total) -> { };

    /**
     * @param what  what is being done, as a few words for a progress bar ("Downloading bert-base-uncased")
     * @param done  bytes so far
     * @param total bytes in all, or -1 where that is not known
     */
    void at(String what, long done, long total);
}
