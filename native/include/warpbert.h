/*
 * The contract between Java and the kernels: every op of WarpBERT, once.
 *
 * Three libraries implement it (libwarpbert_cpu, libwarpbert_cuda, libwarpbert_simt), each exporting nothing but
 * wb_backend(), which returns a table of the functions below. The dispatcher (native/jni) implements the same
 * functions by checking their arguments and forwarding to the table of the context's backend. GEMMs are not here:
 * native/jni/product.cpp or OpenBLAS computes them on the CPU, cuBLASLt on a GPU.
 *
 * Conventions
 *   - Every function returns a wb_status; the text for the last failure on this thread is wb_last_error().
 *   - Outputs come first, then inputs, then sizes. `=` after an output: it is written, whatever it held.
 *     `+=`: it is added to. Ops may be asynchronous on the context's stream; wb_download and wb_synchronize wait.
 *   - Shapes are row-major. T tokens of a packed batch, B sequences, H hidden size, A heads, D head size, V
 *     vocabulary, P positions, S segments, N rows, C columns. Sequence b is rows cu_seqlens[b] .. cu_seqlens[b+1]-1.
 *   - `dtype` is the type of every `void*` tensor of a call. The CPU backend computes in WB_F32 only.
 *     Parameters of element-wise ops (bias, gamma, beta, embedding tables), statistics, losses and all gradients of
 *     parameters are float32 in every precision.
 *   - All pointers but those of wb_upload's source, the downloads' destination and wb_alloc_host are addresses in the
 *     backend's memory. `nullable` pointers may be NULL. Two arguments may be the same buffer only where it says so.
 *   - Determinism: the same inputs, sizes and device give the same bits. No op adds floats atomically.
 *
 * Dropout. `dropout` is the probability p of zeroing, 0 <= p < 1, taken to the nearest 65,536th q = round(65536 p), 65,535
 * at most; survivors are scaled by 65536 / (65536 - q). The mask is Philox4x32-7 (Salmon et al., SC 2011, section 3.3;
 * Random123's constants): key = rng[0] (seed), counter = {block (low 32 bits), block (high), rng[1] (step, low 32 bits),
 * site}. A block gives eight numbers of 16 bits: number n is the lower half of word n/2 for an even n, else its upper half.
 * An element is zeroed when its number is below q. Element e is number e%8 of block e/8, with
 * e = dropout_rows[t] * columns + column, so that a sequence draws the same mask however its batch is split (attention has
 * an order of its own, by tiles); `dropout_rows` NULL means row t itself. `rng` is int64[2] in the backend's memory (a
 * captured graph reads the step from there). `site` numbers the dropout's place in the model. With p = 0, rng and
 * dropout_rows are not read.
 */
#ifndef WARPBERT_H
#define WARPBERT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WB_ABI 12           /* raised on every change of this file; a backend of another number is refused */
#define WB_REDUCE_BLOCKS 256 /* rows of partial sums that a two-stage reduction may use; sizes the workspaces below */

typedef enum wb_status {
  WB_OK = 0,
  WB_INVALID_ARGUMENT = 1,
  WB_OUT_OF_MEMORY = 2,
  WB_UNSUPPORTED = 3,   /* this backend has no such type, size or device feature */
  WB_LOAD_FAILED = 4,   /* the library, the driver or the device is missing or too old */
  WB_DEVICE_ERROR = 5   /* a launch or copy failed; the context may be unusable afterwards */
} wb_status;

typedef enum wb_dtype { WB_F32 = 0, WB_F16 = 1, WB_BF16 = 2 } wb_dtype;

typedef enum wb_activation {
  WB_IDENTITY = 0,
  WB_GELU = 1,       /* x * Phi(x), by erf */
  WB_GELU_TANH = 2,  /* Hendrycks & Gimpel 2016, tanh approximation; Hugging Face's gelu_new */
  WB_RELU = 3,
  WB_TANH = 4
} wb_activation;

struct wb_ops;
/* Backends extend this; the first member is their table, filled by wb_create. */
typedef struct wb_context {
  const struct wb_ops* ops;
  int32_t capturing;  /* the dispatcher's: whether a graph is being captured */
} wb_context;

