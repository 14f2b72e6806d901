/**
 * Modules: layers and losses with parameters, which record on a {@link org.jlatent.Tape} how to go
 * back. A module of one's own extends {@link org.jlatent.nn.Module}, registers its parameters, and
 * calls {@code tape.record}. A module belongs to the thread of its device.
 */
package org.jlatent.nn;
