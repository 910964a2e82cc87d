/* Frames, windows, soft labels, folds: docs/conformance.md, from "Frames from events" to "Folds and verification". */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "cases.h"

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

/* ---- Frames from events: all times are whole milliseconds ---- */

typedef struct {
    size_t events, n_classes, frames;
    int64_t *onset, *offset;
    size_t *classes;
    int64_t frame, hop, start;
} Events;

static int64_t milliseconds(const Case *one, const char *name, double seconds)
{
    if (!(fabs(seconds) < 1e12))
        die_of(one, name, "has a time that is out of range");
    return (int64_t)nearbyint(seconds * 1000);
}

static size_t fitting(int64_t length, int64_t window, int64_t hop)
{
    return length < window ? 0 : (size_t)((length - window) / hop + 1);
}

static Events events_of(Case *one)
{
    const Array *times = input(one, "events", SHAPE(ANY, 2));
    Events all = {.events = times->shape[0], .n_classes = whole(one, "n_classes")};
    all.frame = milliseconds(one, "frame", number(one, "frame"));
    all.hop = milliseconds(one, "hop", number(one, "hop"));
    all.start = milliseconds(one, "start", number(one, "start"));
    if (all.hop <= 0)
        die_of(one, "hop", "is not positive");
    all.frames = fitting(milliseconds(one, "duration", number(one, "duration")) - all.start, all.frame, all.hop);
    all.classes = indices(one, "classes", all.events, all.n_classes);
    all.onset = allocate(all.events, sizeof *all.onset);
    all.offset = allocate(all.events, sizeof *all.offset);
    for (size_t e = 0; e < all.events; e++) {
        all.onset[e] = milliseconds(one, "events", times->values[2 * e]);
        all.offset[e] = milliseconds(one, "events", times->values[2 * e + 1]);
    }
#ifdef WRONG_FRAMING /* a deliberate mistake, for the tests: events of a class that touch or overlap are merged */
    for (size_t i = 0; i < all.events * all.events * all.events; i++) {
        size_t a = i % all.events, b = i / all.events % all.events;
        if (all.classes[a] == all.classes[b] && all.onset[a] <= all.offset[b] && all.onset[b] <= all.offset[a]) {
            all.onset[a] = all.onset[b] = all.onset[a] < all.onset[b] ? all.onset[a] : all.onset[b];
            all.offset[a] = all.offset[b] = all.offset[a] > all.offset[b] ? all.offset[a] : all.offset[b];
        }
    }
#endif
    return all;
}

static void free_events(Events *all)
{
    free(all->onset);
    free(all->offset);
    free(all->classes);
}

/* Give `value` to every frame and class that an event marks. */
static void mark(const Events *all, double share, double value, double *present)
{
    for (size_t e = 0; e < all->events; e++) {
        int64_t onset = all->onset[e], offset = all->offset[e], length = offset - onset;
        double needed = ceil(share * (double)(length < all->frame ? length : all->frame));
        for (size_t k = 0; k < all->frames && length > 0; k++) {
            int64_t from = all->start + (int64_t)k * all->hop, to = from + all->frame;
            int64_t overlap = (offset < to ? offset : to) - (onset > from ? onset : from);
            if (overlap >= 1 && (double)overlap >= needed)
                present[k * all->n_classes + all->classes[e]] = value;
        }
    }
}

static void frame_events(Case *one)
{
    Events all = events_of(one);
    mark(&all, number(one, "share"), 1, output(one, "present", I8, SHAPE(all.frames, all.n_classes)));
    free_events(&all);
}

/* Give `value` to all frames of a class. */
static void fill(double *labels, size_t frames, size_t classes, size_t c, double value)
{
    for (size_t k = 0; k < frames; k++)
        labels[k * classes + c] = value;
}

/* Whether a class is 1 in some frame. */
static bool occurs(const double *present, size_t frames, size_t classes, size_t c)
{
    bool found = false;
    for (size_t k = 0; k < frames; k++)
        found = found || present[k * classes + c] == 1;
    return found;
}

static void complementary_negatives(Case *one)
{
    const Array *present = input(one, "present", SHAPE(ANY, ANY));
    size_t frames = present->shape[0], classes = present->shape[1];
    double *negatives = output_like(one, "negatives", I8, present);
    for (size_t i = 0; i < present->count; i++)
        negatives[i] = present->values[i] == 0 && occurs(present->values, frames, classes, i % classes);
}