/* ---------------------------------------------------------------- context and memory */

/* Opens device number `device` with `threads` host threads (0: as many as there are cores; the CPU alone has any). */
wb_status wb_create(wb_context** ctx, int32_t device, int32_t threads);
wb_status wb_destroy(wb_context* ctx);

/* One line of text: device, instruction set or architecture, threads. */
wb_status wb_describe(wb_context* ctx, char* text, int64_t capacity);

/* Bytes free and in all on the device (CPU: of the machine, the container's limit respected). */
wb_status wb_memory_info(wb_context* ctx, int64_t* free_bytes, int64_t* total_bytes);

/* 256-byte aligned, contents undefined. WB_OUT_OF_MEMORY leaves *address NULL and the context usable. */
wb_status wb_alloc(wb_context* ctx, void** address, int64_t bytes);
wb_status wb_free(wb_context* ctx, void* address);

/* Host memory that a device reads and writes without a detour (page-locked; on cpu and simt it is plain), 256-byte
 * aligned, contents undefined. Counted against the host, not the device. Freeing waits for copies from it and to it. */
wb_status wb_alloc_host(wb_context* ctx, void** address, int64_t bytes);
wb_status wb_free_host(wb_context* ctx, void* address);

/* The source may be written again when this returns; but memory of wb_alloc_host only when the next wb_upload from such
 * memory, or wb_download or wb_synchronize, has returned: the copy waits for its turn on the stream, and one such copy
 * at most is under way when the next is asked for. Two buffers in turn are therefore enough, and the host runs at most
 * one of them ahead of the device. */
wb_status wb_upload(wb_context* ctx, void* destination, const void* host_source, int64_t bytes);
wb_status wb_download(wb_context* ctx, void* host_destination, const void* source, int64_t bytes);
wb_status wb_copy(wb_context* ctx, void* destination, const void* source, int64_t bytes);
wb_status wb_zero(wb_context* ctx, void* destination, int64_t bytes);
wb_status wb_synchronize(wb_context* ctx);

/* wb_download into memory of wb_alloc_host that may return before the bytes are there. They are when a wb_event recorded
 * after it was waited for, or wb_download or wb_synchronize has returned; until then nothing may be read there. */
wb_status wb_download_async(wb_context* ctx, void* host_destination, const void* source, int64_t bytes);

/* A place in the stream of work that the host can wait for (a cudaEvent_t); NULL where ops have run when they return.
 * Recorded again it is the new place; one that was never recorded is not waited for. `timed`: whether wb_event_elapsed may
 * be asked of it, which costs a little at every record. */
typedef struct wb_event wb_event;
wb_status wb_event_create(wb_context* ctx, wb_event** event, int32_t timed);
wb_status wb_event_destroy(wb_context* ctx, wb_event* event);
wb_status wb_event_record(wb_context* ctx, wb_event* event);
wb_status wb_event_wait(wb_context* ctx, wb_event* event);
/* Waits for `end`; seconds by the device's clock from one place to the other, both recorded and timed. Backends whose ops
 * have run when they return: WB_UNSUPPORTED. */
wb_status wb_event_elapsed(wb_context* ctx, double* seconds, wb_event* begin, wb_event* end);

/* The stream that ops are queued on (a cudaStream_t), for a library that queues its work between them, and whose
 * device this makes the calling thread's current one; NULL where ops have run when they return. */
wb_status wb_stream(wb_context* ctx, void** stream);

/* Calls function(argument, piece) once for each 0 <= piece < pieces on the context's host threads, the caller's among
 * them, and returns when all have returned. What multiplies matrices for a CPU backend runs on the ops' threads so:
 * two pools would compete for the cores. Backends without host threads: WB_UNSUPPORTED. */
wb_status wb_parallel(wb_context* ctx, void (*function)(const void* argument, int64_t piece), const void* argument,
    int64_t pieces);

/* Calls function with a copy of the `bytes` at `argument`, in its turn among the ops; its failure is the call's. What
 * multiplies matrices on the host is an op of the stream so, and part of a graph. Backends whose stream is not run by the
 * host: WB_UNSUPPORTED. */
