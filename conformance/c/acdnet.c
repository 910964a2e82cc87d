#include "acdnet.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "npy.h"

/* Deliberate mistakes, with which tests see that a wrong build is found out. */
#ifdef WRONG_EPSILON
static const double BATCH_EPSILON = 1e-3;
#else
static const double BATCH_EPSILON = 1e-5;
#endif
#ifdef WRONG_FLATTEN
#define FLAT(f, c, bins, channels) ((f) * (channels) + (c))
#else
#define FLAT(f, c, bins, channels) ((c) * (bins) + (f))
#endif
static const double GROUP_EPSILON = 1e-5;

enum {
    BLOCKS = 7,
    TAPS = 9,
    LANES = 16, /* output channels that are computed together */
    TILE = 4,   /* positions that are computed together; divides CHUNK */
    CHUNK = 64  /* positions that attention holds at a time */
};

/* A pointwise convolution or dense layer, and the PReLU behind it. */
typedef struct {
    size_t in, out;
    float *weight; /* (out / LANES, in, LANES), filled up with zeros */
    float *bias, *slope;
} Dense;

typedef struct {
    size_t channels;
    float *weight; /* (TAPS, channels) */
    float *bias, *slope;
} Depthwise;

typedef struct {
    size_t width; /* D */
    float *gamma, *beta;
    Dense query, key, value, out;
} Attention;

typedef struct {
    Depthwise depthwise;
    Dense pointwise;
    Attention attention; /* width 0: none */
} Block;

static const struct {
    size_t dilation, pool_time;
    bool attention;
} PLAN[BLOCKS] = {{2, 2, false}, {1, 2, true}, {2, 2, false}, {1, 1, true}, {2, 1, false}, {1, 1, true}, {2, 1, false}};

struct Acdnet {
    Dense stem;
    Block blocks[BLOCKS];
    Dense dense;
    void **owned; /* all parameters, to be freed */
    size_t n_owned;
    float *maps[2]; /* what goes in and what comes out of a layer */
    size_t room;    /* floats in each */
};

typedef struct {
    size_t rows, bins, channels;
} Shape;

/* ---- Loading ---- */

static size_t padded(size_t n)
{
    return (n + LANES - 1) / LANES * LANES;
}

/* Memory that lives as long as the network, or NULL. */
static float *keep(Acdnet *net, size_t count)
{
    void **owned = realloc(net->owned, (net->n_owned + 1) * sizeof *owned);
    if (!owned)
        return NULL;
    net->owned = owned;
    return owned[net->n_owned++] = calloc(count + 1, sizeof(float));
}

typedef struct {
    Acdnet *net;
    const char *folder;
    char *error;
} Loader;

/* The parameter LAYER.NAME.  Sizes that are 0 in shape are learnt from the file, the others must be so. */
static float *parameter(Loader *loader, const char *layer, const char *name, int axes, size_t *shape)
{
    char path[ACDNET_ERROR_SIZE];
    Array array;
    if (snprintf(path, sizeof path, "%s/%s%s.npy", loader->folder, layer, name) >= (int)sizeof path) {
        fail(loader->error, loader->folder, "is too long a path");
        return NULL;
    }
    if (!npy_read(path, &array, loader->error))
        return NULL;
    bool good = array.axes == axes && array.count > 0;
    for (int i = 0; good && i < axes; i++) {
        good = shape[i] == 0 || shape[i] == array.shape[i];
        shape[i] = array.shape[i];
    }
    float *values = good ? keep(loader->net, array.count) : NULL;
    for (size_t i = 0; values && i < array.count; i++)
        values[i] = (float)array.values[i];
    free(array.values);
    if (!good)
        fail(loader->error, path, "has a shape that does not fit the network");
    else if (!values)
        fail(loader->error, path, "does not fit into memory");
    return values;
}

static float *vector(Loader *loader, const char *layer, const char *name, size_t size)
{
    return parameter(loader, layer, name, 1, &size);
}

