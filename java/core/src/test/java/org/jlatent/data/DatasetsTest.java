package org.jlatent.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class DatasetsTest {
    @TempDir Path folder;

    /** Images of {@code height} x 1 pixels, all black but the first of each, which is its index. */
    private static void write(Path file, int count, int height) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(16 + count * height);
        bytes.putInt(2051).putInt(count).putInt(height).putInt(1);
        for (int i = 0; i < count; i++) {
            bytes.put(16 + i * height, (byte) (i + 2));
        }
        Files.write(file, bytes.array());
    }

    private Splits open(String name, String root) {
        return Datasets.open(
                name,
                DataOptions.defaults(),
                new NamedSet.Places(root, folder.resolve("no-cache")));
    }

    private static int first(ImageSet set, int index) {
        float[] pixels = new float[set.dimensions()];
        set.read(index, pixels, 0);
        return Math.round(255 * pixels[0]) - 2;
    }

    @Test
    void aNameIsAFolderInTheDataFolder() throws IOException {
        Path mnist = Files.createDirectory(folder.resolve("mnist"));
        write(mnist.resolve("train-images-idx3-ubyte"), 3, 2);
        write(mnist.resolve("t10k-images-idx3-ubyte"), 2, 2);
        Splits splits = open("mnist", folder.toString());
        assertEquals("mnist", splits.train().name());
        assertEquals(3, splits.train().size());
        assertEquals(2, splits.test().size());
        assertTrue(splits.validation().isEmpty());
        assertEquals(3, open(mnist.toString(), null).train().size());
    }

    @Test
    void aValidationFileIsTheValidationSet() throws IOException {
        write(folder.resolve("train-images-idx3-ubyte"), 3, 2);
        write(folder.resolve("valid-images-idx3-ubyte"), 4, 2);
        write(folder.resolve("test-images-idx3-ubyte"), 5, 2);
        Splits splits = open(folder.toString(), null);
        assertEquals(4, splits.validation().orElseThrow().size());
        assertEquals(5, splits.test().size());
    }

    @Test
    void theLastTenthOfASingleFileIsForTesting() throws IOException {
        Path file = folder.resolve("one");
        write(file, 20, 1);
        Splits splits = open(file.toString(), null);
        assertEquals(18, splits.train().size());
        assertEquals(2, splits.test().size());
        assertEquals(0, first(splits.train(), 0));
        assertEquals(17, first(splits.train(), 17));
        assertEquals(18, first(splits.test(), 0));
        assertEquals(19, first(splits.test(), 1));
    }

    @Test
    void spritesNeedNoFolder() {
        assertEquals("sprites", open("sprites", null).train().name());
    }

    @Test
    void whatIsNotThereIsNamed() throws IOException {
        fails("nope", null, "'nope'", "sprites, mnist, binarized-mnist", "omniglot, cifar10");
        fails("", null, "''", "sprites");
        fails("binarized-mnist", null, "set JLATENT_DATA", "cannot be downloaded");
        fails("binarized-mnist", " ", "set JLATENT_DATA");
        fails("binarized-mnist", folder.toString(), "JLATENT_DATA is " + folder);
        fails(folder.toString(), null, "holds no data", "train-images-idx3-ubyte");
        write(folder.resolve("train-images-idx3-ubyte"), 1, 2);
        fails(folder.toString(), null, "holds no test-images-idx3-ubyte");
        fails(folder.resolve("train-images-idx3-ubyte").toString(), null, "at least 2");
        write(folder.resolve("test-images-idx3-ubyte"), 1, 3);
        fails(folder.toString(), null, "different sizes", "2x1", "3x1");
    }

    private void fails(String name, String root, String... words) {
        String message = assertThrows(DataException.class, () -> open(name, root)).getMessage();
        for (String word : words) {
            assertTrue(message.contains(word), message);
        }
        assertEquals(1, message.lines().count(), message);
    }

    @Test
    void realMnistIsReadByteForByte() throws NoSuchAlgorithmException {
        Splits splits = real("mnist");
        assertEquals("6bbc9ace898e44ae57da46a324031adb", md5OfImages(splits.train(), 255));
        assertEquals("2646ac647ad5339dbf082846283269ea", md5OfImages(splits.test(), 255));
        assertEquals("a25bea736e30d166cdddb491f175f624", md5OfLabels(splits.train()));
        assertEquals("27ae3e4e09519cfbb04c329615203637", md5OfLabels(splits.test()));
    }

    @Test
    void realBinarizedMnistIsReadByteForByte() throws NoSuchAlgorithmException {
        Splits splits = real("binarized-mnist");
        ImageSet validation = splits.validation().orElseThrow();
        assertEquals("19fd26812fb0f0ed11e913ae686a207b", md5OfImages(splits.train(), 1));
        assertEquals("cb993ac8ef756c224ae4db0eeab95669", md5OfImages(validation, 1));
        assertEquals("9f1602d5a50e19dfb708b380a72556be", md5OfImages(splits.test(), 1));
        assertEquals(OptionalInt.empty(), splits.train().label(0));
    }

    private static Splits real(String name) {
        String root = System.getenv("JLATENT_DATA");
        assumeTrue(
                root != null && Files.isDirectory(Path.of(root, name)),
                "skipped: no " + name + " in JLATENT_DATA");
        return Datasets.open(name);
    }

    /** Of the idx file that {@code set} was read from, its values multiplied by {@code unit}. */
    private static String md5OfImages(ImageSet set, int unit) throws NoSuchAlgorithmException {
        MessageDigest md5 = MessageDigest.getInstance("MD5");
        ByteBuffer header = ByteBuffer.allocate(16).putInt(2051).putInt(set.size());
        md5.update(header.putInt(set.height()).putInt(set.width()).array());
        float[] values = new float[set.dimensions()];
        byte[] pixels = new byte[values.length];
        for (int i = 0; i < set.size(); i++) {
            set.read(i, values, 0);
            for (int p = 0; p < pixels.length; p++) {
                pixels[p] = (byte) Math.round(unit * values[p]);
            }
            md5.update(pixels);
        }
        return HexFormat.of().formatHex(md5.digest());
    }

    private static String md5OfLabels(ImageSet set) throws NoSuchAlgorithmException {
        ByteBuffer file = ByteBuffer.allocate(8 + set.size()).putInt(2049).putInt(set.size());
        for (int i = 0; i < set.size(); i++) {
            file.put((byte) set.label(i).orElseThrow());
        }
        return HexFormat.of().formatHex(MessageDigest.getInstance("MD5").digest(file.array()));
    }
}
