package org.jlatent.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;
import org.apache.commons.compress.archivers.zip.ZipArchiveEntry;
import org.apache.commons.compress.archivers.zip.ZipArchiveOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class FileSetTest {
    @TempDir Path folder;

    private static Splits open(Path path) {
        return Datasets.open(path.toString());
    }

    private static void fails(Path path, String... words) {
        Made.fails(() -> open(path), words);
    }

    private static Map<String, byte[]> split() {
        Map<String, byte[]> files = new TreeMap<>();
        files.put("set/train/cat/1.png", Made.grey(2, 3, 10));
        files.put("set/train/cat/2.PNG", Made.grey(2, 3, 20));
        files.put("set/train/dog/1.png", Made.grey(2, 3, 30));
        files.put("set/val/dog/9.png", Made.grey(2, 3, 40));
        files.put("set/test/ant/1.png", Made.grey(2, 3, 50));
        files.put("set/test/dog/1.png", Made.grey(2, 3, 60));
        files.put("set/README.txt", Made.ascii("no image"));
        files.put("set/train/.hidden.png", Made.ascii("no image"));
        files.put("__MACOSX/train/cat/._1.png", Made.ascii("no image"));
        return files;
    }

    private static void checkSplit(Splits splits) {
        assertEquals(3, splits.train().size());
        assertEquals(2, splits.train().height());
        assertEquals(3, splits.train().width());
        assertEquals(1, splits.train().channels());
        for (int i = 0; i < 3; i++) {
            assertEquals((i + 1) * 10 / 255f, Made.pixels(splits.train(), i)[5]);
        }
        // ant, cat and dog are 0, 1 and 2 in every split
        assertEquals(OptionalInt.of(1), splits.train().label(1));
        assertEquals(OptionalInt.of(2), splits.train().label(2));
        assertEquals(OptionalInt.of(2), splits.validation().orElseThrow().label(0));
        assertEquals(OptionalInt.of(0), splits.test().label(0));
        assertEquals(60 / 255f, Made.pixels(splits.test(), 1)[0]);
    }

    @Test
    void topFoldersAreSplitsAndThoseBelowClassesWhereverTheyLie() throws IOException {
        checkSplit(open(Made.folder(folder.resolve("plain"), split())));
        checkSplit(open(Made.zip(folder.resolve("a.zip"), split())));
        checkSplit(open(Made.tar(folder.resolve("a.tar"), split())));
        checkSplit(open(Made.tar(folder.resolve("a.tgz"), split())));
        Path alone = Files.createDirectory(folder.resolve("alone"));
        Made.tar(alone.resolve("a.tar.gz"), split());
        Files.writeString(alone.resolve("README"), "one archive and a remark");
        checkSplit(open(alone));
    }

    @Test
    void validationServesForTestingWhereThereIsNoTest() throws IOException {
        Map<String, byte[]> files = split();
        files.keySet().removeIf(path -> path.contains("/test/"));
        Splits splits = open(Made.folder(folder, files));
        assertTrue(splits.validation().isEmpty());
        assertEquals(40 / 255f, Made.pixels(splits.test(), 0)[0]);
        files.put("set/other/1.png", Made.grey(2, 3, 70));
        fails(Made.zip(folder.resolve("o.zip"), files), "no split", "other, train, val");
    }

    @Test
    void withoutSplitsATenthIsDrawnForTesting() throws IOException {
        Map<String, byte[]> files = new TreeMap<>();
        for (int i = 0; i < 40; i++) {
            files.put((i % 2 == 0 ? "even/" : "odd/") + i + ".png", Made.grey(1, 1, i));
        }
        Splits splits = open(Made.folder(folder.resolve("f"), files));
        assertEquals(36, splits.train().size());
        assertEquals(4, splits.test().size());
        Set<Integer> seen = new HashSet<>();
        for (ImageSet set : new ImageSet[] {splits.train(), splits.test()}) {
            for (int i = 0; i < set.size(); i++) {
                int value = Math.round(255 * Made.pixels(set, i)[0]);
                seen.add(value);
                assertEquals(OptionalInt.of(value % 2), set.label(i));
            }
        }
        assertEquals(40, seen.size());
        ImageSet again = open(Made.tar(folder.resolve("f.tar"), files)).test();
        for (int i = 0; i < 4; i++) {
            assertArrayEquals(Made.pixels(splits.test(), i), Made.pixels(again, i));
        }
    }

    @Test
    void imagesStraightInAFolderHaveNoClass() throws IOException {
        Map<String, byte[]> files =
                Map.of("a.png", Made.grey(1, 1, 1), "b.png", Made.grey(1, 1, 2));
        Splits splits = open(Made.folder(folder, files));
        assertEquals(1, splits.train().size());
        assertEquals(OptionalInt.empty(), splits.train().label(0));
        Files.delete(folder.resolve("a.png"));
        fails(folder, "1 image", "at least 2");
    }

    private float[] decoded(byte[] image, int channels) {
        Picture picture = PictureFiles.decode("x", image);
        assertEquals(channels, picture.channels());
        return picture.values();
    }

    @Test
    void everyKindOfPngIsReadByItsOwnValues() {
        int argb = 0x80ff6600; // half transparent orange
        float[] orange = {1, 0.4f, 0};
        assertArrayEquals(orange, decoded(Made.colour(1, 1, argb), 3), 1e-6f);
        byte[] alpha = Made.png(BufferedImage.TYPE_INT_ARGB, 1, 1, (x, y) -> argb);
        assertArrayEquals(orange, decoded(alpha, 3), 1e-6f);
        byte[] palette = Made.png(BufferedImage.TYPE_BYTE_INDEXED, 1, 1, (x, y) -> 0xffff6600);
        assertArrayEquals(orange, decoded(palette, 3), 1e-6f);
        assertArrayEquals(new float[] {0.2f, 0.2f}, decoded(Made.grey(1, 2, 51), 1), 1e-6f);
        byte[] bits = Made.png(BufferedImage.TYPE_BYTE_BINARY, 1, 2, (x, y) -> x * 0xffffff);
        assertArrayEquals(new float[] {0, 1}, decoded(bits, 1));
        BufferedImage deep = new BufferedImage(2, 1, BufferedImage.TYPE_USHORT_GRAY);
        deep.getRaster().setSample(0, 0, 0, 13107);
        deep.getRaster().setSample(1, 0, 0, 65535);
        assertArrayEquals(new float[] {0.2f, 1}, decoded(Made.encoded(deep, "png"), 1), 1e-6f);
        byte[] greys = {0, (byte) 102};
        IndexColorModel model = new IndexColorModel(1, 2, greys, greys, greys);
        BufferedImage two = new BufferedImage(1, 1, BufferedImage.TYPE_BYTE_BINARY, model);
        two.getRaster().setSample(0, 0, 0, 1);
        assertEquals(DataBuffer.TYPE_BYTE, two.getRaster().getTransferType());
        assertArrayEquals(new float[] {0.4f}, decoded(Made.encoded(two, "png"), 1), 1e-6f);
    }

    @Test
    void jpegIsReadToo() {
        BufferedImage image = new BufferedImage(16, 16, BufferedImage.TYPE_INT_RGB);
        for (int i = 0; i < 256; i++) {
            image.setRGB(i % 16, i / 16, 0x3366cc);
        }
        float[] values = decoded(Made.encoded(image, "jpg"), 3);
        for (int i = 0; i < 3; i++) {
            assertEquals(new float[] {0.2f, 0.4f, 0.8f}[i], values[300 + i], 0.02f);
        }
        BufferedImage grey = new BufferedImage(8, 8, BufferedImage.TYPE_BYTE_GRAY);
        for (int i = 0; i < 64; i++) {
            grey.getRaster().setSample(i % 8, i / 8, 0, 51);
        }
        assertEquals(0.2f, decoded(Made.encoded(grey, "jpeg"), 1)[9], 0.01f);
    }

    @Test
    void differencesAreNamedWithTwoFilesAndTheOptionThatHelps() throws IOException {
        Map<String, byte[]> files = new TreeMap<>();
        files.put("a.png", Made.grey(4, 6, 10));
        files.put("b.png", Made.grey(6, 4, 20));
        Path zip = Made.zip(folder.resolve("s.zip"), files);
        fails(zip, zip + "!a.png and " + zip + "!b.png", "4x6 and 6x4", "resize");
        Splits resized = Datasets.open(zip.toString(), DataOptions.defaults().withResize(2, 2));
        assertEquals(4, resized.train().dimensions());
        Splits cropped = Datasets.open(zip.toString(), DataOptions.defaults().withCrop(4, 4));
        assertEquals(16, cropped.train().dimensions());
        Made.fails(
                () -> Datasets.open(zip.toString(), DataOptions.defaults().withCrop(5, 5)),
                "!a.png is 4x6",
                "crop of 5x5",
                "resize");

        files.put("b.png", Made.colour(4, 6, 0xff0000));
        Path mixed = Made.folder(folder.resolve("m"), files);
        fails(mixed, "a.png", "b.png", "channels: 1 and 3", "grey or rgb");
        Splits grey = Datasets.open(mixed.toString(), DataOptions.defaults().withChannels(1));
        assertEquals(1, grey.train().channels());

        files.put("b.wav", Made.wav16(1, 2));
        files.remove("b.png");
        fails(Made.zip(folder.resolve("k.zip"), files), "a.png", "b.wav", "image and a clip");
    }

    @Test
    void aCorruptImageIsNamed() throws IOException {
        Map<String, byte[]> files = split();
        byte[] whole = Made.grey(50, 50, 7);
        files.put("set/train/cat/3.png", Arrays.copyOf(whole, whole.length / 2));
        Path tar = Made.tar(folder.resolve("c.tar.gz"), files);
        fails(tar, tar + "!set/train/cat/3.png");
        files.put("set/train/cat/3.png", Made.ascii("GIF89a?"));
        fails(Made.folder(folder.resolve("d"), files), "cat/3.png");
        files.put("set/train/cat/3.png", new byte[0]);
        fails(Made.zip(folder.resolve("e.zip"), files), "e.zip!set/train/cat/3.png is empty");
        byte[] huge = Made.grey(1, 1, 0);
        huge[16] = 0x7f; // width, in the header of the image
        files.put("set/train/cat/3.png", huge);
        fails(Made.zip(folder.resolve("h.zip"), files), "h.zip!set/train/cat/3.png");
    }

    @Test
    void damagedArchivesAreNamed() throws IOException {
        byte[] whole = Files.readAllBytes(Made.tar(folder.resolve("w.tgz"), split()));
        byte[] half = Arrays.copyOf(whole, whole.length / 2);
        fails(Files.write(folder.resolve("h.tgz"), half), "h.tgz", "too early");
        fails(Files.write(folder.resolve("n.tar.gz"), Made.ascii("text")), "n.tar.gz");
        fails(Files.write(folder.resolve("n.tar"), new byte[700]), "n.tar");
        fails(Files.write(folder.resolve("n.zip"), Made.ascii("text")), "n.zip");
        byte[] plain = Files.readAllBytes(Made.tar(folder.resolve("w.tar"), split()));
        fails(Files.write(folder.resolve("t.tar"), Arrays.copyOf(plain, 1800)), "t.tar");
        fails(Made.zip(folder.resolve("none.zip"), Map.of("x.txt", half)), "holds no data");
    }

    @Test
    void anEntryThatLeavesTheArchiveIsAnError() throws IOException {
        for (String path : new String[] {"../x.png", "a/../../x.png", "/x.png", "C:/x.png"}) {
            Map<String, byte[]> files = Map.of(path, Made.grey(1, 1, 1));
            Path zip = Made.zip(folder.resolve("z.zip"), files);
            fails(zip, zip + "!" + path, "outside");
            Path tar = Made.tar(folder.resolve("z.tar"), files);
            fails(tar, tar + "!" + path, "outside");
        }
        for (byte type : new byte[] {TarConstants.LF_SYMLINK, TarConstants.LF_LINK}) {
            Path tar = folder.resolve("l.tar");
            try (TarArchiveOutputStream out =
                    new TarArchiveOutputStream(Files.newOutputStream(tar))) {
                TarArchiveEntry link = new TarArchiveEntry("l.png", type);
                link.setLinkName("/etc/passwd");
                out.putArchiveEntry(link);
                out.closeArchiveEntry();
            }
            fails(tar, tar + "!l.png", "link");
        }
        Path zip = folder.resolve("l.zip");
        try (OutputStream raw = Files.newOutputStream(zip);
                ZipArchiveOutputStream out = new ZipArchiveOutputStream(raw)) {
            ZipArchiveEntry link = new ZipArchiveEntry("l.png");
            link.setUnixMode(0120777);
            out.putArchiveEntry(link);
            out.write(Made.ascii("/etc/passwd"));
            out.closeArchiveEntry();
        }
        fails(zip, zip + "!l.png", "link");
    }

    @Test
    void whatDoesNotFitIntoMemoryIsSaid() {
        long[] spare = {1000};
        Memory memory = new Memory("much.zip", () -> spare[0]);
        memory.take(600);
        spare[0] = 400;
        memory.take(300);
        Made.fails(() -> memory.take(500), "much.zip", "-Xmx", "resize");
        memory.take(100); // what was refused is not counted
    }
}
