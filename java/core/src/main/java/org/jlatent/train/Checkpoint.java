package org.jlatent.train;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;
import org.jlatent.JlatentException;
import org.jlatent.Precision;
import org.jlatent.Tensor;
import org.jlatent.data.Augmentation;
import org.jlatent.data.ImageSet;
import org.jlatent.internal.Version;
import org.jlatent.io.Safetensors;
import org.jlatent.models.Model;

/**
 * Where a training run stands, with everything it needs to go on bit for bit. One safetensors file:
 * {@code model.NAME} for parameters and buffers, {@code adam.first.NAME}, {@code adam.second.NAME}
 * and {@code adam.average.NAME} for the optimizer's, {@code adam.state}; the rest in the header,
 * and a checksum over all of it. {@link Trainer#checkpoint} writes it, {@link Trainer#resume} goes
 * on.
 */
public final class Checkpoint {
    private static final String FORMAT = "jlatent checkpoint";
    private static final String FORMAT_VERSION = "1";
    private static final String ADAM_STATE = "adam.state";
    private static final ObjectMapper JSON =
            JsonMapper.builder()
                    .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
                    .enable(DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES)
                    .build();

    /**
     * All that is no tensor.
     *
     * @param epoch of the next batch, from 1
     * @param batch index of the next batch in its epoch
     * @param step steps done
     * @param steps steps in all
     * @param noiseSeed of the model's random state
     * @param noiseStep of the model's random state
     * @param images trained on so far
     * @param nanoseconds that took
     * @param sums of the metrics in the unfinished epoch
     * @param summed images in these sums
     * @param history every epoch's progress
     */
    public record State(
            int epoch,
            int batch,
            long step,
            long steps,
            long noiseSeed,
            int noiseStep,
            long images,
            long nanoseconds,
            Map<String, Double> sums,
            long summed,
            List<Progress> history) {

        /** Whether all steps are done. */
        public boolean finished() {
            return step >= steps;
        }

        /**
         * @throws JlatentException unless a run of {@code total} steps can go on from here
         */
        public void checkLength(long total) {
            if (step > total || (step == total && !finished())) {
                throw new JlatentException(
                        "the checkpoint stands at step "
                                + step
                                + ": "
                                + total
                                + " steps in all leave nothing to do; ask for more");
            }
        }
    }

    private final Path file;
    private final State state;
    private final String device;
    private final Map<String, String> settings;
    private final Map<String, Safetensors.Entry> tensors;

    private Checkpoint(
            Path file,
            State state,
            String device,
            Map<String, String> settings,
            Map<String, Safetensors.Entry> tensors) {
        this.file = file;
        this.state = state;
        this.device = device;
        this.settings = settings;
        this.tensors = tensors;
    }

    /** Where the run stood. */
    public State state() {
        return state;
    }

    // ---- file ----

    /**
     * Writes the state of a run. The file that was there before stays until the new one is whole
     * and on the disk.
     *
     * @throws JlatentException if the file can't be written
     */
    static void write(
            Path file, State state, Map<String, String> settings, Model model, Adam adam) {
        List<Safetensors.Entry> entries = new ArrayList<>();
        tensors(model, adam)
                .forEach((name, tensor) -> entries.add(Safetensors.Entry.of(name, tensor)));
        byte[] words = adam.words();
        entries.add(
                new Safetensors.Entry(
                        ADAM_STATE, "U8", new long[] {words.length}, ByteBuffer.wrap(words)));
        Map<String, String> metadata = new LinkedHashMap<>();
        metadata.put("format", FORMAT);
        metadata.put("format_version", FORMAT_VERSION);
        metadata.put("jlatent", Version.TEXT);
        metadata.put("device", model.device().toString());
        metadata.put("settings", json(settings));
        metadata.put("state", json(state));
        metadata.put("crc32c", checksum(entries, metadata));
        Safetensors.write(file, entries, metadata);
    }

    private static Map<String, Tensor> tensors(Model model, Adam adam) {
        Map<String, Tensor> all = new LinkedHashMap<>();
        model.state().forEach((name, tensor) -> all.put("model." + name, tensor));
        adam.tensors().forEach((name, tensor) -> all.put("adam." + name, tensor));
        return all;
    }