/* A convolution with the batch normalisation behind it folded in, and the slopes of its PReLU. */
static bool convolution(Loader *loader, const char *layer, int axes, size_t *shape, float **weight, float **bias,
                        float **slope)
{
    *weight = parameter(loader, layer, ".weight", axes, shape);
    if (!*weight)
        return false;
    size_t channels = shape[axes - 1], count = 1;
    for (int i = 0; i < axes; i++)
        count *= shape[i];
    const float *gamma, *beta, *mean, *var;
    if (!(*bias = vector(loader, layer, ".bias", channels)) ||
        !(gamma = vector(loader, layer, "_norm.gamma", channels)) ||
        !(beta = vector(loader, layer, "_norm.beta", channels)) ||
        !(mean = vector(loader, layer, "_norm.mean", channels)) ||
        !(var = vector(loader, layer, "_norm.var", channels)) ||
        !(*slope = vector(loader, layer, "_prelu.slope", channels)))
        return false;
    for (size_t i = 0; i < count; i++) {
        size_t c = i % channels;
        (*weight)[i] = (float)((*weight)[i] * (gamma[c] / sqrt(var[c] + BATCH_EPSILON)));
    }
    for (size_t c = 0; c < channels; c++)
        (*bias)[c] = (float)(((double)(*bias)[c] - mean[c]) * (gamma[c] / sqrt(var[c] + BATCH_EPSILON)) + beta[c]);
    return true;
}

/* Lay a weight (in, out) out for product(). */
static void pack(const float *weight, size_t in, size_t out, float *packed)
{
    for (size_t o = 0; o < padded(out); o++)
        for (size_t i = 0; i < in; i++)
            packed[(o / LANES * in + i) * LANES + o % LANES] = o < out ? weight[i * out + o] : 0;
}

/* slope NULL: linear */
static bool packed(Loader *loader, size_t in, size_t out, const float *weight, const float *bias, const float *slope,
                   Dense *dense)
{
    float *w = keep(loader->net, in * padded(out)), *b = keep(loader->net, padded(out));
    float *s = keep(loader->net, padded(out));
    if (!w || !b || !s)
        return fail(loader->error, loader->folder, "does not fit into memory");
    pack(weight, in, out, w);
    for (size_t o = 0; o < out; o++) {
        b[o] = bias[o];
        s[o] = slope ? slope[o] : 1;
    }
    *dense = (Dense){in, out, w, b, s};
    return true;
}

static bool linear(Loader *loader, const char *layer, size_t in, size_t *out, Dense *dense)
{
    size_t shape[2] = {in, *out};
    const float *weight = parameter(loader, layer, ".weight", 2, shape);
    const float *bias = weight ? vector(loader, layer, ".bias", *out = shape[1]) : NULL;
    return bias && packed(loader, in, *out, weight, bias, NULL, dense);
}

/* block1, ".pointwise" to "block1.pointwise" */
static const char *joined(char *name, size_t block, const char *rest)
{
    snprintf(name, 64, "block%zu%s", block + 1, rest);
    return name;
}

static bool load_attention(Loader *loader, size_t block, size_t channels, Attention *attention)
{
    char name[64];
    size_t *width = &attention->width;
    if (!(attention->gamma = vector(loader, joined(name, block, ".attention.norm"), ".gamma", channels)) ||
        !(attention->beta = vector(loader, name, ".beta", channels)) ||
        !linear(loader, joined(name, block, ".attention.query"), channels, width, &attention->query) ||
        !linear(loader, joined(name, block, ".attention.key"), channels, width, &attention->key) ||
        !linear(loader, joined(name, block, ".attention.value"), channels, width, &attention->value) ||
        !linear(loader, joined(name, block, ".attention.out"), *width, &channels, &attention->out))
        return false;
    return true;
}

static bool load_block(Loader *loader, size_t n, size_t channels)
{
    char name[64];
    float *weight, *bias, *slope;
    Block *block = &loader->net->blocks[n];
    Depthwise *depthwise = &block->depthwise;
    size_t shape[3] = {3, 3, channels}, matrix[2] = {channels, 0};
    depthwise->channels = channels;
    return convolution(loader, joined(name, n, ".depthwise"), 3, shape, &depthwise->weight, &depthwise->bias,
                       &depthwise->slope) &&
           convolution(loader, joined(name, n, ".pointwise"), 2, matrix, &weight, &bias, &slope) &&
           packed(loader, channels, matrix[1], weight, bias, slope, &block->pointwise) &&
           (!PLAN[n].attention || load_attention(loader, n, matrix[1], &block->attention));
}

