#include <math.h>
#include <stdlib.h>

#include "sound.h"

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The fraction nearest to a / b whose denominator is at most limit: continued fractions. */
static void nearest(size_t a, size_t b, size_t limit, size_t *numerator, size_t *denominator)
{
    size_t p0 = 0, q0 = 1, p1 = 1, q1 = 0, n = a, d = b;
    while (d) {
        size_t whole = n / d, rest = n % d;
        if (q0 + whole * q1 > limit)
            break;
        size_t p2 = p0 + whole * p1, q2 = q0 + whole * q1;
        p0 = p1, q0 = q1, p1 = p2, q1 = q2;
        n = d, d = rest;
    }
    *numerator = p1, *denominator = q1;
    if (!d)
        return; /* it is a / b itself */
    size_t k = (limit - q0) / q1, p = p0 + k * p1, q = q0 + k * q1;
    double wanted = (double)a / (double)b;
    if (fabs((double)p / (double)q - wanted) < fabs((double)p1 / (double)q1 - wanted))
        *numerator = p, *denominator = q;
}

static void ratio(size_t rate_in, size_t rate_out, size_t *up, size_t *down)
{
    size_t large = larger(rate_in, rate_out), small = rate_in + rate_out - large, most = 16384;
    nearest(large, small, small, &large, &small); /* in lowest terms */
    if (large > most)
        nearest(large, small, larger(1, most * small / large), &large, &small);
    *up = rate_out > rate_in ? large : small;
    *down = rate_out > rate_in ? small : large;
}

static double bessel(double z)
{
    double sum = 1, term = 1;
    for (int i = 1; term > 1e-17 * sum; i++) {
        term *= z / (2 * i) * (z / (2 * i));
        sum += term;
    }
    return sum;
}

/* h[m] for |m| <= half, from h[half] on. */
static double *filter(size_t up, size_t down, size_t half)
{
    double *h = malloc((2 * half + 1) * sizeof *h), sum = 0;
    for (size_t i = 0; h && i <= 2 * half; i++) {
        double m = (double)i - (double)half, z = 0.95 * m / (double)larger(up, down);
        double sinc = m == 0 ? 1 : sin(PI * z) / (PI * z);
        h[i] = sinc * bessel(12 * sqrt(1 - m / (double)half * (m / (double)half)));
        sum += h[i];
    }
    for (size_t i = 0; h && i <= 2 * half; i++)
        h[i] *= (double)up / sum;
    return h;
}

size_t resampled_length(size_t n, size_t rate_in, size_t rate_out)
{
    size_t up, down;
    ratio(rate_in, rate_out, &up, &down);
    return (n * up + down - 1) / down;
}

bool resample(const double *x, size_t n, size_t rate_in, size_t rate_out, double *y)
{
    size_t up, down, length = resampled_length(n, rate_in, rate_out);
    ratio(rate_in, rate_out, &up, &down);
    size_t half = 64 * larger(up, down);
    double *h = filter(up, down, half);
    for (size_t k = 0; h && k < length; k++) {
        size_t middle = k * down, first = middle < half ? 0 : (middle - half + up - 1) / up;
        double sum = 0;
        for (size_t j = first; j < n && j * up <= middle + half; j++)
            sum += x[j] * h[half + middle - j * up];
        y[k] = rate_in == rate_out ? x[k] : sum;
    }
    free(h);
    return h != NULL;
}