wb_status wb_host_call(wb_context* ctx, wb_status (*function)(const void* argument), const void* argument, int64_t bytes);

/* ---------------------------------------------------------------- graphs */

/* What is asked of the stream between wb_capture_begin and wb_capture_end is not done but kept: ops, wb_copy, wb_zero, and
 * what a library queues on wb_stream. wb_graph_launch then queues all of it as one: the same ops on the same addresses with
 * the arguments that they had, so that whatever changes from launch to launch must be read from the backend's memory. All
 * else is refused in a capture: to allocate, free, upload, download, wait. Run the work once before: libraries load code at
 * its first use. Backends whose ops have run when they return: WB_UNSUPPORTED. */
typedef struct wb_graph wb_graph;
wb_status wb_capture_begin(wb_context* ctx);
/* The capture is over whatever this returns. `graph` NULL: what was kept is thrown away. */
wb_status wb_capture_end(wb_context* ctx, wb_graph** graph);
wb_status wb_graph_launch(wb_context* ctx, wb_graph* graph);
/* Waits for its launches. */
wb_status wb_graph_destroy(wb_context* ctx, wb_graph* graph);

/* ---------------------------------------------------------------- embeddings */

/* y = dropout(layernorm(word[tokens] + position[positions] + segment[segments])); columns of dropout: H. */
wb_status wb_embeddings_forward(wb_context* ctx, wb_dtype dtype,
    void* y,                    /* [T,H] = */
    float* mean, float* rstd,   /* [T] = , for the backward */
    const float* word,          /* [V,H] */
    const float* position,      /* [P,H] */
    const float* segment,       /* [S,H] */
    const float* gamma, const float* beta, /* [H] */
    const int32_t* tokens, const int32_t* positions, const int32_t* segments, /* [T] */
    float eps, float dropout, int32_t site, const int64_t* rng, const int32_t* dropout_rows,
    int64_t T, int64_t H, int64_t V, int64_t P, int64_t S);

/* word_order and position_order: the numbers 0..T-1 sorted stably by tokens[] and by positions[], so that all rows
 * of one table entry are summed by one owner, in a fixed order. */
wb_status wb_embeddings_backward(wb_context* ctx, wb_dtype dtype,
    float* dword, float* dposition, float* dsegment, /* [V,H] [P,H] [S,H] += */
    float* dgamma, float* dbeta,                     /* [H] += */
    uint8_t* touched,           /* [V], 1 = where a token is in the batch, the others are kept; nullable; see wb_zero_rows */
    float* workspace,           /* [T*H + 2*WB_REDUCE_BLOCKS*H] scratch */
    const void* dy,             /* [T,H] */
    const float* mean, const float* rstd, /* [T] */
    const float* word, const float* position, const float* segment, const float* gamma,
    const int32_t* tokens, const int32_t* positions, const int32_t* segments, /* [T] */
    const int32_t* word_order, const int32_t* position_order, /* [T] */
    float dropout, int32_t site, const int64_t* rng, const int32_t* dropout_rows,
    int64_t T, int64_t H, int64_t V, int64_t P, int64_t S);

/* ---------------------------------------------------------------- bias + activation */

/* y = activation(x + bias). y may be x. */
wb_status wb_bias_activation_forward(wb_context* ctx, wb_dtype dtype,
    void* y,                    /* [N,C] = */
    const void* x,              /* [N,C] */
    const float* bias,          /* [C], nullable */
    wb_activation activation, int64_t N, int64_t C);

/* dx = dy * activation'(x + bias); dbias += column sums of dx. dx may be dy. x is not read for WB_IDENTITY. */
wb_status wb_bias_activation_backward(wb_context* ctx, wb_dtype dtype,
    void* dx,                   /* [N,C] = */
    float* dbias,               /* [C] +=, nullable */
    float* workspace,           /* [WB_REDUCE_BLOCKS*C] scratch, nullable with dbias */
    const void* dy,             /* [N,C] */
    const void* x,              /* [N,C], nullable for WB_IDENTITY */
    const float* bias,          /* [C], nullable */
    wb_activation activation, int64_t N, int64_t C);