static bool load(Loader *loader)
{
    Acdnet *net = loader->net;
    float *weight, *bias, *slope;
    size_t shape[4] = {3, 3, 2, 0}, classes = 0;
    if (!convolution(loader, "stem.conv", 4, shape, &weight, &bias, &slope) ||
        !packed(loader, 3 * 3 * 2, shape[3], weight, bias, slope, &net->stem))
        return false;
    size_t channels = net->stem.out;
    for (size_t n = 0; n < BLOCKS; n++) {
        if (!load_block(loader, n, channels))
            return false;
        channels = net->blocks[n].pointwise.out;
    }
    return linear(loader, "dense", 2 * channels, &classes, &net->dense);
}

Acdnet *acdnet_load(const char *folder, char error[ACDNET_ERROR_SIZE])
{
    Acdnet *net = calloc(1, sizeof *net);
    if (!net)
        fail(error, folder, "does not fit into memory");
    else if (!load(&(Loader){net, folder, error})) {
        acdnet_free(net);
        net = NULL;
    }
    return net;
}

void acdnet_free(Acdnet *net)
{
    if (!net)
        return;
    for (size_t i = 0; i < net->n_owned; i++)
        free(net->owned[i]);
    free(net->owned);
    free(net->maps[0]);
    free(net->maps[1]);
    free(net);
}

size_t acdnet_classes(const Acdnet *net)
{
    return net->dense.out;
}

/* ---- Layers: all inner loops run over channels, which lie side by side, so that compilers vectorise them ---- */

static inline float prelu(float x, float slope)
{
    float below = slope * x; /* always computed: no branch in loops */
    return x > 0 ? x : below;
}

/* sums[r][lane] = bias[lane] + sum_i x[r][i] weight[i][lane] for TILE rows.  Each has an array of its own: so
   compilers keep all sums in registers. */
static void tile(const float *const x[TILE], size_t in, const float *restrict weight, const float *bias,
                 float sums[restrict TILE][LANES])
{
    const float *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
    float sum0[LANES], sum1[LANES], sum2[LANES], sum3[LANES];
    for (size_t lane = 0; lane < LANES; lane++)
        sum0[lane] = sum1[lane] = sum2[lane] = sum3[lane] = bias[lane];
    for (size_t i = 0; i < in; i++) {
        float a = x0[i], b = x1[i], c = x2[i], d = x3[i];
        for (size_t lane = 0; lane < LANES; lane++) {
            float w = weight[i * LANES + lane];
            sum0[lane] += a * w;
            sum1[lane] += b * w;
            sum2[lane] += c * w;
            sum3[lane] += d * w;
        }
    }
    for (size_t lane = 0; lane < LANES; lane++) {
        sums[0][lane] = sum0[lane];
        sums[1][lane] = sum1[lane];
        sums[2][lane] = sum2[lane];
        sums[3][lane] = sum3[lane];
    }
}

/* y = prelu(x W + b) for rows of x */
static void product(const Dense *dense, const float *x, size_t rows, float *restrict y)
{
    float sums[TILE][LANES];
    const float *from[TILE];
    for (size_t first = 0; first < rows; first += TILE) {
        size_t count = rows - first < TILE ? rows - first : TILE;
        for (size_t r = 0; r < TILE; r++) /* where rows are missing the last one is computed again */
            from[r] = x + (first + (r < count ? r : count - 1)) * dense->in;
        for (size_t o = 0; o < dense->out; o += LANES) {
            const float *slope = dense->slope + o;
            size_t lanes = dense->out - o < LANES ? dense->out - o : LANES;
            tile(from, dense->in, dense->weight + o * dense->in, dense->bias + o, sums);
            for (size_t r = 0; r < count; r++) {
                float *restrict to = y + (first + r) * dense->out + o;
                if (lanes == LANES)
                    for (size_t lane = 0; lane < LANES; lane++)
                        to[lane] = prelu(sums[r][lane], slope[lane]);
                else
                    for (size_t lane = 0; lane < lanes; lane++)
                        to[lane] = prelu(sums[r][lane], slope[lane]);
            }
        }
    }
}

