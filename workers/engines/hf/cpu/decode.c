// A decode step in bfloat16: the next token of each of some conversations through all layers of a model, in one call.
//
// The layer is Llama's: RMS norm, attention with grouped heads and rotated positions, a gated MLP with swish; with or
// without biases of queries, keys and values (Qwen 2), norms of each head's queries and keys (Qwen 3), and a window
// (Mistral). What is rounded to bfloat16, and where, is as in transformers, but for sums inside of attention.
//
// Matrices are read where they lie for oneDNN, in blocks of 64 rows: [rows / 64][columns / 2][64][2], padded with zeros
// to whole blocks and to columns of a multiple of 32. One instruction then adds a pair of columns to 16 outputs. The
// output head is row-major, and gives float32. Each conversation's numbers are summed in the same order whatever stands
// beside it.

#include <immintrin.h>
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <string.h>

typedef uint16_t bfloat16;

enum {
    BLOCK = 64, VECTORS = BLOCK / 16,  // rows of a matrix that lie together
    TOGETHER = 4,                      // inputs that a part of a matrix is multiplied with while it is in registers
    KEYS = 64,                         // that are attended to at a time
    MOST_ROWS = 64, MOST_QUERIES = 16, WIDEST_HEAD = 256,  // see generation/decoder.py
};

typedef struct {
    const bfloat16 *weights, *bias;  // bias: (rows,) or NULL
    int64_t rows, columns;           // columns: as padded
} Matrix;

typedef struct {
    const bfloat16 *attention_norm, *mlp_norm, *query_norm, *key_norm;  // (width,), (width,); (head,) or NULL
    Matrix query, key, value, output, gate, up, down;
    int64_t window;  // tokens that a token sees, itself among them; 0: all
} Layer;

typedef struct {
    const Layer *layers;
    const bfloat16 *norm, *head;     // (width,); (vocabulary, width)
    const bfloat16 *cosine, *sine;   // (positions, rotated)
    int64_t depth, width, inner, vocabulary, heads, key_heads, head_width, rotated;
    float scale, epsilon, head_epsilon;
} Model;

typedef struct {
    bfloat16 *const *caches;     // of each layer its keys and its values, (key heads, room, head) each
    int64_t room, position;      // position: of this step's token, behind what the caches hold
} Line;

// Rows of the buffers have so many numbers as the matrix that reads them has columns; what pads them is 0.
typedef struct {
    bfloat16 *hidden, *normed, *projected, *attended, *inner;
} Buffers;

