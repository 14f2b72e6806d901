package org.jlatent.data;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.channels.UnresolvedAddressException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.UUID;

/** Fetches a file whole and verified, or not at all. */
final class Download {
    private static final System.Logger LOG = System.getLogger(Download.class.getName());
    private static final Duration PATIENCE = Duration.ofSeconds(20);
    private static final long QUIET = 5_000_000_000L; // nanoseconds between two lines of progress

    private Download() {}

    /**
     * Into a temporary neighbour of {@code target}, which is moved there once its checksum is
     * right.
     *
     * @param md5 as its authors publish it, in hexadecimal
     * @throws DataException in one line that says what to do; nothing is left behind
     */
    static void fetch(URI address, Path target, String md5) {
        String remedy =
                "; try again, or get "
                        + target.getFileName()
                        + " in another way and put it into "
                        + target.getParent();
        Path temporary =
                target.resolveSibling(
                        "." + target.getFileName() + "." + UUID.randomUUID() + ".tmp");
        try {
            Files.createDirectories(target.getParent());
            String found = receive(address, temporary, remedy);
            if (!found.equals(md5)) {
                throw new DataException(
                        address
                                + " sent something else than expected: its md5 is "
                                + found
                                + ", not "
                                + md5
                                + "; nothing was kept"
                                + remedy);
            }
            Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
        } catch (ConnectException | HttpConnectTimeoutException | UnresolvedAddressException e) {
            throw new DataException(
                    "cannot reach " + address + ": is there a network?" + remedy, e);
        } catch (IOException e) {
            throw new DataException(
                    "cannot download " + address + " to " + target + ": " + e + remedy, e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new DataException("interrupted while downloading " + address, e);
        } finally {
            delete(temporary);
        }
    }

    /** The md5 of what came. */
    private static String receive(URI address, Path file, String remedy)
            throws IOException, InterruptedException {
        HttpClient client =
                HttpClient.newBuilder()
                        .connectTimeout(PATIENCE)
                        .followRedirects(HttpClient.Redirect.NORMAL)
                        .build();
        HttpRequest request = HttpRequest.newBuilder(address).timeout(PATIENCE).build();
        HttpResponse<InputStream> response =
                client.send(request, HttpResponse.BodyHandlers.ofInputStream());
        try (InputStream in = response.body()) {
            if (response.statusCode() != 200) {
                throw new DataException(
                        address + " answered with status " + response.statusCode() + remedy);
            }
            long size = response.headers().firstValueAsLong("Content-Length").orElse(-1);
            LOG.log(System.Logger.Level.INFO, "downloading {0} ({1})", address, megabytes(size));
            try (OutputStream out = Files.newOutputStream(file)) {
                return copy(in, out, address, size);
            }
        }
    }

    private static String copy(InputStream in, OutputStream out, URI address, long size)
            throws IOException {
        MessageDigest digest = md5();
        byte[] chunk = new byte[1 << 16];
        long count = 0;
        long told = System.nanoTime();
        for (int n; (n = in.read(chunk)) >= 0; ) {
            digest.update(chunk, 0, n);
            out.write(chunk, 0, n);
            count += n;
            if (System.nanoTime() - told > QUIET) {
                told = System.nanoTime();
                LOG.log(
                        System.Logger.Level.INFO,
                        "{0}: {1} of {2}",
                        address,
                        megabytes(count),
                        megabytes(size));
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    private static String megabytes(long bytes) {
        return bytes < 0 ? "size unknown" : String.format("%.1f MB", bytes / 1e6);
    }

    private static MessageDigest md5() {
        try {
            return MessageDigest.getInstance("MD5");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every JDK has MD5", e);
        }
    }

    private static void delete(Path temporary) {
        try {
            if (Files.exists(temporary)) {
                Files.delete(temporary);
            }
        } catch (IOException e) {
            LOG.log(System.Logger.Level.WARNING, "left behind " + temporary, e);
        }
    }
}
