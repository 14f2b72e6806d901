package org.jlatent.data;

/**
 * One image while a set is opened; NHWC.
 *
 * @param name where it came from, for errors
 */
record Picture(String name, int height, int width, int channels, float[] values) {

    /**
     * As {@code options} want it: crop, resize, channels, threshold.
     *
     * @throws DataException if it is smaller than the crop
     */
    Picture view(DataOptions options) {
        Picture picture = this;
        if (options.crop() != null) {
            picture = picture.crop(options.crop());
        }
        if (options.resize() != null) {
            picture = picture.resize(options.resize());
        }
        if (options.channels() != 0) {
            picture = picture.channels(options.channels());
        }
        return options.binarize() == Binarize.THRESHOLD ? picture.threshold() : picture;
    }

    /** Height and width. */
    DataOptions.Size size() {
        return new DataOptions.Size(height, width);
    }

    private Picture crop(DataOptions.Size to) {
        if (to.height() > height || to.width() > width) {
            throw new DataException(
                    name + " is " + size() + ", too small for a crop of " + to + ": use resize");
        }
        int top = (height - to.height()) / 2;
        int left = (width - to.width()) / 2;
        float[] kept = new float[to.height() * to.width() * channels];
        for (int row = 0; row < to.height(); row++) {
            System.arraycopy(
                    values,
                    ((top + row) * width + left) * channels,
                    kept,
                    row * to.width() * channels,
                    to.width() * channels);
        }
        return new Picture(name, to.height(), to.width(), channels, kept);
    }

    private Picture resize(DataOptions.Size to) {
        float[] wide = // columns first, an axis at a time
                along(values, height, width, channels, to.width());
        float[] resized = along(wide, 1, height, to.width() * channels, to.height());
        return new Picture(name, to.height(), to.width(), channels, resized);
    }

    /** [outer, from, inner] to [outer, to, inner]. */
    private static float[] along(float[] x, int outer, int from, int inner, int to) {
        if (from == to) {
            return x;
        }
        float[] y = new float[Math.multiplyExact(outer, Math.multiplyExact(to, inner))];
        double ratio = (double) from / to;
        for (int i = 0; i < to; i++) {
            double begin;
            double end;
            if (ratio > 1) { // the area it covers
                begin = i * ratio;
                end = Math.min(from, (i + 1) * ratio);
            } else { // the two whose centres are next
                begin = Math.max(0, Math.min(from - 1, (i + 0.5) * ratio - 0.5));
                end = begin + 1; // a window as wide as a pixel weighs them by their distance
            }
            for (int j = (int) begin; j < Math.min(from, Math.ceil(end)); j++) {
                double covered = Math.min(end, j + 1) - Math.max(begin, j);
                float weight = (float) (covered / (end - begin));
                for (int o = 0; o < outer; o++) {
                    int source = (o * from + j) * inner;
                    int target = (o * to + i) * inner;
                    for (int k = 0; k < inner; k++) {
                        y[target + k] += weight * x[source + k];
                    }
                }
            }
        }
        return y;
    }

    private Picture channels(int count) {
        if (count == channels) {
            return this;
        }
        if (channels != 1 && channels != 3) {
            throw new DataException(
                    name + " has " + channels + " channels, which make neither grey nor rgb");
        }
        int pixels = height * width;
        float[] y = new float[pixels * count];
        for (int i = 0; i < pixels; i++) {
            if (count == 1) {
                y[i] =
                        0.299f * values[3 * i]
                                + 0.587f * values[3 * i + 1]
                                + 0.114f * values[3 * i + 2];
            } else {
                y[3 * i] = values[i];
                y[3 * i + 1] = values[i];
                y[3 * i + 2] = values[i];
            }
        }
        return new Picture(name, height, width, count, y);
    }

    private Picture threshold() {
        float[] y = new float[values.length];
        for (int i = 0; i < y.length; i++) {
            y[i] = values[i] >= 0.5f ? 1 : 0;
        }
        return new Picture(name, height, width, channels, y);
    }
}
