package org.jlatent.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectWriter;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.jlatent.Device;
import org.jlatent.JlatentException;
import org.jlatent.Scope;
import org.jlatent.cuda.Cuda;
import org.jlatent.cuda.CudaOptions;
import org.jlatent.data.ImageShape;
import org.jlatent.io.AtomicFile;
import org.jlatent.models.ImageModel;
import org.jlatent.nn.Init;
import org.jlatent.train.Checkpoint;

/**
 * A trained model on disk: {@code config.json} (what was asked for), {@code model.safetensors}
 * (parameters and buffers by name), {@code metrics.csv} and pictures; {@code
 * checkpoint.safetensors}, from which training goes on.
 */
record RunFolder(Path path, Config config) {
    static final String CONFIG = "config.json";
    static final String MODEL = "model.safetensors";
    static final String CHECKPOINT = "checkpoint.safetensors";
    static final ObjectMapper JSON = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);

    /**
     * What is needed to build the model again, and to train it again.
     *
     * @param epochs passes over the data, unless there are {@code steps}
     * @param threads null: all
     * @param precision of training; runs from before there was a choice name none: f32
     * @param on the run whose codes it is trained on; null: it is trained on images
     */
    record Config(
            String model,
            String data,
            int height,
            int width,
            int channels,
            long seed,
            Integer epochs,
            Integer steps,
            String device,
            Integer threads,
            String precision,
            @JsonInclude(JsonInclude.Include.NON_NULL) CodesRun on,
            Map<String, String> settings) {
        Config {
            precision = precision == null ? "f32" : precision;
        }

        ImageShape image() {
            return new ImageShape(height, width, channels);
        }

        Config withLength(Integer newEpochs, Integer newSteps) {
            return new Config(
                    model, data, height, width, channels, seed, newEpochs, newSteps, device,
                    threads, precision, on, settings);
        }

        Config withPlace(String newDevice, Integer newThreads) {
            return new Config(
                    model,
                    data,
                    height,
                    width,
                    channels,
                    seed,
                    epochs,
                    steps,
                    newDevice,
                    newThreads,
                    precision,
                    on,
                    settings);
        }
    }

    /**
     * A folder for a new run: made now, so that a place that can't be written is found out before
     * the work.
     *
     * @throws JlatentException if it holds something already, or can't be written
     */
    static RunFolder create(Path path, Config config) {
        try {
            if (Files.exists(path) && !Files.isDirectory(path)) {
                throw new JlatentException(path + " is a file; --out needs a folder");
            }
            if (Files.isDirectory(path)) {
                try (Stream<Path> entries = Files.list(path)) {
                    if (entries.findAny().isPresent()) {
                        throw new JlatentException(
                                path + " is not empty; choose another --out, or remove it first");
                    }
                }
            }
            Files.createDirectories(path);
            if (!Files.isWritable(path)) {
                throw new JlatentException("cannot write to " + path);
            }
            return new RunFolder(path, config);
        } catch (IOException e) {
            throw new JlatentException("cannot make the run folder " + path + ": " + reason(e));
        }
    }

    /**
     * @throws JlatentException if it is not the folder of a run
     */
    static RunFolder open(Path path) {
        Path file = path.resolve(CONFIG);
        if (!Files.isRegularFile(file)) {
            throw new JlatentException(path + " is not a run folder: it holds no " + CONFIG);
        }
        try {
            Config config = JSON.readValue(file.toFile(), Config.class);
            if (config == null || config.model == null || config.settings == null) {
                throw new JlatentException(file + " does not describe a model");
            }
            config.image();
            Recipes.of(config.model);
            if (config.data == null || config.device == null) {
                throw new JlatentException(file + " names no data or device");
            }
            if (config.on != null && (config.on.run() == null || config.on.sha256() == null)) {
                throw new JlatentException(file + " does not say which run its codes are of");
            }
            return new RunFolder(path, config);
        } catch (IllegalArgumentException e) {
            throw new JlatentException(file + " does not describe a model: " + e.getMessage());
        } catch (JsonProcessingException e) {
            throw new JlatentException(file + " cannot be read: " + e.getOriginalMessage());
        } catch (IOException e) {
            throw new JlatentException(file + " cannot be read: " + reason(e));
        }
    }

    /** Takes back {@link #create} when there is no checkpoint yet. */
    void removeUnlessBegun() {
        if (Files.exists(checkpoint())) {
            return;
        }
        try {
            Files.deleteIfExists(path.resolve(CONFIG));
            Files.deleteIfExists(path.resolve(RunLock.FILE));
            Files.delete(path);
        } catch (IOException e) {
            System.getLogger(RunFolder.class.getName())
                    .log(System.Logger.Level.WARNING, "left behind " + path, e);
        }
    }

    Path checkpoint() {
        return path.resolve(CHECKPOINT);
    }

    /**
     * Where training stands; null: it has not got far enough to be saved.
     *
     * @throws JlatentException if the checkpoint is damaged, or was taken away
     */
    Checkpoint readCheckpoint() {
        if (Files.exists(checkpoint())) {
            return Checkpoint.read(checkpoint());
        }
        if (Files.exists(path.resolve(MODEL))) {
            throw new JlatentException(
                    path + " holds a trained model, but no " + CHECKPOINT + " to go on from");
        }
        return null;
    }

    Recipe recipe() {
        Recipe recipe = Recipes.of(config.model);
        return config.on == null ? recipe : recipe.on(config.on);
    }

    Settings settings() {
        return recipe().settings().with(config.settings);
    }

    /** The model with its freshly initialised parameters. */
    ImageModel newModel(Scope scope) {
        return recipe().model(
                        new Init(scope, config.seed), config.image(), settings(), config.seed);
    }

    /**
     * @throws JlatentException if training has not ended yet
     */
    void requireModel() {
        if (!Files.exists(path.resolve(MODEL)) && Files.exists(checkpoint())) {
            throw new JlatentException(
                    path
                            + " holds no "
                            + MODEL
                            + " yet; go on to it with: jlatent train --resume "
                            + path);
        }
    }

    /**
     * The model with the parameters in {@code model.safetensors}.
     *
     * @throws JlatentException if the file is missing, damaged or of another model
     */
    ImageModel loadModel(Scope scope) {
        ImageModel model = newModel(scope);
        requireModel();
        model.load(path.resolve(MODEL));
        return model;
    }

    void saveConfig() {
        write(CONFIG, json(config) + "\n");
    }

    void save(ImageModel model) {
        model.save(path.resolve(MODEL));
    }

    void write(String name, String text) {
        AtomicFile.write(
                path.resolve(name), out -> out.write(text.getBytes(StandardCharsets.UTF_8)));
    }

    /** {@code value} as one line of JSON. */
    static String jsonLine(Map<String, ?> value) {
        return json(JSON.writer().without(SerializationFeature.INDENT_OUTPUT), value);
    }

    private static String json(Object value) {
        return json(JSON.writer(), value);
    }

    private static String json(ObjectWriter writer, Object value) {
        try {
            return writer.writeValueAsString(value);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    static Map<String, Object> parse(String line) throws JsonProcessingException {
        return JSON.readValue(line, new TypeReference<>() {});
    }

    static String reason(IOException e) {
        if (e instanceof AccessDeniedException) {
            return "permission denied";
        }
        if (e instanceof FileAlreadyExistsException) {
            return "a part of the path is a file";
        }
        if (e instanceof NoSuchFileException) {
            return "its folder does not exist, or takes no files";
        }
        return e instanceof FileSystemException f && f.getReason() != null
                ? f.getReason()
                : e.getMessage();
    }

    /**
     * @param kind {@code auto}, {@code cpu} or {@code cuda}
     */
    static Device device(String kind, Integer threads) {
        return device(kind, threads, false);
    }

    /**
     * @param tf32 whether a GPU may round the factors of f32 products; there has to be one then
     */
    static Device device(String kind, Integer threads, boolean tf32) {
        if (tf32 && kind.equals("cpu")) {
            throw new JlatentException(
                    "--precision tf32 is a GPU's: --device cpu has f32 and bf16");
        }
        Device device =
                switch (kind) {
                    case "auto" -> tf32 ? withTf32() : Device.best();
                    case "cpu" -> Device.cpu();
                    case "cuda" -> tf32 ? withTf32() : Device.cuda();
                    default ->
                            throw new JlatentException(
                                    "--device must be auto, cpu or cuda, got '" + kind + "'");
                };
        try {
            return threads == null ? device : device.threads(threads);
        } catch (IllegalArgumentException e) {
            device.close();
            throw e;
        }
    }

    private static Device withTf32() {
        return Cuda.open(CudaOptions.defaults().withTf32(true));
    }
}
