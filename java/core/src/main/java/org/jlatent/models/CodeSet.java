package org.jlatent.models;

import java.util.List;
import java.util.OptionalInt;
import org.jlatent.JlatentException;
import org.jlatent.Scope;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;

/**
 * The codes of a set of images, made once and kept in memory: what a {@link CodePrior} is trained
 * on. A code k of K is the value k / (K - 1); classes are those of the images.
 */
public final class CodeSet implements ImageSet {
    private final String name;
    private final List<CodeMap> maps;
    private final ImageShape shape;
    private final int[][] codes; // [images][all maps' codes]
    private final int[] labels; // -1: none

    private CodeSet(String name, List<CodeMap> maps, int[][] codes, int[] labels) {
        this.name = name;
        this.maps = maps;
        this.shape = shape(maps);
        this.codes = codes;
        this.labels = labels;
    }

    /**
     * Encodes all images.
     *
     * @throws IllegalArgumentException unless they are of the size the model takes
     * @throws JlatentException if the model finds no code for a part of an image
     */
    public static CodeSet of(CodedModel model, ImageSet images, int batchSize) {
        Networks.require(batchSize >= 1, "batchSize must be at least 1", batchSize);
        if (!images.shape().equals(model.image())) {
            throw new IllegalArgumentException(
                    "the codes are of images of "
                            + model.image()
                            + ", "
                            + images.name()
                            + " has "
                            + images.shape());
        }
        int[][] codes = new int[images.size()][];
        int[] labels = new int[images.size()];
        try (Scope scope = new Scope(model.device())) {
            for (int first = 0; first < codes.length; first += batchSize) {
                scope.clear();
                int count = Math.min(batchSize, codes.length - first);
                Tensor x = ImageModel.batch(scope, images, first, count);
                int[][] some = rows(model.codeMaps(), model.encodeMaps(scope, x));
                for (int i = 0; i < count; i++) {
                    codes[first + i] = some[i];
                    labels[first + i] = images.label(first + i).orElse(-1);
                }
            }
        }
        return new CodeSet("codes of " + images.name(), model.codeMaps(), codes, labels);
    }

    /** All maps' codes of each image, one after another. */
    private static int[][] rows(List<CodeMap> maps, List<Tensor> codes) {
        int[][] rows = new int[(int) codes.get(0).shape().get(0)][CodeMap.length(maps)];
        int at = 0;
        for (int m = 0; m < maps.size(); m++) {
            int[] all = codes.get(m).toIntArray();
            int length = maps.get(m).shape().values();
            for (int i = 0; i < all.length; i++) {
                if (all[i] < 0 || all[i] >= maps.get(m).codes()) {
                    throw new JlatentException(
                            "the model has no code for an image: its map "
                                    + maps.get(m)
                                    + " holds "
                                    + all[i]
                                    + "; are its parameters finite?");
                }
                rows[i / length][at + i % length] = all[i];
            }
            at += length;
        }
        return rows;
    }

    /** A batch as {@link #read} has it: {@code batch} rows. */
    static float[] values(List<CodeMap> maps, List<Tensor> codes) {
        int[][] rows = rows(maps, codes);
        float[] values = new float[rows.length * CodeMap.length(maps)];
        for (int i = 0; i < rows.length; i++) {
            write(maps, rows[i], values, i * rows[i].length);
        }
        return values;
    }

    private static void write(List<CodeMap> maps, int[] row, float[] destination, int offset) {
        int at = 0;
        for (CodeMap map : maps) {
            int end = at + map.shape().values();
            for (; at < end; at++) {
                destination[offset + at] = (float) row[at] / (map.codes() - 1);
            }
        }
    }

    /** Of one map its own; of several a line of all codes. */
    static ImageShape shape(List<CodeMap> maps) {
        return maps.size() == 1 ? maps.get(0).shape() : new ImageShape(1, CodeMap.length(maps), 1);
    }

    /** What the codes are of. */
    public List<CodeMap> maps() {
        return maps;
    }

    /** All codes of an image, map by map. */
    public int[] codes(int index) {
        return codes[index].clone();
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public int size() {
        return codes.length;
    }

    @Override
    public ImageShape shape() {
        return shape;
    }

    @Override
    public void read(int index, float[] destination, int offset) {
        write(maps, codes[index], destination, offset);
    }

    @Override
    public OptionalInt label(int index) {
        return labels[index] < 0 ? OptionalInt.empty() : OptionalInt.of(labels[index]);
    }
}