/* ---------------------------------------------------------------- bias + dropout + residual + LayerNorm */

/* z = dropout(x + bias) + residual;  y = (z - mean) * rstd * gamma + beta, row by row (Ba et al. 2016).
 * z may be x, and y may be x where z is NULL. Variance is the biased one; columns of dropout: H. */
wb_status wb_residual_layernorm_forward(wb_context* ctx, wb_dtype dtype,
    void* y,                    /* [T,H] = */
    void* z,                    /* [T,H] =, nullable (inference) */
    float* mean, float* rstd,   /* [T] =, nullable together with z */
    const void* x,              /* [T,H] */
    const float* bias,          /* [H], nullable */
    const void* residual,       /* [T,H], nullable */
    const float* gamma, const float* beta, /* [H] */
    float eps, float dropout, int32_t site, const int64_t* rng, const int32_t* dropout_rows,
    int64_t T, int64_t H);

/* dresidual = dz, the gradient of z; dx = dz through the dropout mask; dbias += column sums of dx. dx may be
 * dresidual where dropout is 0, and either may be dy. */
wb_status wb_residual_layernorm_backward(wb_context* ctx, wb_dtype dtype,
    void* dx,                   /* [T,H] = */
    void* dresidual,            /* [T,H] =, nullable */
    float* dbias,               /* [H] +=, nullable */
    float* dgamma, float* dbeta,/* [H] += */
    float* workspace,           /* [3*WB_REDUCE_BLOCKS*H] scratch */
    const void* dy,             /* [T,H] */
    const void* z,              /* [T,H] */
    const float* mean, const float* rstd, /* [T] */
    const float* gamma,         /* [H] */
    float dropout, int32_t site, const int64_t* rng, const int32_t* dropout_rows,
    int64_t T, int64_t H);

/* ---------------------------------------------------------------- attention */

/* out = dropout(softmax(scale * q k^T)) v for every sequence and head, scores never in memory (Dao 2023).
 * A query whose keys are all masked gives 0 and lse = -inf. scale > 0; sequences hold at most 65,536 tokens.
 * Dropout draws for tiles of 16 queries and 16 keys, so that what a lane of a warp has of a tile in mma.sync's layout is
 * one block. With i and j the query's and the key's index inside their sequence, whose rows are numbered from
 * row = dropout_rows[its first token]: a score is number 4 (i%16/8) + 2 (j%16/8) + j%2 of block
 * ((row + i/16*16) * A + head) * 131072 + j/16*32 + i%8*4 + j%8/2.
 * Of each sequence the first `queries` tokens ask (at least 1; max_seqlen: all do). Rows of out and lse that belong to others are left
 * alone; in the backward, where no use is made of them and of their rows of dout, dq of others is 0. */
wb_status wb_attention_forward(wb_context* ctx, wb_dtype dtype,
    void* out,                  /* [T,A*D] = */
    float* lse,                 /* [A,T] =, log-sum-exp of the scaled scores, nullable (inference) */
    const void* qkv,            /* [T,3,A,D] with biases added: row t is q of all heads, then k, then v */
    const int32_t* cu_seqlens,  /* [B+1] */
    const uint8_t* key_mask,    /* [T], 0: no query may look at this key; nullable */
    float scale, float dropout, int32_t site, const int64_t* rng, const int32_t* dropout_rows,
    int64_t T, int64_t B, int64_t A, int64_t D, int64_t max_seqlen, int64_t queries);

wb_status wb_attention_backward(wb_context* ctx, wb_dtype dtype,
    void* dqkv,                 /* [T,3,A,D] = */
    float* dbias,               /* [3,A,D] += column sums of dqkv, nullable */
    float* workspace,           /* [A*T] scratch: row sums of dout*out; with dbias [A*T + 3*WB_REDUCE_BLOCKS*A*D] */
    const void* dout,           /* [T,A*D] */
    const void* out,            /* [T,A*D] of the forward */
    const float* lse,           /* [A,T] */
    const void* qkv, const int32_t* cu_seqlens, const uint8_t* key_mask,
    float scale, float dropout, int32_t site, const int64_t* rng, const int32_t* dropout_rows,
    int64_t T, int64_t B, int64_t A, int64_t D, int64_t max_seqlen, int64_t queries);

