package org.jlatent.data;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A procedural set of grey images in the manner of dSprites [Matthey et al. 2017]: one white shape
 * on black, its factors of variation known. Nothing is read or stored; image {@code index} is drawn
 * when it is asked for, anti-aliased.
 *
 * <p>Factors, slowest first: shape (square, ellipse, heart), scale, rotation, x, y. The set is
 * walked in a fixed scrambled order, so that any range of indices is a fair sample; {@link #splits}
 * holds out the last tenth for testing. A rotation step is 1/16 of the angle after which the shape
 * looks the same again, so that no two images are equal.
 */
public final class Sprites implements ImageSet {
    /** The names of the factors, in the order of {@link #factors}. */
    public static final List<String> FACTORS = List.of("shape", "scale", "rotation", "x", "y");

    private static final int[] SIZES = {3, 4, 16, 16, 16};
    private static final int COUNT = 3 * 4 * 16 * 16 * 16; // 49,152
    private static final int SCRAMBLE =
            30_029; // odd and no multiple of 3: index -> index * SCRAMBLE % COUNT is a bijection

    // A square looks the same after a quarter turn, an ellipse after half of one.
    private static final double[] TURN = {Math.PI / 2, Math.PI, 2 * Math.PI};

    private static final double HEART = 0.55; // its square's half-edge and its discs' radius
    private static final double REACH = 1.2; // the farthest point of any shape, in radii

    private final int side;

    /**
     * @param side pixels of an image's edge, at least 8
     */
    public Sprites(int side) {
        if (side < 8) {
            throw new IllegalArgumentException("sprites need at least 8x8 pixels, got " + side);
        }
        this.side = side;
    }

    /**
     * 32x32 images: the last tenth for testing, the tenth before it for validation, the others for
     * training.
     */
    public static Splits splits() {
        Sprites all = new Sprites(32);
        int tenth = COUNT / 10;
        return new Splits(
                all.range(0, COUNT - 2 * tenth),
                Optional.of(all.range(COUNT - 2 * tenth, COUNT - tenth)),
                all.range(COUNT - tenth, COUNT));
    }

    @Override
    public String name() {
        return "sprites";
    }

    @Override
    public int size() {
        return COUNT;
    }

    @Override
    public ImageShape shape() {
        return new ImageShape(side, side, 1);
    }

    /** The shape. */
    @Override
    public OptionalInt label(int index) {
        return OptionalInt.of(factors(index)[0]);
    }

    /** How many values each factor takes. */
    public static int[] factorSizes() {
        return SIZES.clone();
    }

    /** The factors of image {@code index}, each from 0 to its size - 1. */
    public static int[] factors(int index) {
        if (index < 0 || index >= COUNT) {
            throw new IndexOutOfBoundsException("image " + index + " of " + COUNT);
        }
        int rest = (int) ((long) index * SCRAMBLE % COUNT);
        int[] factors = new int[SIZES.length];
        for (int i = SIZES.length - 1; i >= 0; i--) {
            factors[i] = rest % SIZES[i];
            rest /= SIZES[i];
        }
        return factors;
    }

    @Override
    public void read(int index, float[] destination, int offset) {
        int[] f = factors(index);
        // In units of the image's edge: radius of the shape, angle, centre. The shape stays inside
        // the image.
        double radius = 0.12 + 0.04 * f[1];
        double angle = TURN[f[0]] * f[2] / SIZES[2];
        double margin = 0.3;
        double cx = margin + (1 - 2 * margin) * f[3] / (SIZES[3] - 1);
        double cy = margin + (1 - 2 * margin) * f[4] / (SIZES[4] - 1);
        double cos = Math.cos(angle) / radius;
        double sin = Math.sin(angle) / radius;
        double pixel = 1.0 / side;
        Arrays.fill(destination, offset, offset + side * side, 0.0f);
        // Only pixels that the shape can touch: a circle of REACH radii and the outline's blur.
        double reach = REACH * radius + pixel;
        for (int row = first(cy - reach); row < last(cy + reach); row++) {
            double dy = (row + 0.5) * pixel - cy;
            for (int column = first(cx - reach); column < last(cx + reach); column++) {
                double dx = (column + 0.5) * pixel - cx;
                // Coverage of the pixel from the signed distance of its centre to the outline.
                double distance =
                        radius * distance(f[0], cos * dx + sin * dy, cos * dy - sin * dx) / pixel;
                destination[offset + row * side + column] =
                        (float) Math.min(1, Math.max(0, 0.5 - distance));
            }
        }
    }

    private int first(double edge) {
        return Math.max(0, (int) (edge * side));
    }

    private int last(double edge) {
        return Math.min(side, (int) Math.ceil(edge * side));
    }

    /**
     * About the signed distance from (u, v) to the outline of a shape of radius 1, negative inside.
     */
    private static double distance(int shape, double u, double v) {
        switch (shape) {
            case 0:
                { // square of half-edge 0.8
                    double du = Math.abs(u) - 0.8;
                    double dv = Math.abs(v) - 0.8;
                    return Math.hypot(Math.max(du, 0), Math.max(dv, 0))
                            + Math.min(Math.max(du, dv), 0);
                }
            case 1:
                { // ellipse of half-axes 1 and 0.5: level set over its gradient
                    double level = u * u + 4 * v * v - 1;
                    return level / Math.max(1e-6, 2 * Math.sqrt(u * u + 16 * v * v));
                }
            default:
                { // heart, tip down: a square on its corner, a disc on each of its upper edges
                    double square = (Math.abs(u) + Math.abs(v)) / Math.sqrt(2) - HEART;
                    double middle = HEART / Math.sqrt(2);
                    return Math.min(square, Math.hypot(Math.abs(u) - middle, v + middle) - HEART);
                }
        }
    }
}
