// org.jlatent.internal.Native: memory and libraries.
#include <dlfcn.h>
#include <link.h>

#include <cstdlib>
#include <cstring>

#include "jni_support.h"

namespace {

// The UTF-8 text of a Java string for as long as this lives.
class Text {
  public:
    Text(JNIEnv* env, jstring string)
        : env_(env), string_(string), text_(env->GetStringUTFChars(string, nullptr)) {}
    ~Text() {
        if (text_ != nullptr) env_->ReleaseStringUTFChars(string_, text_);
    }
    Text(const Text&) = delete;
    Text& operator=(const Text&) = delete;
    const char* get() const { return text_; }

  private:
    JNIEnv* env_;
    jstring string_;
    const char* text_;
};

constexpr size_t kAlignment = 256;

}  // namespace

JL_JNI(jlong, Native, allocate0)(JNIEnv*, jclass, jlong bytes) {
    const size_t size = (static_cast<size_t>(bytes) + kAlignment - 1) / kAlignment * kAlignment;
    void* memory =
        bytes < 0 || size < static_cast<size_t>(bytes) ? nullptr : std::aligned_alloc(kAlignment, size);
    if (memory != nullptr) std::memset(memory, 0, size);
    return static_cast<jlong>(reinterpret_cast<uintptr_t>(memory));
}

JL_JNI(void, Native, free0)(JNIEnv*, jclass, jlong address) { std::free(pointer<void>(address)); }

JL_JNI(void, Native, zero0)(JNIEnv*, jclass, jlong address, jlong bytes) {
    std::memset(pointer<void>(address), 0, static_cast<size_t>(bytes));
}

// Get...ArrayRegion checks the range itself and leaves an exception when it is out of bounds.
JL_JNI(void, Native, copyFloatsIn0)
(JNIEnv* env, jclass, jfloatArray source, jint offset, jlong address, jint count) {
    env->GetFloatArrayRegion(source, offset, count, pointer<jfloat>(address));
}

JL_JNI(void, Native, copyFloatsOut0)
(JNIEnv* env, jclass, jlong address, jfloatArray destination, jint offset, jint count) {
    env->SetFloatArrayRegion(destination, offset, count, pointer<const jfloat>(address));
}

JL_JNI(void, Native, copyBytesIn0)
(JNIEnv* env, jclass, jbyteArray source, jint offset, jlong address, jint count) {
    env->GetByteArrayRegion(source, offset, count, pointer<jbyte>(address));
}

JL_JNI(void, Native, copyBytesOut0)
(JNIEnv* env, jclass, jlong address, jbyteArray destination, jint offset, jint count) {
    env->SetByteArrayRegion(destination, offset, count, pointer<const jbyte>(address));
}

// The two may overlap: a tensor can lie on the buffer it is copied to.
JL_JNI(void, Native, copy0)(JNIEnv*, jclass, jlong source, jlong destination, jlong bytes) {
    std::memmove(pointer<void>(destination), pointer<const void>(source), static_cast<size_t>(bytes));
}

JL_JNI(jlong, Native, bufferAddress0)(JNIEnv* env, jclass, jobject buffer) {
    return static_cast<jlong>(reinterpret_cast<uintptr_t>(env->GetDirectBufferAddress(buffer)));
}

JL_JNI(jstring, Native, probe0)(JNIEnv* env, jclass, jstring name) {
    const Text text(env, name);
    return dlopen(text.get(), RTLD_LAZY | RTLD_LOCAL) != nullptr ? nullptr : env->NewStringUTF(dlerror());
}

JL_JNI(jstring, Native, locate0)(JNIEnv* env, jclass, jstring name) {
    const Text text(env, name);
    void* library = dlopen(text.get(), RTLD_LAZY | RTLD_NOLOAD);
    link_map* map = nullptr;
    if (library == nullptr || dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) return nullptr;
    return env->NewStringUTF(map->l_name);
}

// Calls `opener` of the library; what it returns goes to table[0]. Returns null, or the reason: dlopen's, or
// what the library's function `error` says.
JL_JNI(jstring, Native, open0)
(JNIEnv* env, jclass, jstring path, jstring opener, jstring error, jlongArray table) {
    const Text path_text(env, path), opener_text(env, opener), error_text(env, error);
    // OpenMP's threads spin for milliseconds between two loops by default; on a busy machine they keep each
    // other from working. A hundredth of that still bridges the gaps within a training step. Read once, when
    // libgomp is loaded; it would overrule a policy that the user has set.
    if (getenv("OMP_WAIT_POLICY") == nullptr) setenv("GOMP_SPINCOUNT", "5000", 0);
    void* library = dlopen(path_text.get(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return env->NewStringUTF(dlerror());
    const auto open = reinterpret_cast<const uint32_t* (*)()>(dlsym(library, opener_text.get()));
    if (open == nullptr) return env->NewStringUTF(dlerror());
    const uint32_t* opened = open();
    if (opened == nullptr) {
        const auto reason = reinterpret_cast<const char* (*)()>(dlsym(library, error_text.get()));
        return env->NewStringUTF(reason != nullptr ? reason() : "it does not run on this machine");
    }
    if (opened[0] != JL_ABI_VERSION) return env->NewStringUTF("it was built for another version of jlatent");
    const jlong address = static_cast<jlong>(reinterpret_cast<uintptr_t>(opened));
    env->SetLongArrayRegion(table, 0, 1, &address);
    return nullptr;
}
