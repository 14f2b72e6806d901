package org.jlatent.cli;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.function.IntSupplier;
import org.jlatent.JlatentException;

/**
 * Keeps a second process out of a run folder. The lock is the system's, on {@code .lock}, and ends
 * with the process; the file stays, and holds the number of the last process.
 */
final class RunLock {
    static final String FILE = ".lock";

    private RunLock() {}

    /**
     * Does something that nobody else may do in the folder meanwhile.
     *
     * @throws JlatentException if another process has the folder, or it can't be written
     */
    static int holding(Path folder, IntSupplier work) {
        FileChannel channel = null;
        try {
            channel = open(folder);
            return work.getAsInt();
        } finally {
            close(channel);
        }
    }

    private static FileChannel open(Path folder) {
        FileChannel channel = null;
        try {
            channel =
                    FileChannel.open(
                            folder.resolve(FILE),
                            StandardOpenOption.CREATE,
                            StandardOpenOption.READ,
                            StandardOpenOption.WRITE);
            if (channel.tryLock() == null) {
                String owner = owner(channel);
                close(channel);
                throw inUse(folder, " by process " + owner);
            }
            channel.truncate(0);
            byte[] number =
                    Long.toString(ProcessHandle.current().pid()).getBytes(StandardCharsets.UTF_8);
            channel.write(ByteBuffer.wrap(number));
            return channel;
        } catch (OverlappingFileLockException e) {
            close(channel);
            throw inUse(folder, " by this process");
        } catch (IOException e) {
            close(channel);
            throw new JlatentException("cannot lock " + folder + ": " + RunFolder.reason(e), e);
        }
    }

    private static JlatentException inUse(Path folder, String by) {
        return new JlatentException(
                folder + " is in use" + by + ": wait for it to end, or stop it");
    }

    private static String owner(FileChannel channel) throws IOException {
        ByteBuffer text = ByteBuffer.allocate(20);
        channel.read(text, 0);
        return new String(text.array(), 0, text.position(), StandardCharsets.UTF_8);
    }

    private static void close(FileChannel channel) {
        try {
            if (channel != null) {
                channel.close();
            }
        } catch (IOException e) {
            System.getLogger(RunLock.class.getName())
                    .log(System.Logger.Level.WARNING, "cannot close the lock", e);
        }
    }
}