/* 3x3 on features (T, bins, 2): the values of each window side by side, then a product. */
static bool stem(const Dense *dense, const float *x, Shape *shape, float *y)
{
    size_t bins = shape->bins, window = 3 * 3 * 2;
    float *windows = calloc(bins * window, sizeof *windows); /* zeros stay beyond the edges */
    if (!windows)
        return false;
    for (size_t t = 0; t + 2 < shape->rows; t++) {
        for (size_t f = 0; f < bins; f++) {
            size_t left = f == 0, right = f == bins - 1;
            for (size_t i = 0; i < 3; i++)
                memcpy(windows + f * window + i * 6 + 2 * left, x + ((t + i) * bins + f + left - 1) * 2,
                       2 * (3 - left - right) * sizeof(float));
        }
        product(dense, windows, bins, y + t * bins * dense->out);
    }
    free(windows);
    *shape = (Shape){shape->rows - 2, bins, dense->out};
    return true;
}

/* One position of all channels: the sum over TAPS places of the map. */
static void position(const Depthwise *layer, const float *const p[TAPS], float *restrict y)
{
    size_t n = layer->channels;
    const float *w = layer->weight, *bias = layer->bias, *slope = layer->slope;
    const float *p0 = p[0], *p1 = p[1], *p2 = p[2], *p3 = p[3], *p4 = p[4], *p5 = p[5], *p6 = p[6], *p7 = p[7];
    const float *p8 = p[8];
    for (size_t c = 0; c < n; c++) {
        float sum = bias[c] + w[c] * p0[c] + w[n + c] * p1[c] + w[2 * n + c] * p2[c] + w[3 * n + c] * p3[c] +
                    w[4 * n + c] * p4[c] + w[5 * n + c] * p5[c] + w[6 * n + c] * p6[c] + w[7 * n + c] * p7[c] +
                    w[8 * n + c] * p8[c];
        y[c] = prelu(sum, slope[c]);
    }
}

static bool depthwise(const Depthwise *layer, size_t dilation, const float *x, Shape *shape, float *y)
{
    size_t bins = shape->bins, channels = layer->channels, rows = shape->rows - 2 * dilation;
    float *zeros = calloc(channels, sizeof *zeros); /* what lies beyond the edges */
    if (!zeros)
        return false;
    for (size_t t = 0; t < rows; t++)
        for (size_t f = 0; f < bins; f++) {
            const float *p[TAPS];
            for (size_t i = 0; i < TAPS; i++) {
                size_t bin = f + i % 3 * dilation; /* shifted by the padding */
                bool inside = bin >= dilation && bin - dilation < bins;
                p[i] = inside ? x + ((t + i / 3 * dilation) * bins + bin - dilation) * channels : zeros;
            }
            position(layer, p, y + (t * bins + f) * channels);
        }
    free(zeros);
    shape->rows = rows;
    return true;
}

/* exp of numbers up to 0, to two units in the last place of float32, without a call that stops vectorising */
static inline float exponential(float x)
{
    x = x > -87 ? x : -87;
    float shifted = x * 1.44269504f + 12582912.0f; /* 1.5 2^23: rounds to an integer in the lowest bits */
    float whole = shifted - 12582912.0f, r = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    float series = 8.3334519e-3f + r * (1.3981999e-3f + r * 1.9875691e-4f);
    series = 1 + r + r * r * (0.5f + r * (1.6666665e-1f + r * (4.1665796e-2f + r * series)));
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return series * scale;
}