static inline __m512 widen(const bfloat16 *x) {
    __m256i bits = _mm256_loadu_si256((const __m256i *)x);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

static inline void narrow(bfloat16 *out, __m512 x) {
    _mm256_storeu_si256((__m256i *)out, (__m256i)_mm512_cvtneps_pbh(x));
}

static inline __m512 rounded(__m512 x) {
    bfloat16 bits[16];
    narrow(bits, x);
    return widen(bits);
}

static inline float wide(bfloat16 x) {
    uint32_t bits = (uint32_t)x << 16;
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static inline bfloat16 nearest(float x) {  // ties to even
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bfloat16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline __m512 exponential(__m512 x) {  // to 2e-7; 0 below -87
    x = _mm512_max_ps(x, _mm512_set1_ps(-104));
    __m512 whole = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0);
    __m512 rest = _mm512_fnmadd_ps(whole, _mm512_set1_ps(0.693359375f), x);
    rest = _mm512_fnmadd_ps(whole, _mm512_set1_ps(-2.12194440e-4f), rest);
    const float series[] = {1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
    __m512 sum = _mm512_setzero_ps();
    for (int n = 0; n < 8; n++) sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(series[n]));
    return _mm512_scalef_ps(sum, whole);
}

static inline __m512bh pairs_of(const void *x) { return (__m512bh)_mm512_loadu_si512(x); }

static inline float dot(const bfloat16 *a, const bfloat16 *b, int64_t count) {
    __m512 sum = _mm512_setzero_ps();
    for (int64_t n = 0; n < count; n += 32) {
        __mmask32 there = count - n >= 32 ? ~0u : (1u << (count - n)) - 1;
        __m512i left = _mm512_maskz_loadu_epi16(there, a + n), right = _mm512_maskz_loadu_epi16(there, b + n);
        sum = _mm512_dpbf16_ps(sum, (__m512bh)left, (__m512bh)right);
    }
    return _mm512_reduce_add_ps(sum);
}

// This thread's share of so many units.
static inline int64_t share(int64_t units, int thread, int threads) { return units * thread / threads; }

// ---- matrices ----

// `rows` inputs, a constant where this is inlined, by one block of a matrix: out is (rows, BLOCK).
static inline __attribute__((always_inline)) void tile(
    const int rows, const bfloat16 *weights, int64_t columns, const bfloat16 *x, float *out
) {
    __m512 sums[TOGETHER][VECTORS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < VECTORS; v++) sums[r][v] = _mm512_setzero_ps();
    for (int64_t column = 0; column < columns; column += 2, weights += 2 * BLOCK) {
        __m512bh outputs[VECTORS];
        for (int v = 0; v < VECTORS; v++) outputs[v] = pairs_of(weights + v * 32);
        for (int r = 0; r < rows; r++) {
            int32_t both;
            memcpy(&both, x + r * columns + column, sizeof both);
            for (int v = 0; v < VECTORS; v++)
                sums[r][v] = _mm512_dpbf16_ps(sums[r][v], (__m512bh)_mm512_set1_epi32(both), outputs[v]);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < VECTORS; v++) _mm512_storeu_ps(out + r * BLOCK + v * 16, sums[r][v]);
}

// Block `number` of a matrix by the rows of x, with its bias: out is (rows, BLOCK).
static void product(const Matrix *matrix, int64_t number, const bfloat16 *x, int64_t rows, float *out) {
    int64_t columns = matrix->columns, first = number * BLOCK, r = 0;
    const bfloat16 *weights = matrix->weights + first * columns;
    for (; r + 4 <= rows; r += 4) tile(4, weights, columns, x + r * columns, out + r * BLOCK);
    if (rows - r == 3) tile(3, weights, columns, x + r * columns, out + r * BLOCK);
    if (rows - r == 2) tile(2, weights, columns, x + r * columns, out + r * BLOCK);
    if (rows - r == 1) tile(1, weights, columns, x + r * columns, out + r * BLOCK);
    if (matrix->bias)
        for (r = 0; r < rows; r++)
            for (int64_t n = 0; n < BLOCK && first + n < matrix->rows; n++)
                out[r * BLOCK + n] += wide(matrix->bias[first + n]);
}

static inline int64_t blocks(const Matrix *matrix) { return (matrix->rows + BLOCK - 1) / BLOCK; }

static inline int64_t outputs(const Matrix *matrix, int64_t number) {  // of a block; the last may have fewer
    int64_t left = matrix->rows - number * BLOCK;
    return left < BLOCK ? left : BLOCK;
}

// One of a layer's projections: block `number` goes to columns from `first` on of `out`.
static void project(
    const Matrix *matrix, int64_t number, const bfloat16 *x, int64_t rows, bfloat16 *out, int64_t first, int64_t stride
) {
    float sums[MOST_ROWS * BLOCK];
    product(matrix, number, x, rows, sums);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t n = 0; n < outputs(matrix, number); n++)
            out[r * stride + first + number * BLOCK + n] = nearest(sums[r * BLOCK + n]);
}

// The same, added to what `out` holds.
static void add_projection(
    const Matrix *matrix, int64_t number, const bfloat16 *x, int64_t rows, bfloat16 *out, int64_t stride
) {
    float sums[MOST_ROWS * BLOCK];
    product(matrix, number, x, rows, sums);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t n = 0; n < outputs(matrix, number); n++) {
            bfloat16 *place = out + r * stride + number * BLOCK + n;
            *place = nearest(wide(*place) + wide(nearest(sums[r * BLOCK + n])));
        }
}

static void gated(
    const Layer *layer, int64_t number, const bfloat16 *x, int64_t rows, bfloat16 *out, int64_t stride
) {
    float opened[MOST_ROWS * BLOCK], sums[MOST_ROWS * BLOCK];
    product(&layer->gate, number, x, rows, opened);
    product(&layer->up, number, x, rows, sums);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t n = 0; n < outputs(&layer->gate, number); n += 16) {
            __m512 gate = _mm512_loadu_ps(opened + r * BLOCK + n);
            __m512 decay = exponential(_mm512_sub_ps(_mm512_setzero_ps(), gate));
            __m512 swish = rounded(_mm512_div_ps(gate, _mm512_add_ps(decay, _mm512_set1_ps(1))));
            __m512 up = _mm512_loadu_ps(sums + r * BLOCK + n);
            narrow(out + r * stride + number * BLOCK + n, _mm512_mul_ps(swish, up));
        }
}

