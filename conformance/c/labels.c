/* Joining, correcting and counting labels: docs/conformance.md, section "Label rules". */
#include <math.h>
#include <stdlib.h>

#include "cases.h"
#include "rules.h"

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

/* ---- Shared ---- */

double joined_label(double a, double b)
{
    if (a == 1 || b == 1)
        return 1;
    return isnan(a) || isnan(b) ? NAN : 0;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void sort(double *values, size_t n)
{
    qsort(values, n, sizeof *values, ascending);
}

double middle(const double *sorted, size_t n)
{
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static double quantile(const double *sorted, size_t n, double r)
{
    double h = r * (double)(n - 1), g = h - floor(h);
    size_t i = (size_t)h, j = i + 1 < n ? i + 1 : n - 1;
    double step = sorted[j] - sorted[i];
    return g < 0.5 ? sorted[i] + g * step : sorted[j] - (1 - g) * step;
}

/* Scores of class c where its label is so, ascending. */
static size_t scores_where(const Array *y, const double *p, size_t c, double label, double *found)
{
    size_t n = 0, classes = y->shape[1];
    for (size_t i = c; i < y->count; i += classes)
        if (y->values[i] == label && !isnan(p[i]))
            found[n++] = p[i];
    sort(found, n);
    return n;
}

static const Array *matrix(Case *one, const char *name)
{
    return input(one, name, SHAPE(ANY, ANY));
}

/* ---- Joining and mixing ---- */

static void or_join(Case *one)
{
    const Array *labels = anything(one, "labels");
    if (!labels->axes || !labels->shape[0])
        die_of(one, "labels", "has no clips");
    size_t size = labels->count / labels->shape[0];
    double *joined = output(one, "joined", F8, labels->axes - 1, labels->shape + 1);
    for (size_t i = 0; i < labels->count; i++)
        joined[i % size] = joined_label(joined[i % size], labels->values[i]);
}

static double mixed(double first, double second, double weight)
{
    if (weight == 1)
        return first;
    return weight == 0 ? second : weight * first + (1 - weight) * second;
}

static void mixup(Case *one)
{
    const Array *first = matrix(one, "first");
    const double *second = like(one, "second", first);
    const double *weight = input(one, "weight", SHAPE(first->shape[0]))->values;
    double *out = output_like(one, "mixed", F8, first);
    for (size_t i = 0; i < first->count; i++)
        out[i] = mixed(first->values[i], second[i], weight[i / first->shape[1]]);
}

static void mixup_batch(Case *one)
{
    const Array *batch = matrix(one, "batch");
    size_t n = batch->shape[0], classes = batch->shape[1], adjacent = whole(one, "pairing");
    size_t rows = adjacent && n % 2 == 0 ? n / 2 : n;
    const double *x = batch->values, *weights = input(one, "weights", SHAPE(adjacent ? n / 2 : n))->values;
    double *out = output(one, "mixed", F8, SHAPE(rows, classes));
    for (size_t i = 0; i < rows; i++)
        for (size_t c = 0; c < classes; c++) {
            if (!adjacent)
                out[i * classes + c] = mixed(x[i * classes + c], x[(n - 1 - i) * classes + c], weights[i]);
            else if (n % 2 == 0)
                out[i * classes + c] = mixed(x[2 * i * classes + c], x[(2 * i + 1) * classes + c], weights[i]);
            else
                out[i * classes + c] = x[i * classes + c];
        }
}

static void apply_gains(Case *one)
{
    const Array *sources = matrix(one, "sources");
    size_t length = sources->shape[1];
    const double *gains = input(one, "gains", SHAPE(sources->shape[0]))->values;
    double *scaled = output_like(one, "scaled", F8, sources), *mixture = output(one, "mixture", F8, SHAPE(length));
    for (size_t i = 0; i < sources->count; i++) {
        scaled[i] = pow(10, gains[i / length] / 20) * sources->values[i];
        mixture[i % length] += scaled[i];
    }
}

/* ---- Correction and masking by a teacher ---- */

typedef struct {
    double low, high; /* T, 1 - T */
    bool fp, mask, literal;
} Rule;

static double corrected(double y, double p, const Rule *rule)
{
    double doubtful = rule->mask ? NAN : y;
    if (y == 0 && p > 0.5) {
        if (p > rule->high)
            return 1;
        return p == rule->high && rule->literal ? 0 : doubtful;
    }
    if (y == 1 && p < 0.5 && rule->fp) {
        if (p < rule->low)
            return 0;
        return p == rule->low && rule->literal ? 1 : doubtful;
    }
    return y;
}

static void correct_labels(Case *one)
{
    const Array *y = matrix(one, "y");
    const double *p = like(one, "p", y);
    double threshold = number(one, "T");
    Rule rule = {threshold, 1 - threshold, number(one, "fp") == 1, number(one, "mask") == 1,
                 number(one, "boundary") == 1};
    double *out = output_like(one, "corrected", F8, y);
    for (size_t i = 0; i < y->count; i++)
        out[i] = corrected(y->values[i], p[i], &rule);
}

/* For each class, of its negatives' scores. */
static void negatives_quantiles(const Array *y, const double *p, double q, double *thresholds)
{
    double *scores = allocate(y->shape[0], sizeof *scores);
    for (size_t c = 0; c < y->shape[1]; c++) {
        size_t n = scores_where(y, p, c, 0, scores);
        thresholds[c] = n ? quantile(scores, n, 1 - q) : NAN;
    }
    free(scores);
}

static void percentile_thresholds(Case *one)
{
    const Array *y = matrix(one, "y");
    const double *p = like(one, "p", y);
    negatives_quantiles(y, p, number(one, "q"), output(one, "thresholds", F8, SHAPE(y->shape[1])));
}

static void percentile_relabel(Case *one, double label)
{
    const Array *y = matrix(one, "y");
    size_t classes = y->shape[1];
    const double *p = like(one, "p", y);
    double *thresholds = allocate(classes, sizeof *thresholds), *out = output_like(one, "relabelled", F8, y);
    negatives_quantiles(y, p, number(one, "q"), thresholds);
    for (size_t i = 0; i < y->count; i++)
        out[i] = y->values[i] == 0 && p[i] > thresholds[i % classes] ? label : y->values[i];
    free(thresholds);
}

static void percentile_mask(Case *one)
{
    percentile_relabel(one, NAN);
}

static void percentile_correct(Case *one)
{
    percentile_relabel(one, 1);
}

/* For each class, the mean, median or a quantile of its positives' scores. */
static void positives_statistics(const Array *y, const double *p, size_t statistic, double *thresholds)
{
    static const double SHARES[] = {0.25, 0.10, 0.05};
    double *scores = allocate(y->shape[0], sizeof *scores);
    for (size_t c = 0; c < y->shape[1]; c++) {
        size_t n = scores_where(y, p, c, 1, scores);
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += scores[i];
        if (!n)
            thresholds[c] = NAN;
        else if (statistic == 0)
            thresholds[c] = smaller(larger(sum / (double)n, scores[0]), scores[n - 1]);
        else
            thresholds[c] = statistic == 1 ? middle(scores, n) : quantile(scores, n, SHARES[statistic - 2]);
    }
    free(scores);
}

static size_t statistic_of(Case *one)
{
    size_t statistic = whole(one, "statistic");
    if (statistic > 4)
        die_of(one, "statistic", "is not 0 to 4");
    return statistic;
}

static void positive_thresholds(Case *one)
{
    const Array *y = matrix(one, "y");
    const double *p = like(one, "p", y);
    positives_statistics(y, p, statistic_of(one), output(one, "thresholds", F8, SHAPE(y->shape[1])));
}

static void mean_threshold_correct(Case *one)
{
    const Array *y = matrix(one, "y");
    size_t classes = y->shape[1];
    const double *p = like(one, "p", y), *candidates = like(one, "candidates", y);
    double *thresholds = allocate(classes, sizeof *thresholds), *out = output_like(one, "corrected", F8, y);
    positives_statistics(y, p, statistic_of(one), thresholds);
    for (size_t i = 0; i < y->count; i++)
        out[i] = y->values[i] == 0 && candidates[i] == 1 && p[i] > thresholds[i % classes] ? 1 : y->values[i];
    free(thresholds);
}

static void above_threshold(Case *one)
{
    const Array *y = matrix(one, "y");
    size_t classes = y->shape[1];
    const double *p = like(one, "p", y), *candidates = like(one, "candidates", y);
    const double *thresholds = input(one, "thresholds", SHAPE(classes))->values;
    double *flags = output_like(one, "flags", I8, y);
    for (size_t i = 0; i < y->count; i++)
        flags[i] = y->values[i] == 0 && candidates[i] == 1 && p[i] > thresholds[i % classes];
}

/* ---- From CLAP's cosines to labels ---- */

static void softmax(Case *one, const Array *cosines, double *probabilities)
{
    size_t classes = cosines->shape[1];
    const Array *background = input(one, "background", SHAPE(cosines->shape[0], ANY));
    double scale = number(one, "scale");
    for (size_t n = 0; n < cosines->shape[0]; n++) {
        const double *row = cosines->values + n * classes, *others = background->values + n * background->shape[1];
        double most = -INFINITY, sum = 0;
        for (size_t c = 0; c < classes; c++)
            most = larger(row[c], most);
        for (size_t b = 0; b < background->shape[1]; b++)
            most = larger(others[b], most);
        for (size_t c = 0; c < classes; c++)
            sum += exp(scale * (row[c] - most));
        for (size_t b = 0; b < background->shape[1]; b++)
            sum += exp(scale * (others[b] - most));
        for (size_t c = 0; c < classes; c++)
            probabilities[n * classes + c] = exp(scale * (row[c] - most)) / sum;
    }
}

static double above(double score, double threshold)
{
    return isnan(score) || isnan(threshold) ? NAN : score > threshold;
}

static void clap_probabilities(Case *one)
{
    const Array *cosines = matrix(one, "cosines");
    softmax(one, cosines, output_like(one, "probabilities", F8, cosines));
}

static void clap_labels(Case *one)
{
    const Array *cosines = matrix(one, "cosines");
    double threshold = number(one, "threshold"), *labels = output_like(one, "labels", F8, cosines);
    softmax(one, cosines, labels);
    for (size_t i = 0; i < cosines->count; i++)
        labels[i] = above(labels[i], threshold);
}

static void threshold_labels(Case *one)
{
    const Array *scores = matrix(one, "scores");
    const double *thresholds = input(one, "thresholds", SHAPE(scores->shape[1]))->values;
    double *labels = output_like(one, "labels", F8, scores);
    for (size_t i = 0; i < scores->count; i++)
        labels[i] = above(scores->values[i], thresholds[i % scores->shape[1]]);
}

static void robust_z_scores(Case *one)
{
    const Array *cosines = matrix(one, "cosines");
    size_t classes = cosines->shape[1];
    double *scores = output_like(one, "scores", F8, cosines), *known = allocate(cosines->shape[0], sizeof *known);
    for (size_t c = 0; c < classes; c++) {
        size_t n = 0;
        for (size_t i = c; i < cosines->count; i += classes)
            if (!isnan(cosines->values[i]))
                known[n++] = cosines->values[i];
        sort(known, n);
        double median = n ? middle(known, n) : NAN;
        for (size_t i = 0; i < n; i++)
            known[i] = fabs(known[i] - median);
        sort(known, n);
        double deviation = n ? middle(known, n) : NAN;
        for (size_t i = c; i < cosines->count; i += classes) {
            double d = cosines->values[i] - median;
            scores[i] = d == 0 ? 0 : d / (1.4826 * deviation);
        }
    }
    free(known);
}

/* ---- Counts and odds ---- */

static void class_priors(Case *one)
{
    const Array *y = matrix(one, "y");
    double *priors = output(one, "priors", F8, SHAPE(y->shape[1]));
    for (size_t c = 0; c < y->shape[1]; c++) {
        double known = 0;
        for (size_t i = c; i < y->count; i += y->shape[1]) {
            known += !isnan(y->values[i]);
            priors[c] += y->values[i] == 1;
        }
        priors[c] /= known;
    }
}

static void contingency(Case *one)
{
    const Array *condition = matrix(one, "condition");
    size_t clips = condition->shape[0], rows = condition->shape[1];
    const Array *outcome = input(one, "outcome", SHAPE(clips, ANY));
    size_t columns = outcome->shape[1];
    double *table = output(one, "table", I8, SHAPE(rows, columns, 2, 2));
    for (size_t n = 0; n < clips; n++)
        for (size_t i = 0; i < rows * columns; i++) {
            double x = condition->values[n * rows + i / columns], y = outcome->values[n * columns + i % columns];
            if (!isnan(x) && !isnan(y))
                table[4 * i + 2 * (x == 0) + (y == 0)]++;
        }
}

static void odds_ratio(Case *one)
{
    const Array *table = input(one, "table", SHAPE(ANY, 2, 2));
    double added = number(one, "haldane") == 1 ? 0.5 : 0, z = normal_quantile(0.5 + number(one, "confidence") / 2);
    double *ratio = output(one, "ratio", F8, 1, table->shape), *low = output(one, "low", F8, 1, table->shape);
    double *high = output(one, "high", F8, 1, table->shape);
    for (size_t k = 0; k < table->shape[0]; k++) {
        const double *cells = table->values + 4 * k;
        double a = cells[0] + added, b = cells[1] + added, c = cells[2] + added, d = cells[3] + added;
        double margin = z * sqrt(1 / a + 1 / b + 1 / c + 1 / d);
        ratio[k] = a * d / (b * c);
        low[k] = exp(log(ratio[k]) - margin);
        high[k] = exp(log(ratio[k]) + margin);
    }
}

static void repair_counts(Case *one)
{
    const Array *truth = matrix(one, "truth");
    const double *noisy = like(one, "noisy", truth), *repaired = like(one, "repaired", truth);
    double errors = 0, right = 0, masked = 0, harmed = 0, lost = 0;
    for (size_t i = 0; i < truth->count; i++) {
        double label = truth->values[i];
        if (isnan(label) || isnan(noisy[i]))
            continue;
        bool unknown = isnan(repaired[i]), wrong = !unknown && repaired[i] != label;
        if (noisy[i] != label) {
            errors++;
            right += repaired[i] == label;
            masked += unknown;
        } else {
            harmed += wrong;
            lost += unknown;
        }
    }
    output_number(one, "errors", I8, errors);
    output_number(one, "repaired", I8, right);
    output_number(one, "masked", I8, masked);
    output_number(one, "harmed", I8, harmed);
    output_number(one, "lost", I8, lost);
}

static void sparse(Case *one)
{
    const Array *y = matrix(one, "y");
    size_t rows = y->shape[0], columns = y->shape[1], n = 0;
    double *indptr = output(one, "indptr", I8, SHAPE(rows + 1));
    for (size_t i = 0; i < y->count; i++)
        indptr[i / columns + 1] += y->values[i] != 0;
    for (size_t i = 0; i < rows; i++)
        indptr[i + 1] += indptr[i];
    double *indices = output(one, "indices", I8, SHAPE((size_t)indptr[rows]));
    double *unknown = output(one, "unknown", I8, SHAPE((size_t)indptr[rows]));
    for (size_t i = 0; i < y->count; i++)
        if (y->values[i] != 0) {
            indices[n] = (double)(i % columns);
            unknown[n++] = isnan(y->values[i]);
        }
}

const Function LABELS[] = {
    {"labels/or_join", or_join},
    {"labels/mixup", mixup},
    {"labels/mixup_batch", mixup_batch},
    {"labels/apply_gains", apply_gains},
    {"labels/correct_labels", correct_labels},
    {"labels/percentile_thresholds", percentile_thresholds},
    {"labels/percentile_mask", percentile_mask},
    {"labels/percentile_correct", percentile_correct},
    {"labels/positive_thresholds", positive_thresholds},
    {"labels/mean_threshold_correct", mean_threshold_correct},
    {"labels/above_threshold", above_threshold},
    {"labels/clap_probabilities", clap_probabilities},
    {"labels/clap_labels", clap_labels},
    {"labels/threshold_labels", threshold_labels},
    {"labels/robust_z_scores", robust_z_scores},
    {"labels/class_priors", class_priors},
    {"labels/contingency", contingency},
    {"labels/odds_ratio", odds_ratio},
    {"labels/repair_counts", repair_counts},
    {"labels/sparse", sparse},
    {NULL, NULL},
};