static void frame_labels(Case *one)
{
    Events all = events_of(one);
    size_t classes = all.n_classes, *absent = indices(one, "absent", ANY, classes);
    size_t n_absent = anything(one, "absent")->count;
    double *labels = output(one, "labels", F8, SHAPE(all.frames, classes));
    mark(&all, 0.5, 1, labels);
    for (size_t c = 0; c < classes; c++)
        fill(labels, all.frames, classes, c, occurs(labels, all.frames, classes, c) ? 0 : NAN);
    if (number(one, "guard") == 1)
        mark(&all, 0, NAN, labels);
    for (size_t i = 0; i < n_absent; i++) {
        bool event = false;
        for (size_t e = 0; e < all.events; e++)
            event = event || (all.classes[e] == absent[i] && all.offset[e] > all.onset[e]);
        if (!event)
            fill(labels, all.frames, classes, absent[i], 0);
    }
    mark(&all, 0.5, 1, labels);
    free(absent);
    free_events(&all);
}

static void diffuse(Case *one)
{
    const Array *labels = input(one, "labels", SHAPE(ANY, ANY));
    size_t frames = labels->shape[0], classes = labels->shape[1];
    const double *tagged = input(one, "tagged", SHAPE(classes))->values;
    double *out = output_like(one, "diffuse", F8, labels);
    for (size_t i = 0; i < labels->count; i++) {
        bool everywhere = tagged[i % classes] == 1 || occurs(labels->values, frames, classes, i % classes);
        out[i] = everywhere ? 1 : labels->values[i];
    }
}

/* ---- Windows and soft labels ---- */

static void windows(Case *one)
{
    double duration = nearbyint(number(one, "duration") * 10) / 10, window = number(one, "window");
    double hop = number(one, "hop"), count = fmax(ceil(duration / hop - 1e-9), 0);
    if (!(count < 1e9))
        die_of(one, "hop", "gives too many windows");
    double *out = output(one, "windows", F8, SHAPE((size_t)count, 2));
    for (size_t k = 0; k < (size_t)count; k++) {
        out[2 * k] = (double)k * hop;
        out[2 * k + 1] = smaller((double)k * hop + window, duration);
    }
}

static void window_samples(Case *one)
{
    const Array *times = input(one, "windows", SHAPE(ANY, 2));
    double rate = number(one, "sr"), *samples = output_like(one, "samples", I8, times);
    for (size_t i = 0; i < times->count; i++)
        samples[i] = floor(times->values[i] * rate);
}

static void inference_windows(Case *one)
{
    int64_t length = (int64_t)whole(one, "n_samples"), window = (int64_t)whole(one, "window");
    int64_t hop = (int64_t)whole(one, "hop");
    if (!hop)
        die_of(one, "hop", "is 0");
    size_t count = fitting(length, window, hop);
    double *samples = output(one, "samples", I8, SHAPE(count, 2));
    for (size_t k = 0; k < count; k++) {
        samples[2 * k] = (double)((int64_t)k * hop);
        samples[2 * k + 1] = samples[2 * k] + (double)window;
    }
}

static void pad_batch(Case *one)
{
    const Array *samples = input(one, "samples", SHAPE(ANY));
    size_t clips = anything(one, "lengths")->count, longest = 0, used = 0;
    size_t *lengths = indices(one, "lengths", clips, samples->count + 1);
    for (size_t i = 0; i < clips; i++) {
        longest = lengths[i] > longest ? lengths[i] : longest;
        used += lengths[i];
    }
    if (used != samples->count)
        die_of(one, "lengths", "has another sum than there are samples");
    double *batch = output(one, "batch", F4, SHAPE(clips, longest)), *from = samples->values;
    for (size_t i = 0; i < clips; i++)
        for (size_t j = 0; j < lengths[i]; j++)
            batch[i * longest + j] = *from++;
    free(lengths);
}

static void soft_labels(Case *one)
{
    const Array *teacher = input(one, "teacher", SHAPE(ANY, ANY));
    const double *weak = like(one, "weak", teacher);
    double mix = number(one, "mix"), *targets = output_like(one, "targets", F8, teacher);
    for (size_t i = 0; i < teacher->count; i++) {
        double score = teacher->values[i];
        if (isnan(score))
            targets[i] = weak[i];
        else
            targets[i] = mix == 1 ? score : mix * score + (1 - mix) * weak[i];
    }
}

static void label_counts(Case *one)
{
    const Array *p = input(one, "p", SHAPE(ANY, ANY));
    size_t rows = p->shape[0], classes = p->shape[1];
    double threshold = number(one, "threshold"), total = 0, *share = output(one, "share", F8, SHAPE(classes + 1));
    for (size_t i = 0; i < rows; i++) {
        size_t count = 0;
        for (size_t c = 0; c < classes; c++)
            count += p->values[i * classes + c] > threshold;
        share[count]++;
        total += (double)count;
    }
    for (size_t k = 0; k <= classes; k++)
        share[k] /= (double)rows;
    output_number(one, "mean", F8, total / (double)rows);
}

/* ---- Folds and verification ---- */