// ---- norms, rotation, attention ----

static void rms_norm(const bfloat16 *x, const bfloat16 *weight, int64_t count, float epsilon, bfloat16 *out) {
    __m512 squares = _mm512_setzero_ps();
    for (int64_t n = 0; n < count; n += 16) squares = _mm512_fmadd_ps(widen(x + n), widen(x + n), squares);
    __m512 factor = _mm512_set1_ps(1 / sqrtf(_mm512_reduce_add_ps(squares) / count + epsilon));
    for (int64_t n = 0; n < count; n += 16)
        narrow(out + n, _mm512_mul_ps(widen(weight + n), rounded(_mm512_mul_ps(widen(x + n), factor))));
}

static void rotate(bfloat16 *head, const bfloat16 *cosine, const bfloat16 *sine, int64_t rotated) {
    int64_t half = rotated / 2;
    for (int64_t n = 0; n < half; n++) {
        float one = wide(head[n]), other = wide(head[n + half]);
        float first = wide(nearest(one * wide(cosine[n]))), second = wide(nearest(other * wide(cosine[n + half])));
        head[n] = nearest(first + wide(nearest(-other * wide(sine[n]))));
        head[n + half] = nearest(second + wide(nearest(one * wide(sine[n + half]))));
    }
}

// The weights of `count` keys' scores, which are replaced by them: what came before counts `*kept` times as much now.
static void soften(float *scores, int64_t count, float *best, float *total, float *kept) {
    float highest = *best;
    for (int64_t t = 0; t < count; t++) highest = scores[t] > highest ? scores[t] : highest;
    for (int64_t t = count; t < KEYS; t++) scores[t] = -INFINITY;
    *kept = expf(*best - highest);
    __m512 sum = _mm512_setzero_ps();
    for (int64_t t = 0; t < KEYS; t += 16) {
        __m512 score = _mm512_loadu_ps(scores + t);
        __mmask16 there = _mm512_cmp_ps_mask(score, _mm512_set1_ps(-INFINITY), _CMP_NEQ_OQ);
        __m512 weight = _mm512_maskz_mov_ps(there, exponential(_mm512_sub_ps(score, _mm512_set1_ps(highest))));
        _mm512_storeu_ps(scores + t, weight);
        sum = _mm512_add_ps(sum, weight);
    }
    *best = highest;
    *total = *total * *kept + _mm512_reduce_add_ps(sum);
}

