// The nearest codes' shapes: those of published models, with three kinds of codebook each, because how hard a search is
// depends on how far the second best code lies behind.
#include <algorithm>
#include <cmath>

#include "cases.h"

namespace bench {
namespace {

enum class Book {
    kGaussian,  // rows and entries from N(0, 1)
    kTrained,   // rows scatter around entries, with a quarter of their variance
    kInitial    // entries from U(-1/K, 1/K), where most models start
};
constexpr float kScatter = 0.5f;     // deviation of rows around their entry
constexpr float kStageRatio = 0.6f;  // of the entries of one residual stage to those before it

struct Shape {
    const char* what;
    jl_vector_quantize of;
};

size_t values(const jl_vector_quantize& s) { return static_cast<size_t>(s.rows * s.dims); }
size_t book_values(const jl_vector_quantize& s) { return static_cast<size_t>(s.stages * s.codes * s.dims); }

float* codebook(Arrays& a, const jl_vector_quantize& s, Book book) {
    if (book == Book::kInitial) {
        const float most = 1.0f / static_cast<float>(s.codes);
        return a.uniform(book_values(s), -most, most);
    }
    const float* normals = a.normals(book_values(s));
    return a.input(book_values(s), [&](float* out) {
        const int64_t stage = s.codes * s.dims;
        for (int64_t i = 0; i < s.stages; ++i) {
            const float* factor = a.given(std::vector<float>{std::pow(kStageRatio, static_cast<float>(i))});
            require(a.kernels(),
                    a.kernels().scale(normals + i * stage, factor, out + i * stage, stage, a.stream()));
        }
    });
}

float* rows(Arrays& a, const jl_vector_quantize& s, Book book, const float* entries) {
    float* noise = a.normals(values(s));
    if (book != Book::kTrained) return noise;
    const int32_t* codes = a.integers(static_cast<size_t>(s.rows), static_cast<int32_t>(s.codes));
    return a.input(values(s), [&](float* x) {
        const jl_embedding gather = {s.rows, s.codes, s.dims};
        const float* scatter = a.given(std::vector<float>{kScatter});
        const jl_kernels& k = a.kernels();
        require(k, k.embedding_forward(&gather, entries, codes, x, nullptr, a.stream()));
        require(k, k.scale(noise, scatter, noise, s.rows * s.dims, a.stream()));
        require(k, k.add(x, noise, x, s.rows * s.dims, a.stream()));
    });
}

// What forward writes.
struct Found {
    int32_t *codes, *histogram, *valid;
    float *q, *row_errors, *codebook_loss, *commitment;

