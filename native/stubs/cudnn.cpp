// libcudnn.so.9 and libcudnn.so.8 for tests: the calls that java/cuda makes. See stub.h.
#include "stub.h"

namespace {

// Numbered anew in cuDNN 9.
constexpr int kBadParam = CUDNN_MAJOR >= 9 ? 2000 : 3, kNotSupported = CUDNN_MAJOR >= 9 ? 3000 : 9;
constexpr int kF32 = 0, kBf16 = 9;
constexpr int kNchw = 0, kNhwc = 1;
constexpr int kCrossCorrelation = 1;
constexpr int kFma = 3;
constexpr size_t kWorkspace = 4096;
constexpr int kChosen = 1;  // the only algorithm that runs; the list begins with others

struct Tensor {
    int format, type, n, c, h, w;
    int64_t at(int64_t in, int64_t ic, int64_t iy, int64_t ix) const {
        return format == kNhwc ? ((in * h + iy) * w + ix) * c + ic : ((in * c + ic) * h + iy) * w + ix;
    }
};
struct Convolution {
    int pad_y, pad_x, stride_y, stride_x, dilation_y, dilation_x, groups, math;
};

struct Handle {
    void* stream = nullptr;
};

struct Performance {  // cudnnConvolution*AlgoPerf_t
    int algorithm, status;
    float time;
    size_t memory;
    int determinism, math, reserved[3];
};

// What the library would run: x is [n,c,h,w], w [k,c/g,r,s], y [n,k,...], all of one type and layout.
int check(const Tensor* x, const Tensor* w, const Convolution* c, const Tensor* y) {
    const auto extent = [](int in, int pad, int kernel, int dilation, int stride) {
        return (in + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
    };
    if (x->type != w->type || x->type != y->type || x->format != w->format || x->format != y->format ||
        x->n != y->n || x->c != w->c * c->groups || w->n != y->c || w->n % c->groups != 0 ||
        y->h != extent(x->h, c->pad_y, w->h, c->dilation_y, c->stride_y) ||
        y->w != extent(x->w, c->pad_x, w->w, c->dilation_x, c->stride_x))
        return kBadParam;
    if (x->type == kBf16 && c->math == kFma) return kNotSupported;
    int status = 0;
    return x->format == kNhwc && stub::answer("nhwc", &status) ? status : 0;
}

int algorithms(const char* name, const Tensor* x, const Tensor* w, const Convolution* c, const Tensor* y,
               int wanted, int* returned, Performance* results) {
    if (const int status = stub::called(name)) return status;
    const int status = check(x, w, c, y);
    if (status == kBadParam) return status;
    const Performance all[] = {
        {0, kNotSupported, -1.0f, 0, 1, c->math, {}},
        {3, status, 0.1f, 0, 0, c->math, {}},  // the fastest, but not deterministic
        {kChosen, status, 0.2f, kWorkspace, 1, c->math, {}},
        {2, status, 0.3f, 0, 1, c->math, {}},
    };
    *returned = wanted < 4 ? wanted : 4;
    std::memcpy(results, all, sizeof(Performance) * static_cast<size_t>(*returned));
    return 0;
}

int workspace_size(const char* name, int algorithm, size_t* bytes) {
    *bytes = kWorkspace;
    if (const int status = stub::called(name)) return status;
    return algorithm == kChosen ? 0 : kNotSupported;
}

// Before the work: notes the call, refuses what would not run.
int begin(const char* name, const Tensor* x, const Tensor* w, const Convolution* c, const Tensor* y,
          int algorithm, void* workspace, size_t bytes) {
    if (const int status = stub::called(name,
                                        "type %d format %d x %dx%dx%dx%d w %dx%dx%dx%d pad %d %d stride %d "
                                        "%d dilation %d %d groups %d math %d",
                                        x->type, x->format, x->n, x->h, x->w, x->c, w->n, w->h, w->w, w->c,
                                        c->pad_y, c->pad_x, c->stride_y, c->stride_x, c->dilation_y,
                                        c->dilation_x, c->groups, c->math))
        return status;
    if (const int status = check(x, w, c, y)) return status;
    if (algorithm != kChosen || workspace == nullptr || bytes < kWorkspace) return kBadParam;
    return 0;
}

// f(index in x, in w, in y) for every product of the convolution.
template <class F>
void each_product(const Tensor& x, const Tensor& w, const Convolution& c, const Tensor& y, F f) {
    const int64_t filters = w.n / c.groups;
    for (int64_t n = 0; n < y.n; ++n)
        for (int64_t oy = 0; oy < y.h; ++oy)
            for (int64_t ox = 0; ox < y.w; ++ox)
                for (int64_t k = 0; k < y.c; ++k)
                    for (int64_t r = 0; r < w.h; ++r)
                        for (int64_t s = 0; s < w.w; ++s) {
                            const int64_t iy = oy * c.stride_y - c.pad_y + r * c.dilation_y;
                            const int64_t ix = ox * c.stride_x - c.pad_x + s * c.dilation_x;
                            if (iy < 0 || iy >= x.h || ix < 0 || ix >= x.w) continue;
                            for (int64_t i = 0; i < w.c; ++i)
                                f(x.at(n, k / filters * w.c + i, iy, ix), w.at(k, i, r, s),
                                  y.at(n, k, oy, ox));
                        }
}

// Sums in fp64, stored once: alpha = 1 and beta = 0 are all that is asked for.
class Sums {
  public:
    explicit Sums(const Tensor& t)
        : count_(static_cast<size_t>(t.n) * static_cast<size_t>(t.c) * static_cast<size_t>(t.h) *
                 static_cast<size_t>(t.w)),
          bf16_(t.type == kBf16),
          sums_(new double[count_]()) {}
    ~Sums() { delete[] sums_; }
    Sums(const Sums&) = delete;
    Sums& operator=(const Sums&) = delete;
    void add(int64_t i, double term) { sums_[i] += term; }
    void store(void* to) const {
        for (size_t i = 0; i < count_; ++i) stub::store(to, static_cast<int64_t>(i), bf16_, sums_[i]);
    }

  private:
    size_t count_;
    bool bf16_;
    double* sums_;
};

}  // namespace

STUB size_t cudnnGetVersion() { return CUDNN_MAJOR >= 9 ? 91000 : 8907; }
STUB const char* cudnnGetErrorString(int status) {
    return status == kNotSupported ? "CUDNN_STATUS_NOT_SUPPORTED"
           : status == kBadParam   ? "CUDNN_STATUS_BAD_PARAM"
                                   : "CUDNN_STATUS_OF_THE_STUB";
}
STUB int cudnnCreate(Handle** handle) {
    if (const int status = stub::called("cudnnCreate")) return status;
    *handle = new Handle;
    return 0;
}
STUB int cudnnDestroy(Handle* handle) {
    delete handle;
    return stub::called("cudnnDestroy");
}
STUB int cudnnSetStream(Handle* handle, void* stream) {
    handle->stream = stream;
    return stub::called("cudnnSetStream", "%d", stream != nullptr);
}

STUB int cudnnCreateTensorDescriptor(Tensor** t) {
    *t = new Tensor{};
    return stub::called("cudnnCreateTensorDescriptor");
}
STUB int cudnnDestroyTensorDescriptor(Tensor* t) {
    delete t;
    return stub::called("cudnnDestroyTensorDescriptor");
}
STUB int cudnnSetTensor4dDescriptor(Tensor* t, int format, int type, int n, int c, int h, int w) {
    *t = {format, type, n, c, h, w};
    return n > 0 && c > 0 && h > 0 && w > 0 ? 0 : kBadParam;
}
STUB int cudnnCreateFilterDescriptor(Tensor** t) {
    *t = new Tensor{};
    return stub::called("cudnnCreateFilterDescriptor");
}
STUB int cudnnDestroyFilterDescriptor(Tensor* t) {
    delete t;
    return stub::called("cudnnDestroyFilterDescriptor");
}
STUB int cudnnSetFilter4dDescriptor(Tensor* t, int type, int format, int k, int c, int h, int w) {
    *t = {format, type, k, c, h, w};
    return k > 0 && c > 0 && h > 0 && w > 0 ? 0 : kBadParam;
}
STUB int cudnnCreateConvolutionDescriptor(Convolution** c) {
    *c = new Convolution{};
    return stub::called("cudnnCreateConvolutionDescriptor");
}
STUB int cudnnDestroyConvolutionDescriptor(Convolution* c) {
    delete c;
    return stub::called("cudnnDestroyConvolutionDescriptor");
}
STUB int cudnnSetConvolution2dDescriptor(Convolution* c, int pad_y, int pad_x, int stride_y, int stride_x,
                                         int dilation_y, int dilation_x, int mode, int compute) {
    *c = {pad_y, pad_x, stride_y, stride_x, dilation_y, dilation_x, 1, 0};
    return mode == kCrossCorrelation && compute == kF32 ? 0 : kBadParam;
}
STUB int cudnnSetConvolutionGroupCount(Convolution* c, int groups) {
    c->groups = groups;
    return 0;
}
STUB int cudnnSetConvolutionMathType(Convolution* c, int math) {
    c->math = math;
    return 0;
}

STUB int cudnnGetConvolutionForwardAlgorithm_v7(void*, Tensor* x, Tensor* w, Convolution* c, Tensor* y,
                                                int wanted, int* returned, Performance* results) {
    return algorithms("cudnnGetConvolutionForwardAlgorithm", x, w, c, y, wanted, returned, results);
}
STUB int cudnnGetConvolutionBackwardDataAlgorithm_v7(void*, Tensor* w, Tensor* dy, Convolution* c, Tensor* dx,
                                                     int wanted, int* returned, Performance* results) {
    return algorithms("cudnnGetConvolutionBackwardDataAlgorithm", dx, w, c, dy, wanted, returned, results);
}
STUB int cudnnGetConvolutionBackwardFilterAlgorithm_v7(void*, Tensor* x, Tensor* dy, Convolution* c,
                                                       Tensor* dw, int wanted, int* returned,
                                                       Performance* results) {
    return algorithms("cudnnGetConvolutionBackwardFilterAlgorithm", x, dw, c, dy, wanted, returned, results);
}
STUB int cudnnGetConvolutionForwardWorkspaceSize(void*, Tensor*, Tensor*, Convolution*, Tensor*,
                                                 int algorithm, size_t* bytes) {
    return workspace_size("cudnnGetConvolutionForwardWorkspaceSize", algorithm, bytes);
}
STUB int cudnnGetConvolutionBackwardDataWorkspaceSize(void*, Tensor*, Tensor*, Convolution*, Tensor*,
                                                      int algorithm, size_t* bytes) {
    return workspace_size("cudnnGetConvolutionBackwardDataWorkspaceSize", algorithm, bytes);
}
STUB int cudnnGetConvolutionBackwardFilterWorkspaceSize(void*, Tensor*, Tensor*, Convolution*, Tensor*,
                                                        int algorithm, size_t* bytes) {
    return workspace_size("cudnnGetConvolutionBackwardFilterWorkspaceSize", algorithm, bytes);
}

STUB int cudnnConvolutionForward(Handle* handle, const float*, Tensor* x_desc, const void* x, Tensor* w_desc,
                                 const void* w, Convolution* c, int algorithm, void* workspace, size_t bytes,
                                 const float*, Tensor* y_desc, void* y) {
    if (const int status =
            begin("cudnnConvolutionForward", x_desc, w_desc, c, y_desc, algorithm, workspace, bytes))
        return status;
    stub::queue(handle->stream, [=, x_shape = *x_desc, w_shape = *w_desc, y_shape = *y_desc, shape = *c] {
        stub::scribble(workspace, bytes);
        const bool bf16 = x_shape.type == kBf16;
        Sums sums(y_shape);
        each_product(x_shape, w_shape, shape, y_shape, [&](int64_t i, int64_t j, int64_t o) {
            sums.add(o, stub::load(x, i, bf16) * stub::load(w, j, bf16));
        });
        sums.store(y);
    });
    return 0;
}
STUB int cudnnConvolutionBackwardData(Handle* handle, const float*, Tensor* w_desc, const void* w,
                                      Tensor* dy_desc, const void* dy, Convolution* c, int algorithm,
                                      void* workspace, size_t bytes, const float*, Tensor* dx_desc,
                                      void* dx) {
    if (const int status =
            begin("cudnnConvolutionBackwardData", dx_desc, w_desc, c, dy_desc, algorithm, workspace, bytes))
        return status;
    stub::queue(handle->stream, [=, dx_shape = *dx_desc, w_shape = *w_desc, dy_shape = *dy_desc, shape = *c] {
        stub::scribble(workspace, bytes);
        const bool bf16 = dy_shape.type == kBf16;
        Sums sums(dx_shape);
        each_product(dx_shape, w_shape, shape, dy_shape, [&](int64_t i, int64_t j, int64_t o) {
            sums.add(i, stub::load(dy, o, bf16) * stub::load(w, j, bf16));
        });
        sums.store(dx);
    });
    return 0;
}
STUB int cudnnConvolutionBackwardFilter(Handle* handle, const float*, Tensor* x_desc, const void* x,
                                        Tensor* dy_desc, const void* dy, Convolution* c, int algorithm,
                                        void* workspace, size_t bytes, const float*, Tensor* dw_desc,
                                        void* dw) {
    if (const int status =
            begin("cudnnConvolutionBackwardFilter", x_desc, dw_desc, c, dy_desc, algorithm, workspace, bytes))
        return status;
    stub::queue(handle->stream, [=, x_shape = *x_desc, dw_shape = *dw_desc, dy_shape = *dy_desc, shape = *c] {
        stub::scribble(workspace, bytes);
        const bool bf16 = x_shape.type == kBf16;
        Sums sums(dw_shape);
        each_product(x_shape, dw_shape, shape, dy_shape, [&](int64_t i, int64_t j, int64_t o) {
            sums.add(j, stub::load(x, i, bf16) * stub::load(dy, o, bf16));
        });
        sums.store(dw);
    });
    return 0;
}

// Between the two layouts.
STUB int cudnnTransformTensor(Handle* handle, const float*, Tensor* from, const void* x, const float*,
                              Tensor* to, void* y) {
    if (const int status = stub::called("cudnnTransformTensor", "%dx%dx%dx%d type %d", from->n, from->c,
                                        from->h, from->w, from->type))
        return status;
    if (from->n != to->n || from->c != to->c || from->h != to->h || from->w != to->w ||
        from->type != to->type)
        return kBadParam;
    stub::queue(handle->stream, [=, from_shape = *from, to_shape = *to] {
        for (int64_t n = 0; n < from_shape.n; ++n)
            for (int64_t c = 0; c < from_shape.c; ++c)
                for (int64_t h = 0; h < from_shape.h; ++h)
                    for (int64_t w = 0; w < from_shape.w; ++w)
                        stub::store(y, to_shape.at(n, c, h, w), to_shape.type == kBf16,
                                    stub::load(x, from_shape.at(n, c, h, w), from_shape.type == kBf16));
    });
    return 0;
}
