package org.jlatent.cli;

/** A process with {@link Interrupts} whose work never stops. */
final class InterruptedChild {
    private InterruptedChild() {}

    public static void main(String[] args) throws InterruptedException {
        try (Interrupts interrupts = new Interrupts(() -> System.out.println("asked"))) {
            System.out.println("ready");
            Thread.sleep(120_000);
            System.exit(interrupts.exitCode());
        }
    }
}
