/* docs/conformance.md, section "Metrics". */
#include <math.h>
#include <stdlib.h>

#include "cases.h"
#include "rules.h"

static double horner(const double *coefficients, int n, double x)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum = sum * x + coefficients[i];
    return sum;
}

double normal_quantile(double p)
{
    static const double A[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                               1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
    static const double B[] = {-5.447609879822406e+01, 1.615858368580409e+02,  -1.556989798598866e+02,
                               6.680131188771972e+01,  -1.328068155288572e+01, 1};
    static const double C[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                               -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
    static const double D[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                               3.754408661907416e+00, 1};
    if (p == 0)
        return -INFINITY;
    if (p > 0.97575)
        return -normal_quantile(1 - p);
    if (p < 0.02425) {
        double v = sqrt(-2 * log(p));
        return horner(C, 6, v) / horner(D, 5, v);
    }
    double u = p - 0.5;
    return u * horner(A, 6, u * u) / horner(B, 6, u * u);
}

/* ---- Classes of scores ---- */

/* One class: the pairs that take part. */
typedef struct {
    size_t n;
    double *label, *score, *weight;
    double positives, all; /* masses */
} Pairs;

typedef struct {
    const Array *y;
    const double *p, *weight;
} Scores;

static Scores scores_of(Case *one)
{
    const Array *y = input(one, "y", SHAPE(ANY, ANY));
    return (Scores){y, like(one, "p", y), like(one, "weight", y)};
}

static Pairs pairs_of(const Scores *scores, size_t c)
{
    size_t rows = scores->y->shape[0], classes = scores->y->shape[1];
    Pairs pairs = {.label = allocate(3 * rows, sizeof(double))};
    pairs.score = pairs.label + rows;
    pairs.weight = pairs.score + rows;
    for (size_t i = c; i < scores->y->count; i += classes) {
        double label = scores->y->values[i], weight = scores->weight[i];
        if (isnan(label) || !(weight > 0))
            continue;
        pairs.label[pairs.n] = label;
        pairs.score[pairs.n] = scores->p[i];
        pairs.weight[pairs.n++] = weight;
        pairs.all += weight;
        pairs.positives += label == 1 ? weight : 0;
    }
    return pairs;
}

static double mean_of_known(const double *values, size_t n)
{
    double sum = 0, known = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(values[i])) {
            sum += values[i];
            known++;
        }
    return sum / known; /* 0 / 0 is NaN */
}

/* Both sums run over all pairs of pairs: short, and fast enough for cases. */
static double precision_area(const Pairs *pairs)
{
    double sum = 0;
    for (size_t i = 0; i < pairs->n; i++) {
        double right = 0, found = 0;
        for (size_t j = 0; pairs->label[i] == 1 && j < pairs->n; j++)
            if (pairs->score[j] >= pairs->score[i]) {
                found += pairs->weight[j];
                right += pairs->label[j] == 1 ? pairs->weight[j] : 0;
            }
        sum += pairs->label[i] == 1 ? pairs->weight[i] * right / found : 0;
    }
    return sum / pairs->positives;
}

static double roc_area(const Pairs *pairs)
{
    double sum = 0;
    for (size_t i = 0; i < pairs->n; i++)
        for (size_t j = 0; pairs->label[i] == 1 && j < pairs->n; j++) {
            double a = pairs->score[i], b = pairs->score[j];
            if (pairs->label[j] == 0)
                sum += pairs->weight[i] * pairs->weight[j] * (a > b ? 1 : a == b ? 0.5 : 0);
        }
    return sum / (pairs->positives * (pairs->all - pairs->positives));
}

static void average_precision(Case *one)
{
    Scores scores = scores_of(one);
    size_t classes = scores.y->shape[1];
    double undefined = number(one, "undefined"), *ap = output(one, "ap", F8, SHAPE(classes));
    for (size_t c = 0; c < classes; c++) {
        Pairs pairs = pairs_of(&scores, c);
        ap[c] = pairs.positives > 0 ? precision_area(&pairs) : undefined;
        free(pairs.label);
    }
    output_number(one, "mean", F8, mean_of_known(ap, classes));
}

static void roc_areas(const Scores *scores, double *auc)
{
    for (size_t c = 0; c < scores->y->shape[1]; c++) {
        Pairs pairs = pairs_of(scores, c);
        auc[c] = roc_area(&pairs);
        free(pairs.label);
    }
}

static void roc_auc(Case *one)
{
    Scores scores = scores_of(one);
    roc_areas(&scores, output(one, "auc", F8, SHAPE(scores.y->shape[1])));
}

static void balance_negatives(Case *one)
{
    const Array *y = input(one, "y", SHAPE(ANY, ANY));
    size_t classes = y->shape[1];
    const double *p = like(one, "p", y), *explicit = like(one, "explicit", y);
    double *weight = output_like(one, "weight", F8, y);
    for (size_t c = 0; c < classes; c++) {
        double pools[2] = {0, 0};
        for (size_t i = c; i < y->count; i += classes)
            pools[explicit[i] == 1] += y->values[i] == 0;
        bool both = pools[0] > 0 && pools[1] > 0;
        for (size_t i = c; i < y->count; i += classes)
            weight[i] = both && y->values[i] == 0 ? (pools[0] + pools[1]) / (2 * pools[explicit[i] == 1]) : 1;
    }
    roc_areas(&(Scores){y, p, weight}, output(one, "auc", F8, SHAPE(classes)));
}

static void d_prime(Case *one)
{
    const Array *auc = input(one, "auc", SHAPE(ANY));
    double *values = output_like(one, "d_prime", F8, auc);
    for (size_t c = 0; c < auc->count; c++)
        values[c] = sqrt(2) * normal_quantile(auc->values[c]);
    output_number(one, "of_mean", F8, sqrt(2) * normal_quantile(mean_of_known(auc->values, auc->count)));
    output_number(one, "mean", F8, mean_of_known(values, auc->count));
}

/* Masses of the pairs that are detected and those that are not, by label. */
typedef struct {
    double tp, fp, fn, tn;
} Masses;

static Masses detected(const Scores *scores, size_t c, double threshold)
{
    Pairs pairs = pairs_of(scores, c);
    Masses masses = {0, 0, 0, 0};
    for (size_t i = 0; i < pairs.n; i++) {
        bool found = pairs.score[i] > threshold, positive = pairs.label[i] == 1;
        *(positive ? found ? &masses.tp : &masses.fn : found ? &masses.fp : &masses.tn) += pairs.weight[i];
    }
    free(pairs.label);
    return masses;
}

static void accuracy(Case *one)
{
    Scores scores = scores_of(one);
    size_t classes = scores.y->shape[1];
    const double *threshold = input(one, "threshold", SHAPE(classes))->values;
    double *values = output(one, "accuracy", F8, SHAPE(classes));
    for (size_t c = 0; c < classes; c++) {
        Masses m = detected(&scores, c, threshold[c]);
        values[c] = (m.tp + m.tn) / (m.tp + m.fp + m.fn + m.tn);
    }
    output_number(one, "mean", F8, mean_of_known(values, classes));
}

static void f_score(Case *one)
{
    Scores scores = scores_of(one);
    size_t classes = scores.y->shape[1];
    const double *threshold = input(one, "threshold", SHAPE(classes))->values;
    double beta = number(one, "beta"), undefined = number(one, "undefined"), square = beta * beta;
    double *values = output(one, "f_score", F8, SHAPE(classes));
    for (size_t c = 0; c < classes; c++) {
        Masses m = detected(&scores, c, threshold[c]);
        double denominator = (1 + square) * m.tp + square * m.fn + m.fp;
        values[c] = denominator == 0 ? undefined : (1 + square) * m.tp / denominator;
    }
}

/* ---- Rankings ---- */

static void lwlrap(Case *one)
{
    const Array *y = input(one, "y", SHAPE(ANY, ANY));
    size_t classes = y->shape[1];
    const double *p = like(one, "p", y), *weight = input(one, "weight", SHAPE(y->shape[0]))->values;
    double *values = output(one, "values", F8, SHAPE(classes)), *weights = output(one, "weights", F8, SHAPE(classes));
    double total = 0, sum = 0;
    for (size_t i = 0; i < y->count; i++) {
        double right = 0, ranked = 0, of_clip = weight[i / classes];
        if (y->values[i] != 1)
            continue;
        for (size_t j = i / classes * classes; j < (i / classes + 1) * classes; j++) {
            ranked += p[j] >= p[i];
            right += p[j] >= p[i] && y->values[j] == 1;
        }
        values[i % classes] += of_clip * right / ranked;
        weights[i % classes] += of_clip;
        total += of_clip;
        sum += of_clip * right / ranked;
    }
    for (size_t c = 0; c < classes; c++) {
        values[c] = weights[c] > 0 ? values[c] / weights[c] : 0;
        weights[c] = total > 0 ? weights[c] / total : 0;
    }
    output_number(one, "lwlrap", F8, sum / total);
}

static bool within(const double *values, size_t n, double value)
{
    bool found = false;
    for (size_t i = 0; i < n; i++)
        found = found || values[i] == value;
    return found;
}

static void map_at_k(Case *one)
{
    const Array *actual = input(one, "actual", SHAPE(ANY, ANY));
    size_t clips = actual->shape[0], k = whole(one, "k");
    const Array *predicted = input(one, "predicted", SHAPE(clips, ANY));
    double *values = output(one, "values", F8, SHAPE(clips));
    for (size_t i = 0; i < clips; i++) {
        const double *truth = actual->values + i * actual->shape[1];
        const double *guess = predicted->values + i * predicted->shape[1];
        double hits = 0, known = 0;
        for (size_t a = 0; a < actual->shape[1]; a++)
            known += truth[a] >= 0;
        for (size_t r = 0; r < predicted->shape[1] && r < k && guess[r] >= 0; r++)
            if (within(truth, actual->shape[1], guess[r]) && !within(guess, r, guess[r]))
                values[i] += ++hits / (double)(r + 1);
        values[i] = known > 0 ? values[i] / fmin(known, (double)k) : 0;
    }
    output_number(one, "mean", F8, mean_of_known(values, clips));
}

const Function METRICS[] = {
    {"metrics/average_precision", average_precision},
    {"metrics/roc_auc", roc_auc},
    {"metrics/balance_negatives", balance_negatives},
    {"metrics/d_prime", d_prime},
    {"metrics/accuracy", accuracy},
    {"metrics/f_score", f_score},
    {"metrics/lwlrap", lwlrap},
    {"metrics/map_at_k", map_at_k},
    {NULL, NULL},
};