/* ---------------------------------------------------------------- rows and dropout */

/* y[n] = x[rows[n]], or 0 where rows[n] is -1. */
wb_status wb_gather_rows_forward(wb_context* ctx, wb_dtype dtype,
    void* y,                    /* [N,H] = */
    const void* x,              /* [T,H] */
    const int32_t* rows,        /* [N], distinct but for -1 */
    int64_t N, int64_t T, int64_t H);

/* dx = 0, then dx[rows[n]] = dy[n], but where rows[n] is -1. */
wb_status wb_gather_rows_backward(wb_context* ctx, wb_dtype dtype,
    void* dx,                   /* [T,H] = */
    const void* dy,             /* [N,H] */
    const int32_t* rows,        /* [N], distinct but for -1 */
    int64_t N, int64_t T, int64_t H);

/* y = dropout(x); the backward is the same function of dy. y may be x. */
wb_status wb_dropout_forward(wb_context* ctx, wb_dtype dtype,
    void* y,                    /* [N,C] = */
    const void* x,              /* [N,C] */
    float dropout, int32_t site, const int64_t* rng, const int32_t* dropout_rows,
    int64_t N, int64_t C);
wb_status wb_dropout_backward(wb_context* ctx, wb_dtype dtype,
    void* dx,                   /* [N,C] = */
    const void* dy,             /* [N,C] */
    float dropout, int32_t site, const int64_t* rng, const int32_t* dropout_rows,
    int64_t N, int64_t C);

/* ---------------------------------------------------------------- losses */

/* Forward and gradient in one pass. With q = (1 - smoothing) * onehot(label) + smoothing / C, weights w (1 if NULL):
 *   loss[n]    = -sum_c w[c] * q[c] * log softmax(logits[n])[c]          (0 for an ignored row)
 *   dlogits[n] = gradient_scale * d loss[n] / d logits[n]                (0 for an ignored row)
 * The caller divides: gradient_scale is 1 / (the batch's normaliser), times the loss scale. dlogits may be logits.
 * A label outside [0,C) that is not ignore_label gives loss NaN and a NaN gradient row: it cannot pass unseen.
 * Rows are `stride` elements apart, C or more. What stands in logits behind a row's C columns is not looked at, and dlogits is 0
 * there: a vocabulary of no round size has rows of one, which products and 16-byte accesses want. */
wb_status wb_cross_entropy(wb_context* ctx, wb_dtype dtype,
    float* loss,                /* [N] = */
    void* dlogits,              /* [N,stride] =, nullable */
    const void* logits,         /* [N,stride] */
    const int32_t* labels,      /* [N] */
    const float* class_weights, /* [C], nullable */
    float smoothing, int32_t ignore_label, float gradient_scale, int64_t N, int64_t C, int64_t stride);

/* For regression, with p and t the elements of prediction and target:
 *   loss = (p - t)^2;  dprediction = gradient_scale * 2 (p - t)
 * An element whose target is NaN has no label: loss and gradient are 0, whatever the prediction. Elsewhere a NaN
 * prediction gives NaN. dprediction may be prediction. */
wb_status wb_mean_squared_error(wb_context* ctx, wb_dtype dtype,
    float* loss,                /* [N,C] =, the square of each element: the caller takes the mean */
    void* dprediction,          /* [N,C] =, nullable */
    const void* prediction,     /* [N,C] */
    const float* target,        /* [N,C], NaN: no label */
    float gradient_scale, int64_t N, int64_t C);

