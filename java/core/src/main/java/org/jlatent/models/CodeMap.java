package org.jlatent.models;

import java.util.List;
import org.jlatent.data.ImageShape;

/**
 * One of the maps of codes that an image becomes.
 *
 * @param name of its part of a prior: {@code "top"}
 * @param shape height, width and books, which are the codes of one place, in their order
 * @param codes that there are: each is one of 0 to {@code codes - 1}
 */
public record CodeMap(String name, ImageShape shape, int codes) {

    /** Codes of an image. */
    static int length(List<CodeMap> maps) {
        return maps.stream().mapToInt(map -> map.shape().values()).sum();
    }

    @Override
    public String toString() {
        return name + " " + shape + " of " + codes + " codes";
    }
}