/* Largest of n numbers, in LANES sequences that do not wait for each other. */
static float largest(const float *x, size_t n)
{
    float lanes[LANES], most = x[0];
    for (size_t lane = 0; lane < LANES; lane++)
        lanes[lane] = x[0];
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            lanes[lane] = x[i + lane] > lanes[lane] ? x[i + lane] : lanes[lane];
    for (; i < n; i++)
        most = x[i] > most ? x[i] : most;
    for (size_t lane = 0; lane < LANES; lane++)
        most = lanes[lane] > most ? lanes[lane] : most;
    return most;
}

static void softmax(float *x, size_t n)
{
    float lanes[LANES] = {0}, sum = 0, most = largest(x, n);
    for (size_t i = 0; i < n; i++)
        x[i] = exponential(x[i] - most);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            lanes[lane] += x[i + lane];
    for (; i < n; i++)
        sum += x[i];
    for (size_t lane = 0; lane < LANES; lane++)
        sum += lanes[lane];
    for (i = 0; i < n; i++)
        x[i] /= sum;
}

/* Group normalisation of one group as x scale[c] + shift[c]. */
static bool group_norm(const Attention *attention, const float *x, size_t positions, size_t channels, float *scale,
                       float *shift)
{
    double *sums = calloc(2 * channels, sizeof *sums), *squares = sums + channels;
    if (!sums)
        return false;
    for (size_t p = 0; p < positions; p++)
        for (size_t c = 0; c < channels; c++) {
            double value = x[p * channels + c];
            sums[c] += value;
            squares[c] += value * value;
        }
    double n = (double)positions * (double)channels, mean = 0, square = 0;
    for (size_t c = 0; c < channels; c++) {
        mean += sums[c] / n;
        square += squares[c] / n;
    }
    double s = sqrt(fmax(square - mean * mean, 0) + GROUP_EPSILON);
    for (size_t c = 0; c < channels; c++) {
        scale[c] = (float)(attention->gamma[c] / s);
        shift[c] = (float)(attention->beta[c] - mean * attention->gamma[c] / s);
    }
    free(sums);
    return true;
}

/* Working memory of attention, C channels, D wide. */
typedef struct {
    float *scale, *shift; /* (C,) */
    float *normed, *y;    /* (CHUNK, C) */
    float *first, *second; /* (CHUNK, D): keys and values, then queries */
    float *most, *sum;     /* (D,), of the softmax over positions */
    float *context;        /* (D, D) */
    float *combined;       /* context times output weight, laid out like a weight of D to C */
} Scratch;

static float *carve(float **memory, size_t count)
{
    float *part = *memory;
    *memory += count;
    return part;
}

static void normalise(const Scratch *s, const float *x, size_t count, size_t channels)
{
    for (size_t p = 0; p < count; p++)
        for (size_t c = 0; c < channels; c++)
            s->normed[p * channels + c] = x[p * channels + c] * s->scale[c] + s->shift[c];
}

/* Add count keys and values to the context, whose exponentials are relative to the largest key so far. */
static void gather(const Scratch *s, size_t count, size_t width)
{
    float *keys = s->first;
    const float *values = s->second;
    for (size_t d = 0; d < width; d++) {
        float most = s->most[d];
        for (size_t p = 0; p < count; p++)
            most = keys[p * width + d] > most ? keys[p * width + d] : most;
        if (most > s->most[d]) {
            float factor = exponential(s->most[d] - most);
            s->most[d] = most;
            s->sum[d] *= factor;
            for (size_t e = 0; e < width; e++)
                s->context[d * width + e] *= factor;
        }
    }
    for (size_t p = 0; p < CHUNK; p++) /* what is missing counts nothing */
        for (size_t d = 0; d < width; d++)
            keys[p * width + d] = p < count ? exponential(keys[p * width + d] - s->most[d]) : 0;
    for (size_t d = 0; d < width; d++)
        for (size_t p = 0; p < CHUNK; p += TILE) {
            const float *k = keys + p * width + d, *v = values + p * width;
            float *restrict context = s->context + d * width;
            float a = k[0], b = k[width], c = k[2 * width], e = k[3 * width];
            s->sum[d] += a + b + c + e;
            for (size_t i = 0; i < width; i++)
                context[i] += a * v[i] + b * v[width + i] + c * v[2 * width + i] + e * v[3 * width + i];
        }
}

