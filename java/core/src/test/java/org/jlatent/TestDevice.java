package org.jlatent;

import org.junit.jupiter.api.Assumptions;

/**
 * The device that tests run on: the CPU, or the one that {@code -Djlatent.test.device} names. The
 * module of CUDA runs the cases {@link OnEveryDevice} again, on stubs of NVIDIA's libraries and, if
 * there is one, on a GPU.
 */
public final class TestDevice {
    private static final String KIND = System.getProperty("jlatent.test.device", "cpu");

    private TestDevice() {}

    /** A new one, which the test closes. */
    public static Device open() {
        return switch (KIND) {
            case "cpu" -> Device.cpu();
            case "cuda" -> Device.cuda();
            case "cuda-or-skip" -> cudaOrSkip();
            default ->
                    throw new IllegalArgumentException(
                            "jlatent.test.device must be cpu, cuda or cuda-or-skip, got " + KIND);
        };
    }

    /**
     * Whether operations refuse values that they have no use for, as the CPU's do. CUDA's, the
     * emulated ones too, cannot know without waiting: they mark what they make of them, with NaN or
     * code -1, or leave it out.
     */
    public static boolean refusesBadValues(Device device) {
        return device.toString().contains("cpu-");
    }

    private static Device cudaOrSkip() {
        try {
            return Device.cuda();
        } catch (DeviceException e) {
            Assumptions.assumeFalse(
                    e.getMessage().startsWith("CUDA is not available"), e.getMessage());
            throw e;
        }
    }
}
