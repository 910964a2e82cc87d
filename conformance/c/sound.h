/* What features are made of, and resampling; docs/conformance.md has the formulas. */
#ifndef SOUND_H
#define SOUND_H

#include <stdbool.h>
#include <stddef.h>

enum { WINDOW = 512, HOP = 256 };

static const double PI = 3.14159265358979323846;

/* Window and factors of the transform. */
typedef struct {
    double window[WINDOW];
    double cosine[HOP], sine[HOP]; /* of 2 pi k / WINDOW */
    size_t reversed[HOP];          /* order of the samples' pairs */
} Transform;

void transform_init(Transform *transform);

/* Spectrum (257,) of the WINDOW samples from x on. */
void transform_frame(const Transform *transform, const float *x, double *re, double *im);

/* What both parts are multiplied with. */
double compression(double re, double im, double exponent);
double decompression(double re, double im, double exponent);

/* Samples that n samples become; and these, y.  false if memory is short. */
size_t resampled_length(size_t n, size_t rate_in, size_t rate_out);
bool resample(const double *x, size_t n, size_t rate_in, size_t rate_out, double *y);

#endif
