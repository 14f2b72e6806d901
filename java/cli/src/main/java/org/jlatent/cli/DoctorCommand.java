package org.jlatent.cli;

import java.io.PrintWriter;
import java.util.concurrent.Callable;
import org.jlatent.Device;
import org.jlatent.JlatentException;
import org.jlatent.cuda.Cuda;
import org.jlatent.internal.NativeLibraries;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code jlatent doctor}: what was looked for, where, and what to do about it. */
@Command(
        name = "doctor",
        mixinStandardHelpOptions = true,
        description =
                "Shows which devices can be used, which libraries were looked for, and what to install.")
final class DoctorCommand implements Callable<Integer> {
    @Spec CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        out.printf(
                "java       %s, %s %s%n",
                System.getProperty("java.version"),
                System.getProperty("os.name"),
                System.getProperty("os.arch"));
        out.printf("cores      %d%n", Runtime.getRuntime().availableProcessors());
        String data = System.getenv("JLATENT_DATA");
        out.printf(
                "data       %s%n",
                data == null ? "JLATENT_DATA is not set; sprites need none" : data);
        int code = 0;
        try (Device cpu = Device.cpu()) {
            out.printf("natives    %s%n", NativeLibraries.folder());
            out.printf("cpu        ok, %s%n", cpu);
        } catch (JlatentException e) {
            out.printf("cpu        FAILS: %s%n", e.getMessage());
            code = 1;
        }
        out.printf(
                "cuda       %s%n",
                Cuda.unavailabilityCause().map(cause -> "not available: " + cause).orElse("ok"));
        out.println();
        Cuda.report().forEach(row -> out.println("  " + row));
        out.flush();
        return code;
    }
}
