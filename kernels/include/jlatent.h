/* jlatent: the one C ABI. Plain C; usable from C, C++, Rust, and from Java through JNI.
 *
 * Each implementation (libjlatent_cpu, libjlatent_cuda13, libjlatent_emulated) exports jl_open_kernels(),
 * which returns a table of launchers of this type. Pointers are addresses in the memory of the table's
 * device: host memory for the CPU and emulated tables, device memory for CUDA. Whatever changes from step to
 * step (random state, weights, learning rate) is behind a pointer, so that a captured CUDA graph replays
 * correctly. Launchers never synchronise and never allocate. Any number of threads may call the CPU table at
 * once, each with arrays and a workspace of its own; common/team.h says where its parallel loops run.
 *
 * Formulas, shapes and what is overwritten stand in each operation's header:
 * kernels/<operation>/<operation>.h.
 */
#ifndef JLATENT_H
#define JLATENT_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JL_ABI_VERSION 1

typedef enum {
    JL_OK = 0,
    JL_BAD_ARGUMENT = 1,
    JL_DEVICE_ERROR = 2,
    JL_OUT_OF_MEMORY = 3,
    JL_INTERNAL_ERROR = 4
} jl_status;

typedef struct jl_stream_opaque* jl_stream; /* cudaStream_t for the CUDA table, ignored by the others */

/* Scratch memory for one launch. Zero it once, before its first use; every launcher leaves it ready for the
 * next one on the same stream. `bytes` is at least what the operation's ..._workspace() asks for. 256-byte
 * aligned. */
typedef struct {
    void* data;
    size_t bytes;
} jl_workspace;

/* Random state, in the table's memory. Noise is a pure function of (seed, step, site, sample, element); see
 * random.h. */
typedef struct {
    uint64_t seed;
    uint32_t step; /* advanced by random_advance, once a training step */
    uint32_t reserved;
} jl_random;

typedef enum { JL_F32 = 0, JL_BF16 = 1 } jl_dtype; /* bf16: the upper half of an f32 */

/* ---- gaussian ---- */
typedef struct {
    int64_t rows;       /* batch size */
    int64_t dims;       /* latent dimensions */
    int64_t samples;    /* samples a row, k >= 1 */
    int64_t row_stride; /* elements from one row of mu to the next, the same for log_var and both gradients;
                           >= dims */
    float log_var_min;  /* log_var is clamped into [min, max]; -INFINITY and INFINITY: not at all */
    float log_var_max;
    float free_bits; /* lambda in nats a dimension; 0: off */
    uint32_t site;   /* which random draw of the model this is */
} jl_gaussian;

/* ---- likelihood ---- */
typedef enum {
    JL_BERNOULLI = 0,
    JL_GAUSSIAN = 1,
    JL_LAPLACE = 2,
    JL_CATEGORICAL = 3, /* this and the next: of levels, in jl_likelihood_levels */
    JL_LOGISTIC_MIXTURE = 4
} jl_distribution;

typedef struct {
    int64_t rows;          /* rows of parameters */
    int64_t dims;          /* values a row */
    int64_t samples;       /* rows of parameters that share one row of x; divides rows */
    int32_t distribution;  /* jl_distribution */
    int32_t learned_scale; /* 1: parameters hold a log scale for every value; 0: `log_scale` for all */
    float log_scale;       /* Gaussian: log variance; Laplace: log b; Bernoulli: ignored */
    float reserved;
} jl_likelihood;

typedef struct {
    int64_t rows;         /* rows of parameters */
    int64_t pixels;       /* a row */
    int64_t samples;      /* rows of parameters that share one row of x; divides rows */
    int32_t channels;     /* values a pixel */
    int32_t levels;       /* a value is one of 0 .. levels - 1; at least 2 */
    int32_t components;   /* of a logistic mixture; else ignored */
    int32_t distribution; /* JL_CATEGORICAL or JL_LOGISTIC_MIXTURE; for draws also JL_BERNOULLI */
} jl_likelihood_levels;

/* ---- adam ---- */
typedef struct {
    float* value;
    const float* gradient; /* null: this tensor is left alone */
    float* first_moment;
    float* second_moment;
    float* average; /* exponential moving average of value, or null */
    int64_t count;
    float weight_decay; /* decoupled (AdamW); 0: Adam */
    float reserved;
} jl_adam_tensor;

