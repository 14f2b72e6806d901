package org.jlatent.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Where data sets are found, and how they are downloaded: from a server of the test's own. */
final class NamedSetTest {
    private static final String PROPERTY = NamedSet.ADDRESS_PROPERTY + "tiny";

    @TempDir Path folder;
    private Path cache;
    private HttpServer server;
    private String address;
    private final Map<String, byte[]> served = new TreeMap<>();
    private int requests;
    private int announced; // bytes more than are sent

    @BeforeEach
    void serve() throws IOException {
        cache = folder.resolve("cache");
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext(
                "/",
                exchange -> {
                    requests++;
                    byte[] body = served.get(exchange.getRequestURI().getPath());
                    if (body == null) {
                        exchange.sendResponseHeaders(404, -1);
                    } else {
                        exchange.sendResponseHeaders(200, body.length + announced);
                        exchange.getResponseBody().write(body);
                    }
                    exchange.close();
                });
        server.start();
        address = "http://localhost:" + server.getAddress().getPort() + "/data/";
        System.setProperty(PROPERTY, address);
    }

    @AfterEach
    void stop() {
        server.stop(0);
        System.clearProperty(PROPERTY);
    }

    private static byte[] idx(int count) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (OutputStream out = new GZIPOutputStream(bytes)) {
            ByteBuffer file = ByteBuffer.allocate(16 + count);
            out.write(file.putInt(2051).putInt(count).putInt(1).putInt(1).array());
        }
        return bytes.toByteArray();
    }

    private static String md5(byte[] bytes) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("MD5").digest(bytes));
    }

    /** A set of two files, which the server has. */
    private NamedSet tiny() throws Exception {
        byte[] train = idx(3);
        byte[] test = idx(2);
        served.put("/data/train-images-idx3-ubyte.gz", train);
        served.put("/data/test-images-idx3-ubyte.gz", test);
        return new NamedSet(
                "tiny",
                List.of("tiny", "tiny-2"),
                "http://localhost:1/",
                List.of(
                        new NamedSet.Remote("train-images-idx3-ubyte.gz", md5(train)),
                        new NamedSet.Remote("test-images-idx3-ubyte.gz", md5(test))));
    }

    private NamedSet.Places places(String data) {
        return new NamedSet.Places(data, cache);
    }

    private List<String> cached() throws IOException {
        Path tiny = cache.resolve("tiny");
        if (!Files.exists(tiny)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(tiny)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void whatIsMissingIsDownloadedOnce() throws Exception {
        NamedSet tiny = tiny();
        Path found = tiny.folder(places(null));
        assertEquals(cache.resolve("tiny"), found);
        assertEquals(List.of("test-images-idx3-ubyte.gz", "train-images-idx3-ubyte.gz"), cached());
        Splits splits = Datasets.open(found.toString());
        assertEquals(3, splits.train().size());
        assertEquals(2, splits.test().size());
        assertEquals(2, requests);
        tiny.folder(places(null));
        assertEquals(2, requests);
        Files.delete(found.resolve("test-images-idx3-ubyte.gz"));
        tiny.folder(places(null));
        assertEquals(3, requests, "only the file that is missing");
    }

    @Test
    void whatIsThereNeedsNoNetwork() throws Exception {
        Path other = Files.createDirectories(folder.resolve("data/tiny-2"));
        assertEquals(other, tiny().folder(places(folder.resolve("data").toString())));
        Path first = Files.createDirectories(folder.resolve("data/tiny"));
        assertEquals(first, tiny().folder(places(folder.resolve("data").toString())));
        assertEquals(0, requests);
    }

    private void fails(NamedSet set, String... words) throws IOException {
        Made.fails(() -> set.folder(places(null)), words);
        assertEquals(List.of(), cached(), "nothing is left behind");
    }

    @Test
    void aWrongChecksumLeavesNothingBehind() throws Exception {
        NamedSet tiny = tiny();
        served.put("/data/train-images-idx3-ubyte.gz", idx(4));
        fails(
                tiny,
                address + "train-images-idx3-ubyte.gz",
                md5(idx(4)),
                md5(idx(3)),
                "nothing was kept",
                "put it into " + cache.resolve("tiny"));
    }

    @Test
    void aFileTheServerDoesNotHaveIsSaid() throws Exception {
        NamedSet tiny = tiny();
        served.clear();
        fails(tiny, address + "train-images-idx3-ubyte.gz", "status 404", "try again");
    }

    @Test
    void aBodyThatBreaksOffIsSaid() throws Exception {
        announced = 100;
        fails(tiny(), address + "train-images-idx3-ubyte.gz", "cannot download", "try again");
    }

    @Test
    void aServerThatIsNotThereIsSaid() throws Exception {
        int port;
        try (ServerSocket socket = new ServerSocket(0)) {
            port = socket.getLocalPort();
        }
        System.setProperty(PROPERTY, "http://localhost:" + port + "/");
        fails(tiny(), "cannot reach http://localhost:" + port, "is there a network?", "put it");
        System.setProperty(PROPERTY, "not an address");
        fails(tiny(), "not an address", PROPERTY);
    }

    @Test
    void aCacheThatCannotBeWrittenIsSaid() throws Exception {
        Files.writeString(cache, "a file where the folder should be");
        NamedSet tiny = tiny();
        Made.fails(() -> tiny.folder(places(null)), "cannot download", cache.toString());
    }

    @Test
    void everyAddressIsAFolderAndEveryChecksumAnMd5() {
        for (NamedSet set : NamedSet.ALL) {
            assertEquals(set.address() == null, set.files().isEmpty(), set.name());
            if (set.address() != null) {
                assertTrue(URI.create(set.address()).getPath().endsWith("/"), set.address());
            }
            set.files().forEach(f -> assertTrue(f.md5().matches("[0-9a-f]{32}"), f.file()));
        }
    }

    private static byte[] batch(int... labels) {
        ByteBuffer bytes = ByteBuffer.allocate(labels.length * 3073);
        for (int label : labels) {
            bytes.put((byte) label);
            for (int i = 0; i < 3072; i++) {
                bytes.put((byte) (i / 1024 * 100 + i % 1024 % 7)); // each colour its own plane
            }
        }
        return bytes.array();
    }

    @Test
    void cifarIsReadFromFoldersAndTheOfficialArchive() throws IOException {
        Map<String, byte[]> files = new TreeMap<>();
        files.put("cifar-10-batches-bin/data_batch_1.bin", batch(3, 1));
        files.put("cifar-10-batches-bin/data_batch_2.bin", batch(9));
        files.put("cifar-10-batches-bin/test_batch.bin", batch(0));
        files.put("cifar-10-batches-bin/batches.meta.txt", Made.ascii("airplane"));
        Path root = Files.createDirectories(folder.resolve("data/cifar10"));
        Made.tar(root.resolve("cifar-10-binary.tar.gz"), files);
        Path plain = Made.folder(folder.resolve("plain"), files);
        for (Splits splits :
                List.of(
                        Datasets.open(
                                "cifar10",
                                DataOptions.defaults(),
                                places(folder.resolve("data").toString())),
                        Datasets.open(plain.toString()),
                        Datasets.open(plain.resolve("cifar-10-batches-bin").toString()))) {
            ImageSet train = splits.train();
            assertEquals(3, train.size());
            assertEquals(1, splits.test().size());
            assertEquals(3072, train.dimensions());
            assertEquals(OptionalInt.of(3), train.label(0));
            assertEquals(OptionalInt.of(9), train.label(2));
            assertEquals(105 / 255f, Made.pixels(train, 1)[3 * 12 + 1]);
            assertEquals(205 / 255f, Made.pixels(train, 1)[3 * 12 + 2]);
        }
        ImageSet grey =
                Datasets.open(plain.toString(), DataOptions.defaults().withChannels(1)).test();
        assertEquals(1024, grey.dimensions());
        assertEquals(OptionalInt.of(0), grey.label(0));

        files.put("cifar-10-batches-bin/data_batch_2.bin", batch(10));
        cifarFails(files, "data_batch_2.bin is damaged", "class 10");
        files.put("cifar-10-batches-bin/data_batch_2.bin", new byte[3000]);
        cifarFails(files, "data_batch_2.bin is truncated", "3000");
        files.remove("cifar-10-batches-bin/data_batch_2.bin");
        files.remove("cifar-10-batches-bin/test_batch.bin");
        cifarFails(files, "no test_batch.bin");
    }

    private void cifarFails(Map<String, byte[]> files, String... words) throws IOException {
        Path zip = Made.zip(folder.resolve("bad.zip"), files);
        Made.fails(() -> Datasets.open(zip.toString()), words);
    }

    @Test
    void omniglotIsStrokesOfOneOnZero() throws IOException {
        Path root = Files.createDirectories(folder.resolve("data/omniglot"));
        Map<String, byte[]> background = new TreeMap<>();
        background.put("images_background/Greek/character01/1.png", Made.grey(2, 2, 0));
        background.put("images_background/Greek/character02/1.png", Made.grey(2, 2, 255));
        Made.zip(root.resolve("images_background.zip"), background);
        Map<String, byte[]> evaluation = new TreeMap<>();
        evaluation.put("images_evaluation/Malayalam/character01/1.png", Made.grey(2, 2, 0));
        Made.zip(root.resolve("images_evaluation.zip"), evaluation);
        Splits splits = omniglot(DataOptions.defaults());
        assertEquals(1, Made.pixels(Datasets.open(root.toString()).train(), 0)[3], "by its path");
        assertEquals(1, Made.pixels(splits.train(), 0)[3]);
        assertEquals(0, Made.pixels(splits.train(), 1)[3]);
        assertEquals(OptionalInt.of(1), splits.train().label(1));
        assertEquals(OptionalInt.of(2), splits.test().label(0), "another character");
        Files.delete(root.resolve("images_evaluation.zip"));
        Made.fails(() -> omniglot(DataOptions.defaults()), "images_evaluation");

        // The same as idx files of zeros and ones.
        byte[] two = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 1, 1};
        Files.write(root.resolve("background-images-idx3-ubyte"), two);
        Made.fails(() -> omniglot(DataOptions.defaults()), "no evaluation-images-idx3-ubyte");
        Files.write(root.resolve("evaluation-images-idx3-ubyte"), two);
        Files.writeString(root.resolve("background-names.txt"), "A/c1/x.png\nA/c2/x.png\n");
        Splits idx = omniglot(DataOptions.defaults().withResize(1, 1));
        assertEquals(2, Datasets.open(root.toString()).train().size(), "by its path");
        assertEquals(128 / 255f, Made.pixels(idx.train(), 0)[0]);
        assertEquals(OptionalInt.of(1), idx.train().label(1));
        assertFalse(idx.test().label(0).isPresent());
        Files.writeString(root.resolve("background-names.txt"), "A/c1/x.png\n");
        Made.fails(() -> omniglot(DataOptions.defaults()), "names 1 images, there are 2");
    }

    private Splits omniglot(DataOptions options) {
        return Datasets.open("omniglot", options, places(folder.resolve("data").toString()));
    }
}
