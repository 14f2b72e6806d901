// What the *_jni.cpp files share: casts. Only primitives and addresses cross JNI; 0 is null.
#pragma once
#include <jni.h>

#include <cstdint>

#include "jlatent.h"

template <class T>
T* pointer(jlong address) {
    return reinterpret_cast<T*>(static_cast<uintptr_t>(address));
}

inline const jl_kernels* kernels(jlong table) { return pointer<const jl_kernels>(table); }
inline jl_stream stream_of(jlong address) { return pointer<jl_stream_opaque>(address); }
inline jl_workspace workspace_of(jlong data, jlong bytes) {
    return {pointer<void>(data), static_cast<size_t>(bytes)};
}

// A shape struct is nothing but 64-bit numbers, and comes as an array of them in the struct's order.
template <class Shape>
Shape shape_of(JNIEnv* env, jlongArray numbers) {
    static_assert(sizeof(Shape) % sizeof(jlong) == 0);
    Shape shape = {};
    env->GetLongArrayRegion(numbers, 0, sizeof(Shape) / sizeof(jlong), reinterpret_cast<jlong*>(&shape));
    return shape;
}

// JNIEXPORT function of class org.jlatent.internal.<type>
#define JL_JNI(result, type, method) \
    extern "C" JNIEXPORT result JNICALL Java_org_jlatent_internal_##type##_##method