/* C independent yes-or-no questions a row. With x and t the elements of logits and target, w = class_weights[c] or 1:
 *   loss    = w * (max(x,0) - x t + log(1 + exp(-|x|))) = -w * (t log sigmoid(x) + (1-t) log sigmoid(-x))
 *   dlogits = gradient_scale * w * (sigmoid(x) - t)
 * An element whose target is NaN has no label: loss and gradient are 0, whatever the logit. A target outside [0,1] gives
 * NaN and NaN. A NaN logit gives NaN and NaN, an infinite one a loss that is not finite. dlogits may be logits. */
wb_status wb_binary_cross_entropy(wb_context* ctx, wb_dtype dtype,
    float* loss,                /* [N,C] = */
    void* dlogits,              /* [N,C] =, nullable */
    const void* logits,         /* [N,C] */
    const float* target,        /* [N,C] in [0,1], NaN: no label */
    const float* class_weights, /* [C], nullable */
    float gradient_scale, int64_t N, int64_t C);

/* Which row of its segment? For each segment b (rows cu_seqlens[b] .. cu_seqlens[b+1]-1 of the logits, L of them) and
 * column c, with x those rows' logits in column c:
 *   loss[b,c] = -log softmax(x)[labels[b,c]];  dlogits of x = gradient_scale * (softmax(x) - onehot(labels[b,c]))
 * With C = 2 over packed sequences it is the loss of a span's start and end, with C = 1 and segments of candidates that
 * of a multiple choice. Where the label is ignore_label, loss and the column's gradient in that segment are 0; where it
 * is another that is outside [0,L) they are NaN, so also in an empty segment. dlogits may be logits. */
wb_status wb_segment_cross_entropy(wb_context* ctx, wb_dtype dtype,
    float* loss,                /* [B,C] = */
    void* dlogits,              /* [T,C] =, nullable */
    const void* logits,         /* [T,C] */
    const int32_t* cu_seqlens,  /* [B+1], from 0 to T */
    const int32_t* labels,      /* [B,C], rows counted from the segment's first */
    int32_t ignore_label, float gradient_scale, int64_t T, int64_t B, int64_t C);

/* ---------------------------------------------------------------- optimizer */

/* Touched rows. A word that no batch has had yet has a row of zeros in the gradient of the word embeddings and in both moments.
 * `touched` has a byte for each row of that table, [R, width], the first of the flat buffers that these three ops work on:
 * 0 until wb_embeddings_backward meets the word, and never 0 again. A row of byte 0 costs them nothing, but for weight decay.
 * NULL: every row counts, and R and width say nothing. R is 0 or more, width 1 or more, R * width below 2^32 and, where rows
 * are told apart, at most n. */

/* x = 0 in the rows whose byte is not 0; the others are neither read nor written. */
wb_status wb_zero_rows(wb_context* ctx,
    float* x,                   /* [R,width] = */
    const uint8_t* touched,     /* [R] */
    int64_t R, int64_t width);

/* stats[0] = the l2 norm of gradient / loss_scale; stats[1] = the factor that AdamW multiplies gradients by:
 * min(1, max_norm / (stats[0] + 1e-6)) / loss_scale (max_norm <= 0: no clipping); stats[2] = 1, or 0 where a gradient
 * is not finite. Sums are exact enough for 2^31 elements (float64, or float32 in pairwise stages).
 * Rows that are not touched count as 0 and are not read: the same bits as of a gradient that is 0 there. */
wb_status wb_gradient_norm(wb_context* ctx,
    float* stats,               /* [3] = */
    float* workspace,           /* [2*WB_REDUCE_BLOCKS] scratch, 8-byte aligned */
    const float* gradient,      /* [n] */
    const uint8_t* touched,     /* [R], nullable */
    const float* loss_scale,    /* [1], nullable: 1 */
    float max_norm, int64_t n, int64_t R, int64_t width);

