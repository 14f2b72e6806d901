package org.jlatent.nn;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * Something with parameters. Subclasses register theirs in the constructor; names join with dots,
 * {@code encoder.0.weight}. A module belongs to the thread of its parameters' device.
 */
public abstract class Module {
    private final Map<String, Tensor> own = new LinkedHashMap<>();
    private final Map<String, Module> children = new LinkedHashMap<>();

    /**
     * Registers a parameter.
     *
     * @throws IllegalArgumentException if there is one of this name
     */
    protected final Tensor parameter(String name, Tensor value) {
        if (own.putIfAbsent(name, value) != null) {
            throw new IllegalArgumentException("parameter " + name + " is registered twice");
        }
        return value;
    }

    /**
     * Registers a module whose parameters belong to this one.
     *
     * @throws IllegalArgumentException if there is one of this name
     */
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

    /** Asks {@code tape} for the gradients of all parameters. */
    public final void watch(Tape tape) {
        parameters().values().forEach(tape::watch);
    }
}
