package org.jlatent.data;

/** How grey values become zeros and ones. */
public enum Binarize {
    /** They stay grey. */
    NONE,
    /** 1 from one half on. */
    THRESHOLD,
    /** 1 with the value as its probability, drawn once: every epoch and run sees the same. */
    STATIC,
    /**
     * 1 with the value as its probability, for training drawn again every epoch; validation and
     * test images are drawn once, as in {@link #STATIC}.
     */
    DYNAMIC
}
