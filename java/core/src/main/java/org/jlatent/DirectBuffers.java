package org.jlatent;

import java.nio.Buffer;
import java.nio.ByteOrder;
import org.jlatent.internal.Native;

/** What is asked of a buffer whose memory is used as it is. */
final class DirectBuffers {
    private DirectBuffers() {}

    static void require(String operation, Buffer buffer, ByteOrder order) {
        if (!buffer.isDirect() || order != ByteOrder.nativeOrder()) {
            throw new IllegalArgumentException(
                    operation
                            + " needs a direct buffer in native byte order, got a "
                            + (buffer.isDirect() ? "direct" : "heap")
                            + " one in "
                            + order
                            + "; ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder()) makes one");
        }
    }

    /**
     * Address of the element at the buffer's position.
     *
     * @param unit bytes an element
     */
    static long addressOf(Buffer buffer, int unit) {
        return Native.bufferAddress(buffer) + (long) buffer.position() * unit;
    }
}
