package org.jlatent.nn;

/**
 * How well the codes of a {@link Quantizer} are used; with several books, means over them.
 *
 * @param codes of a book
 * @param perplexity exp of the entropy of the codes, in [1, codes]; 0 when there were none
 * @param usage part of the codes that occurred, in [0, 1]
 * @param revived entries that were dead and took a new place
 */
public record CodebookHealth(long codes, double perplexity, double usage, long revived) {
    /** Codes that did not occur. */
    public long dead() {
        return Math.round((1 - usage) * codes);
    }
}