// Attention of one token's queries that share the keys of head `number`; its own key and value join the cache.
static void attend(
    const Model *model, const Layer *layer, int64_t depth, const Line *line, int64_t number, bfloat16 *projected,
    bfloat16 *attended
) {
    int64_t width = model->head_width, together = model->heads / model->key_heads, at = line->position;
    bfloat16 *queries = projected + number * together * width;
    bfloat16 *key = projected + (model->heads + number) * width, *value = key + model->key_heads * width;
    const bfloat16 *cosine = model->cosine + at * model->rotated, *sine = model->sine + at * model->rotated;
    for (int64_t g = 0; g < together; g++) {
        bfloat16 *query = queries + g * width;
        if (layer->query_norm) rms_norm(query, layer->query_norm, width, model->head_epsilon, query);
        rotate(query, cosine, sine, model->rotated);
    }
    if (layer->key_norm) rms_norm(key, layer->key_norm, width, model->head_epsilon, key);
    rotate(key, cosine, sine, model->rotated);

    bfloat16 *keys = line->caches[2 * depth] + number * line->room * width;
    bfloat16 *values = line->caches[2 * depth + 1] + number * line->room * width;
    memcpy(keys + at * width, key, width * sizeof *key);
    memcpy(values + at * width, value, width * sizeof *value);

    float sums[MOST_QUERIES][WIDEST_HEAD] = {{0}}, best[MOST_QUERIES], total[MOST_QUERIES] = {0};
    for (int64_t g = 0; g < together; g++) best[g] = -INFINITY;
    for (int64_t t = layer->window && at >= layer->window ? at - layer->window + 1 : 0; t <= at; t += KEYS) {
        int64_t count = at + 1 - t < KEYS ? at + 1 - t : KEYS;
        float scores[MOST_QUERIES][KEYS];
        for (int64_t k = 0; k < count; k++)
            for (int64_t g = 0; g < together; g++)
                scores[g][k] = model->scale * dot(queries + g * width, keys + (t + k) * width, width);
        for (int64_t g = 0; g < together; g++) {
            float kept;
            soften(scores[g], count, &best[g], &total[g], &kept);
            for (int64_t n = 0; n < width; n += 16) {
                __m512 sum = _mm512_mul_ps(_mm512_loadu_ps(sums[g] + n), _mm512_set1_ps(kept));
                for (int64_t k = 0; k < count; k++)
                    sum = _mm512_fmadd_ps(_mm512_set1_ps(scores[g][k]), widen(values + (t + k) * width + n), sum);
                _mm512_storeu_ps(sums[g] + n, sum);
            }
        }
    }
    for (int64_t g = 0; g < together; g++)
        for (int64_t n = 0; n < width; n += 16)
            narrow(
                attended + (number * together + g) * width + n,
                _mm512_div_ps(_mm512_loadu_ps(sums[g] + n), _mm512_set1_ps(total[g]))
            );
}

// ---- the output head ----

// `rows` inputs, a constant where this is inlined, by four words of the vocabulary.
static inline __attribute__((always_inline)) void head_tile(
    const int rows, const bfloat16 *weights, int64_t width, const bfloat16 *x, int64_t stride, float *out,
    int64_t vocabulary
) {
    __m512 sums[TOGETHER][4];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < 4; v++) sums[r][v] = _mm512_setzero_ps();
    for (int64_t n = 0; n < width; n += 32) {
        __mmask32 there = width - n >= 32 ? ~0u : (1u << (width - n)) - 1;
        __m512bh words[4];
        for (int v = 0; v < 4; v++) words[v] = (__m512bh)_mm512_maskz_loadu_epi16(there, weights + v * width + n);
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < 4; v++)
                sums[r][v] = _mm512_dpbf16_ps(sums[r][v], pairs_of(x + r * stride + n), words[v]);
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < 4; v++) out[r * vocabulary + v] = _mm512_reduce_add_ps(sums[r][v]);
}

