package org.example.consumer;

/** Runs every example; each prints a line, and throws when its result is not what it should be. */
public final class Main {
    private Main() {}

    public static void main(String[] args) {
        PlainArrays.run();
        DirectBuffers.run();
        ForeignMemory.run();
        OwnModule.run();
        OwnData.run();
        OwnLoop.run();
        OnTheGpu.run();
    }

    static void check(boolean condition, String what) {
        if (!condition) {
            throw new IllegalStateException("not as expected: " + what);
        }
    }
}