typedef struct {
    float learning_rate, beta1, beta2, epsilon;
    float max_norm;      /* gradients are scaled down to this global norm; 0: no clipping */
    float average_decay; /* of the weight average */
    uint32_t step;       /* steps done; the operation adds one */
    uint32_t skipped; /* steps left out because the gradient norm was not finite; the operation adds to it */
    float gradient_norm; /* written: global norm before clipping */
    float scale;         /* written: what gradients were multiplied with; 0 when skipped */
    uint32_t stop;       /* not 0: after a step that is left out all others are, too */
    float reserved;
} jl_adam_state;

/* ---- elementwise ---- */
typedef enum {
    JL_IDENTITY = 0,
    JL_RELU = 1,
    JL_TANH = 2,
    JL_SIGMOID = 3,
    JL_SOFTPLUS = 4,
    JL_ELU = 5,
    JL_SILU = 6,
    JL_GELU = 7
} jl_activation;

/* ---- embedding ---- */
typedef struct {
    int64_t count; /* codes */
    int64_t rows;  /* of the table */
    int64_t dims;  /* values a row */
} jl_embedding;

/* ---- resample ---- */
typedef struct {
    int64_t images, height, width, channels; /* of the small image */
    int64_t factor_y, factor_x;              /* >= 1 */
} jl_upsample;

/* ---- norm ---- */
typedef struct {
    int64_t outer; /* x is [outer, spatial, groups, channels], normalized over spatial and channels; */
    int64_t spatial;
    int64_t groups; /* for layer, group, instance and batch normalization by it see norm.h */
    int64_t channels;
    float epsilon;  /* added to the variance; > 0 */
    float momentum; /* of the running statistics: the new batch's part, in [0, 1] */
} jl_norm;

/* ---- vector_quantize ---- */
typedef struct {
    int64_t rows;   /* N */
    int64_t heads;  /* H, parts of a row with codebooks of their own; mostly 1 */
    int64_t stages; /* S, codebooks of a head: each quantizes what those before left over; mostly 1 */
    int64_t codes;  /* K, entries of a codebook */
    int64_t dims;   /* D, values of a head and of an entry */
    int32_t type;   /* jl_dtype of x, q and their gradients */
    int32_t rotate; /* backward: 1: the rotation trick, 0: straight through */
} jl_vector_quantize;

typedef struct {
    float decay;      /* of the moving averages, in [0, 1) */
    float epsilon;    /* of the Laplace smoothing, in rows; >= 0 */
    float revive;     /* entries with less than this part of the mean count begin anew; 0: none */
    uint32_t step;    /* steps done; the operation adds one */
    uint32_t revived; /* entries that began anew; the operation adds to it */
    uint32_t reserved;
} jl_vector_quantize_ema;

/* ---- finite_scalar_quantize ---- */
typedef struct {
    int64_t rows;
    int64_t dims;       /* values a row, in [1, 30] */
    int32_t levels[30]; /* of each: at least 2, their product below 2^31; past dims: ignored */
} jl_finite_scalar_quantize;

/* ---- lookup_free_quantize ---- */
typedef struct {
    int64_t rows;
    int64_t dims;      /* bits a code, in [1, 30] */
    float temperature; /* of the soft assignment whose entropy is taken; > 0 */
    float reserved;
} jl_lookup_free_quantize;

/* ---- masked_conv ---- */
/* Which pixels are seen; see masked_conv.h. */
typedef enum {
    JL_RASTER_A = 0,
    JL_RASTER_B = 1,
    JL_VERTICAL_A = 2,
    JL_VERTICAL_B = 3,
    JL_HORIZONTAL_A = 4,
    JL_HORIZONTAL_B = 5
} jl_taps;

/* a, max(a, 0), or one half's tanh (a gate), or that half itself (a gated linear unit), times sigmoid of the other. */
typedef enum { JL_PLAIN = 0, JL_RECTIFIED = 1, JL_GATE = 2, JL_GLU = 3 } jl_epilogue;

typedef struct {
    int64_t batch, height, width, channels;
    int64_t filters;  /* a gate's: two for each channel of the output */
    int64_t kernel;   /* k, odd */
    int64_t groups;   /* of channels, and of outputs, in their order; 1: none */
    int32_t taps;     /* jl_taps */
    int32_t epilogue; /* jl_epilogue */
    int32_t factors;  /* jl_dtype: what x, d_a and weight are rounded to before they are multiplied */
} jl_masked_conv;

