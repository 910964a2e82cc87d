/* Cases of sound and networks: docs/conformance.md, sections resampling, features and networks. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acdnet.h"
#include "cases.h"
#include "sound.h"

static float *singles(const Array *array)
{
    float *values = allocate(array->count, sizeof *values);
    for (size_t i = 0; i < array->count; i++)
        values[i] = (float)array->values[i];
    return values;
}

static void answer_resample(Case *one)
{
    const Array *audio = input(one, "audio", SHAPE(ANY));
    size_t from = whole(one, "rate_in"), to = whole(one, "rate_out"), n = audio->shape[0];
    if (!from || !to)
        die_of(one, from ? "rate_out" : "rate_in", "is 0");
    double *y = output(one, "resampled", F4, SHAPE(resampled_length(n, from, to)));
    if (!resample(audio->values, n, from, to, y))
        die("out of memory");
}

static void answer_frame_count(Case *one)
{
    const Array *samples = input(one, "samples", SHAPE(ANY));
    size_t *n = indices(one, "samples", samples->count, (size_t)1 << 48);
    double *frames = output_like(one, "frames", I8, samples);
    for (size_t i = 0; i < samples->count; i++)
        frames[i] = (double)acdnet_frames(n[i]);
    free(n);
}

static void answer_stft(Case *one)
{
    const Array *audio = input(one, "audio", SHAPE(ANY));
    size_t frames = acdnet_frames(audio->count);
    float *samples = singles(audio);
    double *spectrum = output(one, "spectrum", F8, SHAPE(frames, ACDNET_BINS, 2));
    double re[ACDNET_BINS], im[ACDNET_BINS];
    Transform transform;
    transform_init(&transform);
    for (size_t t = 0; t < frames; t++) {
        transform_frame(&transform, samples + t * HOP, re, im);
        for (size_t f = 0; f < ACDNET_BINS; f++) {
            *spectrum++ = re[f];
            *spectrum++ = im[f];
        }
    }
    free(samples);
}

static void scaled(Case *one, const char *from, const char *to, double (*factor)(double, double, double))
{
    const Array *x = input(one, from, SHAPE(ANY, 2));
    double exponent = number(one, "exponent"), *y = output_like(one, to, F8, x);
    for (size_t i = 0; i < x->count; i++) {
        const double *pair = x->values + i / 2 * 2;
        y[i] = x->values[i] * factor(pair[0], pair[1], exponent);
    }
}

static void answer_compress(Case *one)
{
    scaled(one, "spectrum", "compressed", compression);
}

static void answer_decompress(Case *one)
{
    scaled(one, "compressed", "spectrum", decompression);
}

static void answer_features(Case *one)
{
    const Array *audio = input(one, "audio", SHAPE(ANY));
    size_t frames = acdnet_frames(audio->count);
    float *samples = singles(audio), *features = allocate(frames * ACDNET_FRAME, sizeof *features);
    if (!acdnet_features(samples, audio->count, features))
        die("out of memory");
    double *to = output(one, "features", F4, SHAPE(frames, ACDNET_BINS, 2));
    for (size_t i = 0; i < frames * ACDNET_FRAME; i++)
        to[i] = features[i];
    free(samples);
    free(features);
}

/* Where a clip's layers are written. */
typedef struct {
    Case *one;
    size_t clip, clips;
    double *layers[MAX_ARRAYS];
    int count; /* of layers of this clip so far */
} Layers;

/* Means over time and frequency, but what "mean" and "dense" give as it is. */
static void write_layer(void *context, const char *layer, const float *map, size_t rows, size_t bins, size_t channels)
{
    Layers *all = context;
    bool as_it_is = !strcmp(layer, "mean");
    size_t kept = as_it_is ? bins : 1;
    int n = all->count++;
    if (all->clip == 0)
        all->layers[n] = as_it_is ? output(all->one, layer, F8, SHAPE(all->clips, bins, channels))
                                  : output(all->one, layer, F8, SHAPE(all->clips, channels));
    double *to = all->layers[n] + all->clip * kept * channels;
    for (size_t p = 0; p < rows * bins; p++)
        for (size_t c = 0; c < channels; c++)
            to[p % kept * channels + c] += (double)map[p * channels + c] / (double)(rows * bins / kept);
}

static void run_network(Case *one, bool layers)
{
    char error[ACDNET_ERROR_SIZE];
    Acdnet *net = acdnet_load(one->in, error);
    if (!net)
        die(error);
    const Array *x = input(one, "features", SHAPE(ANY, ANY, ACDNET_BINS, 2));
    size_t clips = x->shape[0], frames = x->shape[1], classes = acdnet_classes(net);
    float *features = singles(x), *y = allocate(classes, sizeof *y);
    double *logits = layers ? NULL : output(one, "logits", F4, SHAPE(clips, classes));
    double *probabilities = layers ? NULL : output(one, "probabilities", F4, SHAPE(clips, classes));
    Layers all = {.one = one, .clips = clips};
    for (size_t n = 0; n < clips; n++) {
        const float *clip = features + n * frames * ACDNET_FRAME;
        all.clip = n;
        all.count = 0;
        if (!acdnet_logits(net, clip, frames, y, layers ? write_layer : NULL, &all, error))
            die_of(one, "features", strstr(error, ": ") + 2);
        for (size_t c = 0; !layers && c < classes; c++)
            logits[n * classes + c] = y[c];
        if (!layers && !acdnet_probabilities(net, clip, frames, y, error))
            die_of(one, "features", strstr(error, ": ") + 2);
        for (size_t c = 0; !layers && c < classes; c++)
            probabilities[n * classes + c] = y[c];
    }
    free(features);
    free(y);
    acdnet_free(net);
}

static void answer_acdnet(Case *one)
{
    run_network(one, false);
}

static void answer_acdnet_layers(Case *one)
{
    run_network(one, true);
}

const Function SOUND[] = {
    {"resampling/resample", answer_resample},
    {"features/frame_count", answer_frame_count},
    {"features/stft", answer_stft},
    {"features/compress", answer_compress},
    {"features/decompress", answer_decompress},
    {"features/features", answer_features},
    {NULL, NULL},
};

const Function NETWORKS[] = {
    {"networks/acdnet", answer_acdnet},
    {"networks/acdnet_layers", answer_acdnet_layers},
    {NULL, NULL},
};
