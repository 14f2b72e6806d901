package org.jlatent.nn;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jlatent.JlatentException;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.io.Safetensors;

/**
 * Something with parameters, and buffers: state that training changes but no optimizer touches,
 * such as running statistics. Subclasses register theirs in the constructor; names join with dots,
 * {@code encoder.0.weight}. A module belongs to the thread of its parameters' device.
 */
public abstract class Module {
    private final Map<String, Tensor> own = new LinkedHashMap<>();
    private final Map<String, Tensor> ownBuffers = new LinkedHashMap<>();
    private final Map<String, Module> children = new LinkedHashMap<>();

    /**
     * Registers a parameter.
     *
     * @throws IllegalArgumentException if a parameter or buffer has the name already
     */
    protected final Tensor parameter(String name, Tensor value) {
        return register(own, name, value);
    }

    /**
     * Registers a buffer: saved with the parameters, without a gradient.
     *
     * @throws IllegalArgumentException if a parameter or buffer has the name already
     */
    protected final Tensor buffer(String name, Tensor value) {
        return register(ownBuffers, name, value);
    }

    private Tensor register(Map<String, Tensor> kind, String name, Tensor value) {
        if (own.containsKey(name) || ownBuffers.containsKey(name)) {
            throw new IllegalArgumentException(
                    (kind == own ? "parameter " : "buffer ") + name + " is registered twice");
        }
        kind.put(name, value);
        return value;
    }

    /** Registers a module whose parameters belong to this one. */
    protected final <M extends Module> M child(String name, M module) {
        if (children.putIfAbsent(name, module) != null) {
            throw new IllegalArgumentException("module " + name + " is registered twice");
        }
        return module;
    }

    /** All parameters by full name, in order of registration. */
    public final Map<String, Tensor> parameters() {
        Map<String, Tensor> all = new LinkedHashMap<>(own);
        children.forEach(
                (name, module) ->
                        module.parameters().forEach((n, p) -> all.put(name + "." + n, p)));
        return all;
    }

    /** All buffers by full name, in order of registration. */
    public final Map<String, Tensor> buffers() {
        Map<String, Tensor> all = new LinkedHashMap<>(ownBuffers);
        children.forEach(
                (name, module) -> module.buffers().forEach((n, b) -> all.put(name + "." + n, b)));
        return all;
    }

    /** What is kept of a module in files: all parameters, then all buffers. */
    public final Map<String, Tensor> state() {
        Map<String, Tensor> all = parameters();
        buffers()
                .forEach(
                        (name, value) -> {
                            if (all.putIfAbsent(name, value) != null) {
                                throw new IllegalStateException(
                                        name + " is the name of a parameter and a buffer");
                            }
                        });
        return all;
    }

    /**
     * Writes {@link #state} to a safetensors file, which other tools read as well. The file is
     * there whole, or as it was. Waits for the device.
     *
     * @throws JlatentException if it cannot be written
     */
    public final void save(Path file) {
        List<Safetensors.Entry> entries = new ArrayList<>();
        state().forEach((name, value) -> entries.add(Safetensors.Entry.of(name, value)));
        Safetensors.write(file, entries, Map.of("format", "jlatent"));
    }

    /**
     * Overwrites {@link #state} with what {@link #save} wrote, of a module that was made alike; on
     * any device. Nothing is changed unless all of it fits.
     *
     * @throws JlatentException if the file is missing, damaged or of another module
     */
    public final void load(Path file) {
        Map<String, Safetensors.Entry> entries = Safetensors.read(file);
        Map<String, Tensor> state = state();
        state.forEach((name, value) -> requireFits(file, name, entries.get(name), value));
        Set<String> unknown = new LinkedHashSet<>(entries.keySet());
        unknown.removeAll(state.keySet());
        if (!unknown.isEmpty()) {
            throw new JlatentException(
                    file + " holds unknown parameters " + unknown + ": it is of another model");
        }
        state.forEach((name, value) -> entries.get(name).copyTo(value));
    }

    private static void requireFits(Path file, String name, Safetensors.Entry entry, Tensor to) {
        if (entry == null) {
            throw new JlatentException(
                    file + " holds no parameter " + name + ": it is of another model");
        }
        entry.difference(to)
                .ifPresent(
                        how -> {
                            throw new JlatentException(file + ": parameter " + name + " " + how);
                        });
    }

    /** Asks {@code tape} for the gradients of all parameters. */
    public final void watch(Tape tape) {
        parameters().values().forEach(tape::watch);
    }
}
