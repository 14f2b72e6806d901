/**
 * Tensors, the scopes that own them, the devices they are on, operations, and the tape that
 * differentiates them.
 *
 * <p>Threads: a {@link org.jlatent.Device} and everything made from it belong to one thread at a
 * time; nothing here locks. Devices are independent of each other, so any number of threads may
 * work at once, each with a device of its own, and results do not depend on how many do. Immutable
 * types ({@link org.jlatent.Shape}, {@link org.jlatent.DType}, options) may be shared.
 *
 * <p>Errors: {@link org.jlatent.ShapeException} when a shape, type or device does not fit, {@link
 * org.jlatent.DeviceException} when the device fails, {@link java.lang.IllegalStateException} for
 * what was cleared or closed. All are unchecked; messages are one line.
 */
package org.jlatent;