/* (queries context) Wo is queries (context Wo). */
static void combine(const Scratch *s, const Dense *out)
{
    size_t width = out->in;
    for (size_t o = 0; o < padded(out->out); o += LANES)
        for (size_t d = 0; d < width; d++) {
            float sums[LANES] = {0};
            for (size_t e = 0; e < width; e++)
                for (size_t lane = 0; lane < LANES; lane++)
                    sums[lane] += s->context[d * width + e] * out->weight[o * width + e * LANES + lane];
            for (size_t lane = 0; lane < LANES; lane++)
                s->combined[o * width + d * LANES + lane] = sums[lane] / s->sum[d];
        }
}

/* x += attention(group_norm(x)).  The map is read twice, a chunk of positions at a time, and nothing of its size is
   kept: first for the context, then for queries. */
static bool attention(const Attention *layer, float *x, Shape shape)
{
    size_t positions = shape.rows * shape.bins, channels = shape.channels, width = layer->width, count;
    size_t room = 2 * channels * (1 + CHUNK) + 2 * width * (1 + CHUNK) + width * (width + padded(channels));
    float *memory = calloc(room, sizeof *memory), *rest = memory;
    if (!memory)
        return false;
    Scratch s = {carve(&rest, channels), carve(&rest, channels), carve(&rest, CHUNK * channels),
                 carve(&rest, CHUNK * channels), carve(&rest, CHUNK * width), carve(&rest, CHUNK * width),
                 carve(&rest, width), carve(&rest, width), carve(&rest, width * width),
                 carve(&rest, width * padded(channels))};
    bool good = group_norm(layer, x, positions, channels, s.scale, s.shift);
    for (size_t d = 0; d < width; d++)
        s.most[d] = -INFINITY;
    for (size_t p = 0; good && p < positions; p += count) {
        count = positions - p < CHUNK ? positions - p : CHUNK;
        normalise(&s, x + p * channels, count, channels);
        product(&layer->key, s.normed, count, s.first);
        product(&layer->value, s.normed, count, s.second);
        gather(&s, count, width);
    }
    combine(&s, &layer->out);
    Dense out = layer->out;
    out.weight = s.combined;
    for (size_t p = 0; good && p < positions; p += count) {
        count = positions - p < CHUNK ? positions - p : CHUNK;
        normalise(&s, x + p * channels, count, channels);
        product(&layer->query, s.normed, count, s.first);
        for (size_t i = 0; i < count; i++)
            softmax(s.first + i * width, width);
        product(&out, s.first, count, s.y);
        for (size_t i = 0; i < count * channels; i++)
            x[p * channels + i] += s.y[i];
    }
    free(memory);
    return good;
}

/* Windows of (time, 2) that don't overlap; what fills none is dropped. */
static void max_pool(const float *x, size_t time, Shape *shape, float *restrict y)
{
    size_t rows = shape->rows / time, bins = shape->bins / 2, channels = shape->channels;
    for (size_t t = 0; t < rows; t++)
        for (size_t f = 0; f < bins; f++, y += channels) {
            const float *a = x + (t * time * shape->bins + 2 * f) * channels, *b = a + channels;
            const float *c = time == 2 ? a + shape->bins * channels : a, *d = time == 2 ? c + channels : b;
            for (size_t i = 0; i < channels; i++) {
                float first = a[i] > b[i] ? a[i] : b[i], second = c[i] > d[i] ? c[i] : d[i];
                y[i] = first > second ? first : second;
            }
        }
    *shape = (Shape){rows, bins, channels};
}

/* (T, F, C) to (F, C) */
static void mean_over_time(const float *x, Shape shape, float *restrict y)
{
    size_t row = shape.bins * shape.channels;
    memset(y, 0, row * sizeof *y);
    for (size_t t = 0; t < shape.rows; t++)
        for (size_t i = 0; i < row; i++)
            y[i] += x[t * row + i] / (float)shape.rows;
}

/* ---- The network ---- */