/* ---- pool ---- */
/* Windows over x [batch, height, width, channels]; y is [batch, out_height, out_width, channels] with
 *     out_height = (height + pad_top + pad_bottom - kernel_height) / stride_y + 1
 * Padding is left out of both the maximum and the average, and less than the window. No extent is 0 but batch,
 * which may be. */
typedef struct {
    int64_t batch, height, width, channels;
    int64_t kernel_height, kernel_width;
    int64_t stride_y, stride_x;
    int64_t pad_top, pad_left, pad_bottom, pad_right;
    int64_t average; /* 0: maximum */
} jl_pool;

/* ---- pad ---- */
typedef struct {
    int64_t images, height, width, channels; /* of x */
    int64_t top, left, bottom, right;        /* zeros around it; negative: so much of it is cut off */
    int64_t dtype;                           /* jl_dtype of x and y */
} jl_pad;

/* ---- causal_attention ---- */
typedef struct {
    int64_t batch;
    int64_t positions; /* n, in their order */
    int64_t heads;
    int64_t dims; /* of a head's query, key and value; from 1 to 128 */
} jl_causal_attention;

/* ---- lstm_cell ---- */
typedef struct {
    int64_t batch, height, width, channels; /* of h and c; gates and their sums have four values for each */
    int64_t row;                            /* which of the height's is computed */
} jl_lstm_cell;

/* ---- pixel_sampler ---- */
/* What a node's map [batch, height, width, channels] is; see pixel_sampler.h. */
typedef enum {
    JL_NODE_PIXELS = 0,      /* scale level + offset */
    JL_NODE_EMBEDDING = 1,   /* rows of `data` [levels, channels / channels of the image] */
    JL_NODE_GIVEN = 2,       /* `data` [batch, height, width, channels] */
    JL_NODE_MASKED_CONV = 3, /* of `input`, with the map `other` added to the sums */
    JL_NODE_ADD = 4,         /* input + other */
    JL_NODE_ACTIVATION = 5,  /* function(input) */
    JL_NODE_SUBSAMPLE = 6,   /* every second pixel of both sides of input: half the height and width */
    JL_NODE_UPSAMPLE = 7,    /* every pixel of input four times: twice the height and width */
    JL_NODE_CONCAT_ELU = 8,  /* elu(input), elu(-input): twice the channels */
    JL_NODE_ATTENTION = 9,   /* of `input`, in `groups` heads; see causal_attention.h */
    JL_NODE_LSTM_CELL = 10,  /* c of lstm_cell.h: of `input`, the sums of its gates, and its own row above */
    JL_NODE_LSTM_HIDDEN = 11 /* h: of `input`, the same sums, and `other`, c */
} jl_node_kind;

typedef struct {
    int32_t kind;     /* jl_node_kind */
    int32_t input;    /* number of an earlier node; of a masked_conv of JL_VERTICAL_A of any */
    int32_t other;    /* number of an earlier node; of a masked_conv also -1: none */
    int32_t function; /* masked_conv: jl_epilogue; activation: jl_activation */
    int32_t taps;     /* masked_conv: jl_taps, with kernel and groups as in jl_masked_conv */
    int32_t groups;   /* attention: heads */
    int64_t kernel;
    int64_t channels;    /* of the map; a gate has two filters for each */
    const float* data;   /* masked_conv: the weight */
    const float* bias;   /* masked_conv: [filters], or null */
    const float* vector; /* masked_conv: [batch, filters], or null */
    float scale, offset;
} jl_sampler_node;

typedef struct {
    int64_t batch, height, width, channels; /* of the images */
    int64_t first_image;                    /* the first one's number, for noise */
    int32_t levels;                         /* a channel's values are 0 to levels - 1 */
    int32_t groups;       /* of channels, drawn one after the other; 1: a pixel's channels together */
    int32_t distribution; /* JL_BERNOULLI, JL_CATEGORICAL or JL_LOGISTIC_MIXTURE */
    int32_t top_k;        /* categorical: only the likeliest so many levels are drawn; 0: all */
    float temperature;    /* > 0 */
    uint32_t site;        /* which random draw of the model this is */
} jl_pixel_sampler;

/* A table of launchers. Grows only at its end: check struct_size before using an entry newer than your
 * header's floor. */