static void mean_posterior(Case *one)
{
    const Array *probs = input(one, "probs", SHAPE(ANY, ANY, ANY));
    size_t size = probs->shape[1] * probs->shape[2];
    double *mean = output(one, "mean", F8, 2, probs->shape + 1);
    for (size_t i = 0; i < probs->count; i++)
        mean[i % size] += probs->values[i] / (double)probs->shape[0];
}

static void fix_length(Case *one)
{
    const Array *spec = input(one, "spec", SHAPE(ANY, ANY));
    size_t bins = spec->shape[0], length = spec->shape[1], n = whole(one, "n");
    if (!length)
        die_of(one, "spec", "has no columns");
    double *fixed = output(one, "fixed", F8, SHAPE(bins, n));
    for (size_t i = 0; i < bins * n; i++)
        fixed[i] = spec->values[i / n * length + i % n % length];
}

/* Whether an unverified clip's label is its most probable class, probable enough. */
static bool qualifies(const double *row, size_t classes, size_t label, double threshold)
{
    bool good = isnan(threshold) || row[label] >= threshold;
    for (size_t c = 0; good && c < classes; c++)
        good = c < label ? row[c] < row[label] : row[c] <= row[label];
    return good;
}

static void verify(Case *one)
{
    const Array *probs = input(one, "probs", SHAPE(ANY, ANY));
    size_t clips = probs->shape[0], classes = probs->shape[1], *labels = indices(one, "labels", clips, classes);
    const double *verified = input(one, "verified", SHAPE(clips))->values, *p = probs->values;
    double threshold = number(one, "threshold"), cap = number(one, "cap");
    double *accepted = output(one, "accepted", I8, SHAPE(clips));
    bool *good = allocate(clips, sizeof *good);
    for (size_t i = 0; i < clips; i++)
        good[i] = verified[i] != 1 && qualifies(p + i * classes, classes, labels[i], threshold);
    for (size_t i = 0; i < clips; i++) {
        double before = 0, score = p[i * classes + labels[i]]; /* clips of the class that come first */
        for (size_t j = 0; j < clips; j++) {
            double other = p[j * classes + labels[j]];
            before += good[j] && labels[j] == labels[i] && (other > score || (other == score && j < i));
        }
        accepted[i] = verified[i] == 1 || (good[i] && (cap < 0 || before < cap));
    }
    free(good);
    free(labels);
}

/* Folds of the clips of one part: those whose flag is so. */
static void split(const Array *labels, const double *flags, double flag, size_t n_folds, bool balanced, double *folds)
{
    size_t clips = labels->count, dealt = 0;
    bool *done = allocate(clips, sizeof *done);
    for (size_t i = 0; i < clips; i++) { /* the first clip of a class deals all of it */
        if (flags[i] != flag || done[i])
            continue;
        size_t n = 0, first = balanced ? dealt % n_folds : 0, fold = 0, left;
        for (size_t j = i; j < clips; j++)
            n += flags[j] == flag && labels->values[j] == labels->values[i];
        left = n / n_folds + ((n_folds - first) % n_folds < n % n_folds);
        for (size_t j = i; j < clips; j++) {
            if (flags[j] != flag || labels->values[j] != labels->values[i])
                continue;
            while (!left) {
                fold++;
                left = n / n_folds + ((fold + n_folds - first) % n_folds < n % n_folds);
            }
            folds[j] = (double)fold;
            done[j] = true;
            left--;
        }
        dealt += n;
    }
    free(done);
}

static void split_both(Case *one, const Array *labels, const char *flags_name)
{
    const double *flags = input(one, flags_name, SHAPE(labels->count))->values;
    size_t n_folds = whole(one, "n_folds");
    bool balanced = number(one, "leftovers") == 0;
    if (!n_folds)
        die_of(one, "n_folds", "is 0");
    double *folds = output_like(one, "folds", I8, labels);
    split(labels, flags, 1, n_folds, balanced, folds);
    split(labels, flags, 0, n_folds, balanced, folds);
}

static void stratified_folds(Case *one)
{
    split_both(one, input(one, "labels", SHAPE(ANY)), "verified");
}

static void round_folds(Case *one)
{
    split_both(one, input(one, "labels", SHAPE(ANY)), number(one, "refold") == 1 ? "verified" : "official");
}

const Function FRAMES[] = {
    {"labels/frame_events", frame_events},
    {"labels/complementary_negatives", complementary_negatives},
    {"labels/frame_labels", frame_labels},
    {"labels/diffuse", diffuse},
    {"labels/windows", windows},
    {"labels/window_samples", window_samples},
    {"labels/inference_windows", inference_windows},
    {"labels/pad_batch", pad_batch},
    {"labels/soft_labels", soft_labels},
    {"labels/label_counts", label_counts},
    {"labels/mean_posterior", mean_posterior},
    {"labels/fix_length", fix_length},
    {"labels/verify", verify},
    {"labels/stratified_folds", stratified_folds},
    {"labels/round_folds", round_folds},
    {NULL, NULL},
};
