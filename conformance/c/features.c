#include <math.h>
#include <stdlib.h>

#include "acdnet.h"
#include "sound.h"

enum { HALF = HOP, BITS = 8 }; /* a complex transform of HALF points does one of WINDOW real ones */

void transform_init(Transform *transform)
{
    for (size_t i = 0; i < WINDOW; i++)
        transform->window[i] = (1 - cos(2 * PI * (double)i / WINDOW)) / 2;
    for (size_t i = 0; i < HALF; i++) {
        transform->cosine[i] = cos(2 * PI * (double)i / WINDOW);
        transform->sine[i] = sin(2 * PI * (double)i / WINDOW);
        size_t reversed = 0;
        for (size_t bit = 0; bit < BITS; bit++)
            reversed |= (i >> bit & 1) << (BITS - 1 - bit);
        transform->reversed[i] = reversed;
    }
}

/* Radix 2, in place, of HALF complex numbers in reversed order. */
static void fft(const Transform *transform, double *re, double *im)
{
    for (size_t half = 1; half < HALF; half *= 2) {
        size_t step = WINDOW / (2 * half);
        for (size_t first = 0; first < HALF; first += 2 * half)
            for (size_t i = first, k = 0; i < first + half; i++, k += step) {
                size_t j = i + half;
                double c = transform->cosine[k], s = transform->sine[k];
                double a = c * re[j] + s * im[j], b = c * im[j] - s * re[j];
                re[j] = re[i] - a;
                im[j] = im[i] - b;
                re[i] += a;
                im[i] += b;
            }
    }
}

void transform_frame(const Transform *transform, const float *x, double *re, double *im)
{
    double a[HALF], b[HALF]; /* even samples are the real parts, odd ones the imaginary parts */
    for (size_t i = 0; i < HALF; i++) {
        size_t j = 2 * transform->reversed[i];
        a[i] = transform->window[j] * (double)x[j];
        b[i] = transform->window[j + 1] * (double)x[j + 1];
    }
    fft(transform, a, b);
    for (size_t f = 0; f <= HALF; f++) {
        size_t i = f % HALF, j = (HALF - f) % HALF;
        double even_re = (a[i] + a[j]) / 2, even_im = (b[i] - b[j]) / 2;
        double odd_re = (b[i] + b[j]) / 2, odd_im = (a[j] - a[i]) / 2;
        double c = f < HALF ? transform->cosine[f] : -1, s = f < HALF ? transform->sine[f] : 0;
        re[f] = even_re + c * odd_re + s * odd_im;
        im[f] = even_im + c * odd_im - s * odd_re;
    }
}

double compression(double re, double im, double exponent)
{
    return pow(fmax(re * re + im * im, 1e-12), (exponent - 1) / 2);
}

double decompression(double re, double im, double exponent)
{
    return pow(fmax(re * re + im * im, pow(1e-12, exponent)), (1 / exponent - 1) / 2);
}

size_t acdnet_frames(size_t samples)
{
    return samples < WINDOW ? 0 : 1 + (samples - WINDOW) / HOP;
}

bool acdnet_features(const float *samples, size_t n, float *features)
{
    Transform *transform = malloc(sizeof *transform);
    if (!transform)
        return false;
    transform_init(transform);
    double re[ACDNET_BINS], im[ACDNET_BINS];
    for (size_t t = 0; t < acdnet_frames(n); t++) {
        transform_frame(transform, samples + t * HOP, re, im);
        for (size_t f = 0; f < ACDNET_BINS; f++) {
            /* compression(re, im, 0.3) in float32, which suffices from here on */
            float factor = powf((float)fmax(re[f] * re[f] + im[f] * im[f], 1e-12), -0.35f);
            *features++ = (float)re[f] * factor;
            *features++ = (float)im[f] * factor;
        }
    }
    free(transform);
    return true;
}