typedef struct {
    uint32_t abi_version;
    uint32_t struct_size;
    const char* name; /* "cpu-amx", "cpu-avx512", "cpu-avx2", "cpu-baseline", "emulated", "cuda" */
    const char* (*last_error)(void); /* text for this thread's last status that was not JL_OK */

    /* random.h */
    jl_status (*random_bits)(uint32_t* out, int64_t count, const jl_random* random, uint32_t site,
                             jl_stream stream);
    jl_status (*random_normal)(float* out, int64_t count, const jl_random* random, uint32_t site,
                               jl_stream stream);
    jl_status (*random_advance)(jl_random* random, jl_stream stream);

    /* gaussian.h */
    size_t (*gaussian_workspace)(const jl_gaussian* shape);
    jl_status (*gaussian_forward)(const jl_gaussian* shape, const float* mu, const float* log_var,
                                  const float* noise, const jl_random* random, const float* kl_weight,
                                  float* z, float* kl_rows, float* kl_total, float* log_q, float* log_p,
                                  float* kl_live, jl_workspace workspace, jl_stream stream);
    jl_status (*gaussian_backward)(const jl_gaussian* shape, const float* mu, const float* log_var,
                                   const float* noise, const jl_random* random, const float* kl_weight,
                                   const float* kl_live, const float* d_z, const float* d_kl_rows,
                                   const float* d_kl_total, const float* d_log_q, const float* d_log_p,
                                   float* d_mu, float* d_log_var, jl_stream stream);

    /* likelihood.h */
    size_t (*likelihood_workspace)(const jl_likelihood* shape);
    jl_status (*likelihood)(const jl_likelihood* shape, const float* parameters, const float* x,
                            const float* row_weight, const float* weight, float* nll_rows, float* nll_total,
                            float* d_parameters, jl_workspace workspace, jl_stream stream);

    /* adam.h */
    size_t (*adam_workspace)(int32_t tensor_count);
    jl_status (*adam_step)(const jl_adam_tensor* tensors, int32_t tensor_count, jl_adam_state* state,
                           jl_workspace workspace, jl_stream stream);

    /* elementwise.h */
    jl_status (*activation_forward)(int32_t activation, const float* x, float* y, int64_t count,
                                    jl_stream stream);
    jl_status (*activation_backward)(int32_t activation, const float* saved, const float* dy, float* dx,
                                     int64_t count, jl_stream stream);
    jl_status (*add)(const float* a, const float* b, float* out, int64_t count, jl_stream stream);
    jl_status (*scale)(const float* x, const float* factor, float* out, int64_t count, jl_stream stream);
    jl_status (*fill)(float* out, float value, int64_t count, jl_stream stream);
    size_t (*sum_axis_workspace)(int64_t outer, int64_t n, int64_t inner);
    jl_status (*sum_axis)(const float* x, float* out, int64_t outer, int64_t n, int64_t inner,
                          jl_workspace workspace, jl_stream stream);
    jl_status (*multiply)(const float* a, const float* b, float* out, int64_t count, jl_stream stream);
    jl_status (*to_bf16)(const float* x, uint16_t* out, int64_t count, jl_stream stream);
    jl_status (*from_bf16)(const uint16_t* x, float* out, int64_t count, jl_stream stream);
    jl_status (*copy_blocks)(const float* x, int64_t x_stride, float* out, int64_t out_stride, int64_t rows,
                             int64_t columns, jl_stream stream);

    /* dropout.h */
    jl_status (*dropout)(const float* x, float* y, int64_t count, const jl_random* random, uint32_t site,
                         float drop, float scale, jl_stream stream);

    /* softmax.h */
    jl_status (*softmax_forward)(int32_t log, const float* x, float* y, int64_t rows, int64_t columns,
                                 jl_stream stream);
    jl_status (*softmax_backward)(int32_t log, const float* y, const float* dy, float* dx, int64_t rows,
                                  int64_t columns, jl_stream stream);

    /* resample.h */
    jl_status (*upsample_forward)(const jl_upsample* shape, const float* x, float* y, jl_stream stream);
    jl_status (*upsample_backward)(const jl_upsample* shape, const float* dy, float* dx, jl_stream stream);

    /* embedding.h */
    jl_status (*embedding_forward)(const jl_embedding* shape, const float* table, const int32_t* codes,
                                   float* out, uint32_t* out_of_range, jl_stream stream);
    size_t (*embedding_workspace)(const jl_embedding* shape);
    jl_status (*embedding_backward)(const jl_embedding* shape, const int32_t* codes, const float* dy,
                                    float* d_table, jl_workspace workspace, jl_stream stream);

    /* norm.h */
    size_t (*norm_workspace)(const jl_norm* shape);
    jl_status (*norm_forward)(const jl_norm* shape, const float* x, const float* gamma, const float* beta,
                              float* y, float* statistics, float* running_mean, float* running_variance,
                              jl_workspace workspace, jl_stream stream);
    jl_status (*norm_inference)(const jl_norm* shape, const float* x, const float* gamma, const float* beta,
                                const float* mean, const float* variance, float* y, jl_stream stream);
    jl_status (*norm_backward)(const jl_norm* shape, const float* x, const float* gamma,
                               const float* statistics, const float* dy, float* dx, float* d_gamma,
                               float* d_beta, jl_workspace workspace, jl_stream stream);

    /* vector_quantize.h */
    size_t (*vector_quantize_workspace)(const jl_vector_quantize* shape);
    jl_status (*vector_quantize_forward)(const jl_vector_quantize* shape, const void* x,
                                         const float* codebook, const float* row_mask, const float* beta,
                                         int32_t* codes, void* q, float* row_errors, float* codebook_loss,
                                         float* commitment, int32_t* histogram, int32_t* valid,
                                         uint32_t* invalid, jl_workspace workspace, jl_stream stream);
    jl_status (*vector_quantize_backward)(const jl_vector_quantize* shape, const void* x,
                                          const float* codebook, const int32_t* codes, const int32_t* valid,
                                          const float* beta, const void* d_q, const float* d_codebook_loss,
                                          const float* d_commitment, void* d_x, float* d_codebook,
                                          jl_workspace workspace, jl_stream stream);
    jl_status (*vector_quantize_ema)(const jl_vector_quantize* shape, const void* x, const int32_t* codes,
                                     jl_vector_quantize_ema* state, const jl_random* random, uint32_t site,
                                     float* counts, float* sums, float* codebook, jl_workspace workspace,
                                     jl_stream stream);
    jl_status (*vector_quantize_usage)(int64_t books, int64_t codes, const int32_t* histogram, int32_t* seen,
                                       float* statistics, jl_stream stream);

    /* finite_scalar_quantize.h */
    jl_status (*finite_scalar_quantize_forward)(const jl_finite_scalar_quantize* shape, const float* x,
                                                int32_t* codes, float* q, jl_stream stream);
    jl_status (*finite_scalar_quantize_backward)(const jl_finite_scalar_quantize* shape, const float* x,
                                                 const float* d_q, float* d_x, jl_stream stream);
    jl_status (*finite_scalar_quantize_decode)(const jl_finite_scalar_quantize* shape, const int32_t* codes,
                                               float* q, jl_stream stream);

    /* lookup_free_quantize.h */
    size_t (*lookup_free_quantize_workspace)(const jl_lookup_free_quantize* shape);
    jl_status (*lookup_free_quantize_forward)(const jl_lookup_free_quantize* shape, const float* x,
                                              const float* beta, const float* gamma, int32_t* codes, float* q,
                                              float* commitment, float* penalty, float* entropies,
                                              float* bit_log_odds, jl_workspace workspace, jl_stream stream);
    jl_status (*lookup_free_quantize_backward)(const jl_lookup_free_quantize* shape, const float* x,
                                               const float* bit_log_odds, const float* beta,
                                               const float* gamma, const float* d_q,
                                               const float* d_commitment, const float* d_penalty, float* d_x,
                                               jl_stream stream);
    jl_status (*lookup_free_quantize_decode)(const jl_lookup_free_quantize* shape, const int32_t* codes,
                                             float* q, jl_stream stream);

    /* l2_normalize.h */
    jl_status (*l2_normalize_forward)(const float* x, float* y, int64_t rows, int64_t dims, float epsilon,
                                      jl_stream stream);
    jl_status (*l2_normalize_backward)(const float* x, const float* dy, float* dx, int64_t rows, int64_t dims,
                                       float epsilon, jl_stream stream);

    /* vector_quantize.h */
    jl_status (*vector_quantize_histogram)(int64_t rows, int64_t books, int64_t codes, const int32_t* given,
                                           int32_t* histogram, jl_stream stream);

    /* masked_conv.h */
    size_t (*masked_conv_workspace)(const jl_masked_conv* shape);
    jl_status (*masked_conv_forward)(const jl_masked_conv* shape, const float* x, const float* weight,
                                     const float* bias, const float* vector, const float* map, float* out,
                                     float* gates, jl_workspace workspace, jl_stream stream);
    jl_status (*masked_conv_backward_gate)(const jl_masked_conv* shape, const float* gates,
                                           const float* d_out, float* d_a, jl_stream stream);
    jl_status (*masked_conv_backward_data)(const jl_masked_conv* shape, const float* d_a, const float* weight,
                                           float* d_x, jl_workspace workspace, jl_stream stream);
    jl_status (*masked_conv_backward_weight)(const jl_masked_conv* shape, const float* x, const float* d_a,
                                             float* d_weight, float* d_bias, jl_workspace workspace,
                                             jl_stream stream);

    /* elementwise.h */
    jl_status (*bias_activation)(int32_t activation, int32_t x_dtype, const void* x, const float* bias,
                                 int32_t y_dtype, void* y, int64_t rows, int64_t columns, jl_stream stream);

    /* pool.h */
    jl_status (*pool_forward)(const jl_pool* shape, const float* x, float* y, int32_t* winners,
                              jl_stream stream);
    jl_status (*pool_backward)(const jl_pool* shape, const float* dy, const int32_t* winners, float* dx,
                               jl_stream stream);

    /* pad.h */
    jl_status (*pad)(const jl_pad* shape, const void* x, void* y, jl_stream stream);

    /* likelihood_levels.h */
    size_t (*likelihood_levels_workspace)(const jl_likelihood_levels* shape);
    jl_status (*likelihood_levels)(const jl_likelihood_levels* shape, const float* parameters,
                                   const int32_t* x, const float* row_weight, const float* weight,
                                   float* nll_rows, float* nll_total, float* d_parameters,
                                   jl_workspace workspace, jl_stream stream);
    jl_status (*likelihood_draw)(const jl_likelihood_levels* shape, const float* parameters,
                                 const jl_random* random, uint32_t site, float temperature, int32_t top_k,
                                 int32_t* x, jl_stream stream);
    jl_status (*levels_of_values)(const float* values, int64_t count, int32_t levels, int32_t* x,
                                  jl_stream stream);

    /* pixel_sampler.h */
    size_t (*pixel_sampler_workspace)(const jl_pixel_sampler* shape, const jl_sampler_node* nodes,
                                      int32_t node_count);
    jl_status (*pixel_sampler)(const jl_pixel_sampler* shape, const jl_sampler_node* nodes,
                               int32_t node_count, const int32_t* given, const jl_random* random,
                               int32_t* image, float* parameters, float* margins, jl_workspace workspace,
                               jl_stream stream);

    /* concat_elu.h */
    jl_status (*concat_elu_forward)(const float* x, float* y, int64_t rows, int64_t channels,
                                    jl_stream stream);
    jl_status (*concat_elu_backward)(const float* x, const float* dy, float* dx, int64_t rows,
                                     int64_t channels, jl_stream stream);
    /* causal_attention.h */
    jl_status (*causal_attention_forward)(const jl_causal_attention* shape, const float* qkv, float* out,
                                          float* log_sums, jl_stream stream);
    jl_status (*causal_attention_backward)(const jl_causal_attention* shape, const float* qkv,
                                           const float* out, const float* log_sums, const float* d_out,
                                           float* d_qkv, jl_stream stream);
    /* lstm_cell.h */
    jl_status (*lstm_cell_forward)(const jl_lstm_cell* shape, const float* sums, const float* above,
                                   float* gates, float* c, float* h, float* row, jl_stream stream);
    jl_status (*lstm_cell_backward)(const jl_lstm_cell* shape, const float* gates, const float* c,
                                    const float* d_h, const float* d_below, float* d_c, float* d_sums,
                                    float* d_row, jl_stream stream);
} jl_kernels;

/* The table, or null when this machine can't run it (why: jl_open_error()). Never unloads, never fails twice
 * differently. */
const jl_kernels* jl_open_kernels(void);
const char* jl_open_error(void);

#ifdef __cplusplus
}
#endif
#endif
