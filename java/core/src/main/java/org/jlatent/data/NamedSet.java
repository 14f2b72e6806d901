package org.jlatent.data;

import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * A data set that has a name: where it lies, and where it is downloaded from when it does not.
 *
 * @param folders what its folder in {@code $JLATENT_DATA} may be called
 * @param address of {@code files}, ends with a slash; null: it cannot be downloaded
 */
record NamedSet(String name, List<String> folders, String address, List<Remote> files) {
    private static final System.Logger LOG = System.getLogger(NamedSet.class.getName());

    /** Overrides the address of a set: this and the name. */
    static final String ADDRESS_PROPERTY = "jlatent.data.address.";

    /**
     * One file.
     *
     * @param md5 as published
     */
    record Remote(String file, String md5) {}

    /**
     * Where to look.
     *
     * @param data {@code $JLATENT_DATA}, or null
     * @param cache where downloads are kept, a folder a set
     */
    record Places(String data, Path cache) {
        static Places ofUser() {
            String xdg = System.getenv("XDG_CACHE_HOME");
            Path cache =
                    xdg == null || !Path.of(xdg).isAbsolute() // relative ones are to be ignored
                            ? Path.of(System.getProperty("user.home"), ".cache")
                            : Path.of(xdg);
            return new Places(System.getenv("JLATENT_DATA"), cache.resolve("jlatent/data"));
        }
    }

    static final List<NamedSet> ALL =
            List.of(
                    new NamedSet(
                            "mnist",
                            List.of("mnist"),
                            "https://ossci-datasets.s3.amazonaws.com/mnist/",
                            idx(
                                    "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                                    "d53e105ee54ea40749a09fcbcd1e9432",
                                    "9fb629c4189551a2d022fa330f9573f3",
                                    "ec29112dd5afa0611ce80d1b7f02629c")),
                    new NamedSet("binarized-mnist", List.of("binarized-mnist"), null, List.of()),
                    new NamedSet(
                            "fashion-mnist",
                            List.of("fashion-mnist"),
                            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                            idx(
                                    "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                                    "25c81989df183df01b3e8a0aad5dffbe",
                                    "bef4ecab320f06d8554ea6380940ec79",
                                    "bb300cfdad3c16e7a12a480ee83cd310")),
                    new NamedSet(
                            Omniglot.NAME,
                            List.of(Omniglot.NAME, "omniglot-105"),
                            "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/",
                            List.of(
                                    new Remote(
                                            "images_background.zip",
                                            "68d2efa1b9178cc56df9314c21c6e718"),
                                    new Remote(
                                            "images_evaluation.zip",
                                            "6b91aef0f799c5bb55b94e3f2daec811"))),
                    new NamedSet(
                            "cifar10",
                            List.of("cifar10", "cifar10-jpeg"),
                            "https://www.cs.toronto.edu/~kriz/",
                            List.of(
                                    new Remote(
                                            "cifar-10-binary.tar.gz",
                                            "c32a1d4ab5d03f1284b67883e8d87530"))));

    private static List<Remote> idx(String... md5) {
        return List.of(
                new Remote("train-images-idx3-ubyte.gz", md5[0]),
                new Remote("train-labels-idx1-ubyte.gz", md5[1]),
                new Remote("t10k-images-idx3-ubyte.gz", md5[2]),
                new Remote("t10k-labels-idx1-ubyte.gz", md5[3]));
    }

    static Optional<NamedSet> of(String name) {
        return ALL.stream().filter(set -> set.name.equals(name)).findFirst();
    }

    static String names() {
        return ALL.stream().map(NamedSet::name).collect(Collectors.joining(", "));
    }

    /**
     * The folder it lies in; downloads it where there is none.
     *
     * @throws DataException if it is nowhere and cannot be downloaded
     */
    Path folder(Places places) {
        Optional<Path> local =
                places.data == null || places.data.isBlank()
                        ? Optional.empty()
                        : folders.stream()
                                .map(folder -> Path.of(places.data, folder))
                                .filter(Files::isDirectory)
                                .findFirst();
        if (local.isPresent()) {
            if (local.get().endsWith("cifar10-jpeg")) {
                LOG.log(
                        System.Logger.Level.WARNING,
                        "cifar10 is read from {0}: JPEG has smoothed these images, so their bits"
                                + " per dimension cannot be compared with those published",
                        local.get());
            }
            return local.get();
        }
        Path cached = places.cache.resolve(name);
        if (address == null) {
            if (Files.isDirectory(cached)) {
                return cached;
            }
            throw new DataException(
                    "data set '"
                            + name
                            + "' cannot be downloaded and is not there: "
                            + (places.data == null || places.data.isBlank()
                                    ? "set JLATENT_DATA to the folder that holds "
                                    : "JLATENT_DATA is " + places.data + ", which holds no folder ")
                            + name);
        }
        List<Remote> missing =
                files.stream().filter(f -> !Files.exists(cached.resolve(f.file))).toList();
        for (Remote remote : missing) {
            Download.fetch(address(remote.file), cached.resolve(remote.file), remote.md5);
        }
        return cached;
    }

    private URI address(String file) {
        String property = ADDRESS_PROPERTY + name;
        String base = System.getProperty(property, address);
        try {
            URI uri = new URI(base).resolve(file);
            if (uri.getHost() != null) {
                return uri;
            }
        } catch (URISyntaxException e) {
            // said below
        }
        throw new DataException("the system property " + property + " is no address: " + base);
    }
}
