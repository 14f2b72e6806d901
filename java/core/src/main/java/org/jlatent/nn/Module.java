package org.jlatent.nn;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jlatent.Tape;
import org.jlatent.Tensor;

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

    /** Asks {@code tape} for the gradients of all parameters. */
    public final void watch(Tape tape) {
        parameters().values().forEach(tape::watch);
    }
}
