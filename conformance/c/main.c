#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "acdnet.h"
#include "cases.h"

enum { MOST_SECONDS = 60 }; /* a clip is computed as a whole */

static const char USAGE[] =
    "Usage: acdref-c answers CASES ANSWERS                    answers what `acdref conform export` wrote\n"
    "       acdref-c tag WEIGHTS_FOLDER SOUND.wav             classes and their probabilities\n"
    "       acdref-c time WEIGHTS_FOLDER [SECONDS] [RUNS]     median ms of features and network\n";

static int answers(const char *from, const char *to)
{
    struct stat status;
    char error[ERROR_SIZE];
    if (stat(from, &status) || !S_ISDIR(status.st_mode)) {
        fail(error, from, "is not a folder");
        die(error);
    }
    const Function *sections[] = {SOUND, NETWORKS, LABELS, ONTOLOGY, FRAMES, METRICS};
    size_t answered = 0;
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        answered += answer_all(sections[i], from, to);
    if (!answered) {
        fail(error, from, "has no cases");
        die(error);
    }
    printf("%zu cases answered\n", answered);
    return 0;
}

static Acdnet *loaded(const char *folder)
{
    char error[ACDNET_ERROR_SIZE];
    Acdnet *net = acdnet_load(folder, error);
    if (!net)
        die(error);
    return net;
}

static uint32_t little(const unsigned char *bytes, int count)
{
    uint32_t value = 0;
    while (count-- > 0)
        value = value << 8 | bytes[count];
    return value;
}

/* Samples of a mono 16 kHz WAV file of 16-bit numbers, or NULL and why. */
static float *read_wav(FILE *file, size_t *n, const char **cause)
{
    unsigned char head[12], chunk[8], format[16] = {0}, pair[2];
    *cause = "is not a WAV file";
    if (fread(head, 1, 12, file) != 12 || memcmp(head, "RIFF", 4) != 0 || memcmp(head + 8, "WAVE", 4) != 0)
        return NULL;
    while (fread(chunk, 1, 8, file) == 8) {
        uint32_t size = little(chunk + 4, 4);
        if (!memcmp(chunk, "data", 4)) {
            *cause = "is not mono, 16 kHz, 16-bit PCM";
            uint32_t kind = little(format, 2); /* PCM, or the extensible form of it */
            if ((kind != 1 && kind != 0xFFFE) || little(format + 2, 2) != 1 ||
                little(format + 4, 4) != ACDNET_RATE || little(format + 14, 2) != 16)
                return NULL;
            *cause = "is longer than a minute: cut it";
            if (size / 2 > (uint32_t)MOST_SECONDS * ACDNET_RATE)
                return NULL;
            float *samples = allocate(size / 2, sizeof *samples);
            for (*n = 0; *n < size / 2 && fread(pair, 1, 2, file) == 2; ++*n)
                samples[*n] = (float)(int16_t)little(pair, 2) / 32768;
            return samples;
        }
        size_t kept = !memcmp(chunk, "fmt ", 4) ? (size < 16 ? size : 16) : 0;
        if (fread(format, 1, kept, file) != kept || fseek(file, (long)(size + (size & 1)) - (long)kept, SEEK_CUR))
            return NULL;
    }
    return NULL;
}

/* A name's place in names.txt, which has one in each line, or the number of the class. */
static void print_class(FILE *names, size_t number, float probability)
{
    char name[256];
    if (names && fgets(name, sizeof name, names))
        name[strcspn(name, "\r\n")] = '\0';
    else
        snprintf(name, sizeof name, "%zu", number);
    printf("%s\t%.4f\n", name, probability);
}

static int tag(const char *folder, const char *sound)
{
    char error[ACDNET_ERROR_SIZE], path[ERROR_SIZE];
    const char *cause;
    size_t n = 0;
    Acdnet *net = loaded(folder);
    FILE *file = fopen(sound, "rb");
    float *samples = file ? read_wav(file, &n, &cause) : NULL;
    if (file)
        fclose(file);
    if (!samples) {
        fail(error, sound, "%s", file ? cause : "cannot be opened");
        die(error);
    }
    size_t frames = acdnet_frames(n);
    float *features = allocate(frames * ACDNET_FRAME, sizeof *features);
    float *probabilities = allocate(acdnet_classes(net), sizeof *probabilities);
    if (!acdnet_features(samples, n, features))
        die("out of memory");
    if (!acdnet_probabilities(net, features, frames, probabilities, error)) {
        char both[ERROR_SIZE];
        fail(both, sound, "%s", error);
        die(both);
    }
    FILE *names = snprintf(path, sizeof path, "%s/names.txt", folder) < (int)sizeof path ? fopen(path, "r") : NULL;
    for (size_t i = 0; i < acdnet_classes(net); i++)
        print_class(names, i, probabilities[i]);
    if (names)
        fclose(names);
    free(samples);
    free(features);
    free(probabilities);
    acdnet_free(net);
    return 0;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return 1e3 * (double)time.tv_sec + 1e-6 * (double)time.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *times, size_t n)
{
    qsort(times, n, sizeof *times, ascending);
    return (times[(n - 1) / 2] + times[n / 2]) / 2;
}

static int time_runs(const char *folder, double seconds, double count)
{
    if (!(seconds > 0 && seconds <= MOST_SECONDS && count >= 1 && count <= 1e6))
        die("SECONDS must lie in 0 to 60, RUNS in 1 to 1000000");
    char error[ACDNET_ERROR_SIZE];
    size_t n = (size_t)(seconds * ACDNET_RATE), frames = acdnet_frames(n), runs = (size_t)count;
    Acdnet *net = loaded(folder);
    float *samples = allocate(n, sizeof *samples), *features = allocate(frames * ACDNET_FRAME, sizeof *features);
    float *probabilities = allocate(acdnet_classes(net), sizeof *probabilities);
    double *times = allocate(2 * runs, sizeof *times);
    uint32_t noise = 1;
    for (size_t i = 0; i < n; i++) {
        noise = noise * 1664525u + 1013904223u;
        samples[i] = (float)(noise >> 8) / (1 << 23) - 1;
    }
    for (size_t i = 0; i <= runs; i++) { /* the first one is not counted */
        double start = now();
        if (!acdnet_features(samples, n, features))
            die("out of memory");
        double middle = now();
        if (!acdnet_probabilities(net, features, frames, probabilities, error))
            die(error);
        times[i ? i - 1 : 0] = middle - start;
        times[runs + (i ? i - 1 : 0)] = now() - middle;
    }
    printf("features\t%.2f ms\nnetwork\t%.2f ms\n", median(times, runs), median(times + runs, runs));
    free(samples);
    free(features);
    free(probabilities);
    free(times);
    acdnet_free(net);
    return 0;
}

int main(int count, char **words)
{
    if (count == 4 && !strcmp(words[1], "answers"))
        return answers(words[2], words[3]);
    if (count == 4 && !strcmp(words[1], "tag"))
        return tag(words[2], words[3]);
    if (count >= 3 && count <= 5 && !strcmp(words[1], "time"))
        return time_runs(words[2], count > 3 ? atof(words[3]) : 10, count > 4 ? atof(words[4]) : 10);
    fputs(USAGE, stderr);
    return 2;
}