/* Both maps big enough for the largest layer. */
static bool make_room(Acdnet *net, size_t frames)
{
    size_t rows = frames - 2, bins = ACDNET_BINS, room = rows * bins * net->stem.out;
    for (size_t n = 0; n < BLOCKS; n++) {
        rows -= 2 * PLAN[n].dilation;
        size_t floats = rows * bins * net->blocks[n].pointwise.out;
        room = floats > room ? floats : room;
        rows /= PLAN[n].pool_time;
        bins /= 2;
    }
    if (room <= net->room)
        return true;
    net->room = 0;
    for (int i = 0; i < 2; i++) {
        free(net->maps[i]);
        net->maps[i] = malloc(room * sizeof(float));
    }
    net->room = net->maps[0] && net->maps[1] ? room : 0;
    return net->room > 0;
}

/* What acdnet_logits shows its layers to. */
typedef struct {
    AcdnetWatch *watch;
    void *context;
} Watcher;

static void show(Watcher watcher, const char *layer, const float *map, Shape shape)
{
    if (watcher.watch)
        watcher.watch(watcher.context, layer, map, shape.rows, shape.bins, shape.channels);
}

/* From map `here` to map `there`. */
static bool run_block(const Block *block, size_t n, float *here, float *there, Shape *shape, Watcher watcher)
{
    char name[64];
    if (!depthwise(&block->depthwise, PLAN[n].dilation, here, shape, there))
        return false;
    show(watcher, joined(name, n, ".depthwise"), there, *shape);
    product(&block->pointwise, there, shape->rows * shape->bins, here);
    shape->channels = block->pointwise.out;
    show(watcher, joined(name, n, ".pointwise"), here, *shape);
    if (PLAN[n].attention) {
        if (!attention(&block->attention, here, *shape))
            return false;
        show(watcher, joined(name, n, ".attention"), here, *shape);
    }
    max_pool(here, PLAN[n].pool_time, shape, there);
    show(watcher, joined(name, n, ".pool"), there, *shape);
    return true;
}

bool acdnet_logits(Acdnet *net, const float *features, size_t frames, float *logits, AcdnetWatch *watch, void *context,
                   char error[ACDNET_ERROR_SIZE])
{
    static const char *const SHORT_OF_MEMORY = "do not fit into memory";
    Watcher watcher = {watch, context};
    if (frames < ACDNET_LEAST_FRAMES)
        return fail(error, "features", "have %zu frames, fewer than %d", frames, ACDNET_LEAST_FRAMES);
    if (!make_room(net, frames))
        return fail(error, "features", SHORT_OF_MEMORY);
    Shape shape = {frames, ACDNET_BINS, 2};
    float *here = net->maps[0], *there = net->maps[1];
    if (!stem(&net->stem, features, &shape, here))
        return fail(error, "features", SHORT_OF_MEMORY);
    show(watcher, "stem.conv", here, shape);
    for (size_t n = 0; n < BLOCKS; n++) {
        if (!run_block(&net->blocks[n], n, here, there, &shape, watcher))
            return fail(error, "features", SHORT_OF_MEMORY);
        float *other = here;
        here = there, there = other;
    }
    mean_over_time(here, shape, there);
    show(watcher, "mean", there, (Shape){1, shape.bins, shape.channels});
    for (size_t f = 0; f < shape.bins; f++)
        for (size_t c = 0; c < shape.channels; c++)
            here[FLAT(f, c, shape.bins, shape.channels)] = there[f * shape.channels + c];
    product(&net->dense, here, 1, logits);
    show(watcher, "dense", logits, (Shape){1, 1, net->dense.out});
    return true;
}

bool acdnet_probabilities(Acdnet *net, const float *features, size_t frames, float *probabilities,
                          char error[ACDNET_ERROR_SIZE])
{
    if (!acdnet_logits(net, features, frames, probabilities, NULL, NULL, error))
        return false;
    for (size_t i = 0; i < net->dense.out; i++) {
        double e = exp(-fabs((double)probabilities[i]));
        probabilities[i] = (float)((probabilities[i] >= 0 ? 1 : e) / (1 + e));
    }
    return true;
}
