package org.jlatent.models;

/** Differences between images and what a model makes of them, added up over a set. */
final class ReconstructionErrors {
    private double squared;
    private double absolute;
    private double sum;
    private double square;
    private long values;

    void add(float[] images, float[] reconstructed) {
        for (int i = 0; i < images.length; i++) {
            double error = images[i] - reconstructed[i];
            squared += error * error;
            absolute += Math.abs(error);
            sum += images[i];
            square += (double) images[i] * images[i];
        }
        values += images.length;
    }

    double squared() {
        return squared;
    }

    double absolute() {
        return absolute;
    }

    /** Values of the images so far. */
    long values() {
        return values;
    }

    /** Squared error / variance of the data: 1 is as bad as the mean value everywhere. */
    double normalized() {
        double mean = sum / values;
        double variance = square / values - mean * mean;
        return squared / values / variance;
    }
}