// Logits (rows, vocabulary) of the vocabulary's rows from `first` to before `last`.
static void head(
    const Model *model, int64_t first, int64_t last, const bfloat16 *x, int64_t rows, int64_t stride, float *logits
) {
    int64_t width = model->width, all = model->vocabulary, word = first;
    for (; word + 4 <= last; word += 4) {
        const bfloat16 *weights = model->head + word * width;
        float *out = logits + word;
        int64_t r = 0;
        for (; r + 4 <= rows; r += 4) head_tile(4, weights, width, x + r * stride, stride, out + r * all, all);
        if (rows - r == 3) head_tile(3, weights, width, x + r * stride, stride, out + r * all, all);
        if (rows - r == 2) head_tile(2, weights, width, x + r * stride, stride, out + r * all, all);
        if (rows - r == 1) head_tile(1, weights, width, x + r * stride, stride, out + r * all, all);
    }
    for (; word < last; word++)
        for (int64_t r = 0; r < rows; r++)
            logits[r * all + word] = dot(model->head + word * width, x + r * stride, width);
}

// ---- the step ----

// Put this step's tokens, whose embeddings `hidden` holds, through the model: logits (rows, vocabulary).
void decode_step(
    const Model *model, const Line *lines, int64_t rows, const Buffers *buffers, float *logits, int threads
) {
    const Layer *first = model->layers;  // all are of one shape
    int64_t width = first->query.columns, head_columns = first->output.columns, inner = first->down.columns;
    int64_t queries = model->heads * model->head_width, keys = model->key_heads * model->head_width;
    int64_t projected = queries + 2 * keys;
#pragma omp parallel num_threads(threads)
    {
        int thread = omp_get_thread_num(), all = omp_get_num_threads();
#define MINE(unit, units)                                                                           \
    for (int64_t unit = share(units, thread, all), end_##unit = share(units, thread + 1, all);      \
         unit < end_##unit; unit++)
        for (int64_t depth = 0; depth < model->depth; depth++) {
            const Layer *layer = model->layers + depth;
            MINE(r, rows)
                rms_norm(buffers->hidden + r * width, layer->attention_norm, model->width, model->epsilon,
                         buffers->normed + r * width);
#pragma omp barrier
            int64_t of_queries = blocks(&layer->query), of_keys = blocks(&layer->key);
            MINE(b, of_queries + 2 * of_keys) {
                if (b < of_queries)
                    project(&layer->query, b, buffers->normed, rows, buffers->projected, 0, projected);
                else if (b < of_queries + of_keys)
                    project(&layer->key, b - of_queries, buffers->normed, rows, buffers->projected, queries, projected);
                else
                    project(&layer->value, b - of_queries - of_keys, buffers->normed, rows, buffers->projected,
                            queries + keys, projected);
            }
#pragma omp barrier
            MINE(a, rows * model->key_heads) {
                int64_t r = a / model->key_heads;
                attend(model, layer, depth, lines + r, a % model->key_heads, buffers->projected + r * projected,
                       buffers->attended + r * head_columns);
            }
#pragma omp barrier
            MINE(o, blocks(&layer->output))
                add_projection(&layer->output, o, buffers->attended, rows, buffers->hidden, width);
#pragma omp barrier
            MINE(m, rows)
                rms_norm(buffers->hidden + m * width, layer->mlp_norm, model->width, model->epsilon,
                         buffers->normed + m * width);
#pragma omp barrier
            MINE(g, blocks(&layer->gate)) gated(layer, g, buffers->normed, rows, buffers->inner, inner);
#pragma omp barrier
            MINE(d, blocks(&layer->down))
                add_projection(&layer->down, d, buffers->inner, rows, buffers->hidden, width);
#pragma omp barrier
        }
        MINE(r, rows)
            rms_norm(buffers->hidden + r * width, model->norm, model->width, model->epsilon,
                     buffers->normed + r * width);
#pragma omp barrier
        head(model, share(model->vocabulary, thread, all), share(model->vocabulary, thread + 1, all), buffers->normed,
             rows, width, logits);
    }
}