    /**
     * Reads a checkpoint.
     *
     * @throws JlatentException if the file is missing, damaged or no checkpoint
     */
    public static Checkpoint read(Path file) {
        Safetensors.Contents contents = Safetensors.readAll(file);
        Map<String, String> metadata = contents.metadata();
        if (!FORMAT.equals(metadata.get("format"))) {
            throw new JlatentException(file + " is not a checkpoint");
        }
        if (!FORMAT_VERSION.equals(metadata.get("format_version"))) {
            throw new JlatentException(
                    file
                            + " is a checkpoint of format "
                            + metadata.get("format_version")
                            + ", written by jlatent "
                            + metadata.get("jlatent")
                            + "; this is jlatent "
                            + Version.TEXT
                            + " and reads format "
                            + FORMAT_VERSION);
        }
        String given = metadata.remove("crc32c");
        if (!checksum(contents.tensors().values(), metadata).equals(given)) {
            throw new JlatentException(file + " is damaged: its checksum does not fit its data");
        }
        try {
            Map<String, String> settings =
                    JSON.readValue(metadata.get("settings"), new TypeReference<>() {});
            settings.putIfAbsent("precision", Precision.F32.toString()); // once the only one
            return new Checkpoint(
                    file,
                    JSON.readValue(metadata.get("state"), State.class),
                    metadata.get("device"),
                    settings,
                    contents.tensors());
        } catch (JsonProcessingException e) {
            throw new JlatentException(file + " is damaged: " + e.getOriginalMessage(), e);
        }
    }

    private static String json(Object value) {
        try {
            return JSON.writeValueAsString(value);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String checksum(
            Iterable<Safetensors.Entry> entries, Map<String, String> metadata) {
        CRC32C sum = new CRC32C();
        for (Safetensors.Entry entry : entries) {
            sum.update(entry.name().getBytes(StandardCharsets.UTF_8));
            sum.update(entry.data().duplicate().rewind());
        }
        metadata.forEach(
                (name, text) -> sum.update((name + text).getBytes(StandardCharsets.UTF_8)));
        return Long.toHexString(sum.getValue());
    }

    // ---- going on ----

    /**
     * What has to be the same for a run to go on as it began.
     *
     * @param scheduleFactor what the schedule gives at the checkpoint's step: it is code, and known
     *     by that only
     */
    static Map<String, String> settings(
            ImageSet data,
            ImageSet validation,
            Augmentation augmentation,
            int batchSize,
            long seed,
            Adam.Options optimizer,
            Precision precision,
            double scheduleFactor) {
        Map<String, String> settings = new LinkedHashMap<>();
        settings.put("data", describe(data));
        settings.put("validation", validation == null ? "none" : describe(validation));
        settings.put("augmentation", augmentation.toString());
        settings.put("batchSize", Integer.toString(batchSize));
        settings.put("seed", Long.toString(seed));
        settings.put("optimizer", optimizer.toString());
        settings.put("precision", precision.toString());
        settings.put("schedule", Float.toString((float) scheduleFactor));
        return settings;
    }

    private static String describe(ImageSet images) {
        return images.size()
                + " images of "
                + images.height()
                + "x"
                + images.width()
                + "x"
                + images.channels();
    }

    /**
     * Puts a model and its optimizer where they stood. Everything is checked before anything
     * changes.
     *
     * @throws JlatentException that names the first setting or tensor that differs
     */
    void restore(Map<String, String> given, Model model, Adam adam) {
        checkSettings(given);
        Map<String, Tensor> targets = tensors(model, adam);
        checkTensors(targets, adam.words().length);
        targets.forEach((name, tensor) -> tensors.get(name).copyTo(tensor));
        adam.setWords(tensors.get(ADAM_STATE).data().array());
        model.random().set(state.noiseSeed, state.noiseStep);
        String here = model.device().toString();
        if (!here.equals(device)) {
            System.getLogger(Checkpoint.class.getName())
                    .log(
                            System.Logger.Level.WARNING,
                            "{0} was written on {1}; on {2} sums may round differently",
                            file,
                            device,
                            here);
        }
    }

    private void checkSettings(Map<String, String> given) {
        given.forEach(
                (name, value) -> {
                    if (!value.equals(settings.get(name))) {
                        throw new JlatentException(
                                file
                                        + " is a checkpoint of other settings: "
                                        + name
                                        + " is "
                                        + settings.get(name)
                                        + " there, "
                                        + value
                                        + " here");
                    }
                });
    }

    private void checkTensors(Map<String, Tensor> targets, int stateBytes) {
        targets.forEach(
                (name, tensor) -> {
                    Safetensors.Entry entry = tensors.get(name);
                    if (entry == null) {
                        throw other("tensor " + name + " " + tensor.shape() + " is not in it");
                    }
                    entry.difference(tensor)
                            .ifPresent(
                                    how -> {
                                        throw other("tensor " + name + " " + how);
                                    });
                });
        Safetensors.Entry words = tensors.get(ADAM_STATE);
        if (words == null || words.data().limit() != stateBytes) {
            throw other("tensor " + ADAM_STATE + " is not as long as here");
        }
        for (Safetensors.Entry entry : tensors.values()) {
            if (!entry.name().equals(ADAM_STATE) && !targets.containsKey(entry.name())) {
                throw other(
                        "tensor "
                                + entry.name()
                                + " "
                                + Arrays.toString(entry.shape())
                                + " is only there");
            }
        }
    }

    private JlatentException other(String how) {
        return new JlatentException(file + " is a checkpoint of another model: " + how);
    }
}