    Found(Arrays& a, const jl_vector_quantize& s)
        : codes(a.codes("codes", static_cast<size_t>(s.rows * s.stages))),
          histogram(a.codes("histogram", static_cast<size_t>(s.stages * s.codes))),
          valid(a.codes("valid", 1)),
          q(a.output("q", values(s))),
          row_errors(a.output("row_errors", static_cast<size_t>(s.rows))),
          codebook_loss(a.output("codebook_loss", 1)),
          commitment(a.output("commitment", 1)) {}
};

std::function<std::function<jl_status()>(Arrays&)> forward(jl_vector_quantize s, Book book) {
    return [=](Arrays& a) -> std::function<jl_status()> {
        const float* entries = codebook(a, s, book);
        const float* x = rows(a, s, book, entries);
        const Found f(a, s);
        const jl_workspace w = a.workspace(a.kernels().vector_quantize_workspace(&s));
        return [=, &a] {
            return a.kernels().vector_quantize_forward(&s, x, entries, nullptr, nullptr, f.codes, f.q,
                                                       f.row_errors, f.codebook_loss, f.commitment,
                                                       f.histogram, f.valid, nullptr, w, a.stream());
        };
    };
}

// Forward, the straight-through gradient with the commitment's, and the codebook's moving averages.
std::function<std::function<jl_status()>(Arrays&)> training(jl_vector_quantize s, Book book) {
    return [=](Arrays& a) -> std::function<jl_status()> {
        float* entries = codebook(a, s, book);
        const float* x = rows(a, s, book, entries);
        const float* d_q = a.normals(values(s));
        float* sums = a.input(book_values(s), [&](float* p) {  // of averages that have run for long
            const float* one = a.given(std::vector<float>{1.0f});
            require(a.kernels(),
                    a.kernels().scale(entries, one, p, static_cast<int64_t>(book_values(s)), a.stream()));
        });
        float* counts = a.given(std::vector<float>(static_cast<size_t>(s.codes), 1.0f));
        const float* beta = a.given(std::vector<float>{0.25f});
        const float* one = a.given(std::vector<float>{1.0f});
        jl_vector_quantize_ema* state =
            a.given(std::vector<jl_vector_quantize_ema>{{0.99f, 1e-5f, 0.0f, 1000, 0, 0}});
        const Found f(a, s);
        float* d_x = a.output("d_x", values(s));
        a.compare("codebook", entries, book_values(s));
        a.compare("counts", counts, static_cast<size_t>(s.codes));
        a.compare("sums", sums, book_values(s));
        const jl_workspace w = a.workspace(a.kernels().vector_quantize_workspace(&s));
        return [=, &a] {
            const jl_kernels& k = a.kernels();
            jl_status status = k.vector_quantize_forward(&s, x, entries, nullptr, beta, f.codes, f.q,
                                                         f.row_errors, f.codebook_loss, f.commitment,
                                                         f.histogram, f.valid, nullptr, w, a.stream());
            if (status == JL_OK)
                status = k.vector_quantize_backward(&s, x, entries, f.codes, f.valid, beta, d_q, nullptr, one,
                                                    d_x, nullptr, w, a.stream());
            if (status == JL_OK)
                status = k.vector_quantize_ema(&s, x, f.codes, state, nullptr, 0, counts, sums, entries, w,
                                               a.stream());
            return status;
        };
    };
}

}  // namespace

std::vector<Case> vector_quantize_cases(Sizes size) {
    const auto plain = [&](int64_t n, int64_t k, int64_t d, int64_t stages) {
        return jl_vector_quantize{
            size(n, 70), 1, std::min<int64_t>(stages, size(8, 2)), size(k, 12), size(d, 20), JL_F32, 0};
    };
    const Shape shapes[] = {{"16384x64 K=512", plain(16384, 512, 64, 1)},
                            {"524288x64 K=512", plain(524288, 512, 64, 1)},
                            {"262144x64 K=2048", plain(262144, 2048, 64, 1)},
                            {"8192x256 K=16384", plain(8192, 16384, 256, 1)},
                            {"9600x128 K=1024 8 stages", plain(9600, 1024, 128, 8)}};
    constexpr double kAllowed = 2e-5;
    std::vector<Case> cases;
    for (const Shape& shape : shapes) {
        const jl_vector_quantize& s = shape.of;
        const double n = static_cast<double>(values(s));
        const double flops = 2.0 * n * static_cast<double>(s.codes * s.stages);
        const std::string name = std::string("vector_quantize ") + shape.what;
        cases.push_back({name + " gaussian", 8.0 * n, flops, kAllowed, forward(s, Book::kGaussian)});
        cases.push_back({name + " trained", 8.0 * n, flops, kAllowed, forward(s, Book::kTrained)});
        cases.push_back({name + " initial", 8.0 * n, flops, kAllowed, forward(s, Book::kInitial)});
    }
    for (int i : {0, 1}) {
        const jl_vector_quantize& s = shapes[i].of;
        const double n = static_cast<double>(values(s));
        cases.push_back({std::string("vector_quantize training ") + shapes[i].what + " trained", 24.0 * n,
                         2.0 * n * static_cast<double>(s.codes), kAllowed, training(s, Book::kTrained)});
    }
    return cases;
}

}  // namespace bench