/* AdamW (Loshchilov & Hutter 2019, algorithm 2; PyTorch's order of operations), skipped as a whole where stats[2] is 0:
 *   g = gradient * stats[1];  p -= lr_k * decay_k * p;  m, v moving averages of g, g^2
 *   p -= lr_k * (m / c1) / (sqrt(v / c2) + eps)
 * hyper = {lr, c1 = 1 - beta1^t, c2 = 1 - beta2^t}. Elements ends[k-1] .. ends[k]-1 belong to segment k, with
 * lr_k = lr * lr_scale[k]; a segment of lr_scale 0 is frozen: nothing of it is read or written.
 * Of a row that is not touched neither gradient nor moments are read or written: with eps > 0, what the update of zeros comes
 * to, to the bit, is p -= lr_k * decay_k * p, and where lr_k * decay_k is 0 nothing; p's copy holds p then already.
 * m and v are kept in WB_F32 or WB_BF16, the update is of their values before they are kept. Of v's, beta2 = 0.999 changes
 * less than half a step of bfloat16 at a time: rounded to nearest it would stand still. So they are rounded up or down by
 * chance, in proportion (wb_round_by_chance of philox.h), element e by word e%4 of the Philox counter {e/4 (low 32 bits), e/4
 * (high), rng[1] (step), 0xffffffff} with key rng[0]: m by its low 16 bits, v by its high 16. The first element has number rng[2], a
 * multiple of 4: of a run of a larger buffer, its place there. */
wb_status wb_adamw(wb_context* ctx, wb_dtype copy_dtype, wb_dtype moment_dtype,
    float* parameter,           /* [n] updated */
    void* m, void* v,           /* [n] updated, in moment_dtype */
    void* parameter_copy,       /* [n] =, parameter in copy_dtype, nullable */
    const float* gradient,      /* [n] */
    const uint8_t* touched,     /* [R], nullable */
    const float* stats,         /* [3], of wb_gradient_norm */
    const float* hyper,         /* [3] */
    const int64_t* rng,         /* [3] = {seed, step, first}; not read, and nullable, where the moments are float32 */
    const int64_t* ends, const float* decay, const float* lr_scale, /* [K]; ends ascending, ends[K-1] = n */
    float beta1, float beta2, float eps, int64_t n, int64_t K,
    int64_t R, int64_t width);

/* y = x in another type, rounded to nearest even. y may be x where the types are equal. */
wb_status wb_cast(wb_context* ctx,
    void* y, wb_dtype y_dtype,  /* [n] = */
    const void* x, wb_dtype x_dtype, /* [n] */
    int64_t n);

/* ---------------------------------------------------------------- dispatch */

/* Every function a backend implements. */
#define WB_FUNCTIONS(F) \
  F(create) F(destroy) F(describe) F(memory_info) F(alloc) F(free) F(alloc_host) F(free_host) F(upload) F(download) \
  F(copy) F(zero) F(synchronize) F(download_async) F(event_create) F(event_destroy) F(event_record) F(event_wait) \
  F(event_elapsed) F(stream) F(parallel) F(host_call) F(capture_begin) F(capture_end) F(graph_launch) F(graph_destroy) \
  F(embeddings_forward) F(embeddings_backward) \
  F(bias_activation_forward) F(bias_activation_backward) \
  F(residual_layernorm_forward) F(residual_layernorm_backward) \
  F(attention_forward) F(attention_backward) \
  F(gather_rows_forward) F(gather_rows_backward) \
  F(dropout_forward) F(dropout_backward) \
  F(cross_entropy) F(mean_squared_error) F(binary_cross_entropy) F(segment_cross_entropy) \
  F(zero_rows) F(gradient_norm) F(adamw) F(cast)

#define WB_MEMBER(name) __typeof__(&wb_##name) name;
typedef struct wb_ops {
  int32_t abi;
  const char* backend;                /* "cpu", "cuda", "simt" */
  const char* (*last_error)(void);    /* of the calling thread, in this library */
  WB_FUNCTIONS(WB_MEMBER)
} wb_ops;
#undef WB_MEMBER

/* The one symbol that a backend library exports. */
__attribute__((visibility("default"))) const wb_ops* wb_backend(void);

/* Text for the last failure on this thread. */
const char* wb_last_error(void);

/* Dispatcher only: loads the backend library at `path` (an open one is reused) and creates a context on it. */
wb_status wb_open(wb_context** ctx, const char* path, int32_t device, int32_t threads);
wb_status wb_close(wb_context* ctx);

#ifdef __cplusplus
}
#endif
#endif
