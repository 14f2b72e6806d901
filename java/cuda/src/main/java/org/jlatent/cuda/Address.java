package org.jlatent.cuda;

import jcuda.NativePointerObject;
import jcuda.Pointer;
import jcuda.driver.CUdeviceptr;

/** Raw addresses as JCuda's pointers, and back. */
final class Address {
    private Address() {}

    /** JCuda opens its pointers to subclasses only. */
    private static final class Raw extends Pointer {
        Raw(long address) {
            super(address);
        }

        Raw(Pointer pointer) {
            super(pointer);
        }

        long value() {
            return getNativePointer() + getByteOffset();
        }
    }

    private static final class Handle extends NativePointerObject {
        Handle(NativePointerObject object) {
            super(object);
        }

        long value() {
            return getNativePointer();
        }
    }

    /** Of the device or the host. */
    static Pointer pointer(long address) {
        return new Raw(address);
    }

    static CUdeviceptr device(long address) {
        return new CUdeviceptr().withByteOffset(address);
    }

    /** 0 for a pointer to a Java array. */
    static long of(Pointer pointer) {
        return new Raw(pointer).value();
    }

    /** The raw handle of a stream or a context. */
    static long ofHandle(NativePointerObject object) {
        return new Handle(object).value();
    }
}
