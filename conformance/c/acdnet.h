/* ACDnet for programs in C: 16 kHz sound to features to probabilities of sound classes.

       char error[ACDNET_ERROR_SIZE];
       Acdnet *net = acdnet_load("weights", error);
       float *features = malloc(acdnet_frames(n) * ACDNET_FRAME * sizeof *features);
       float *probabilities = malloc(acdnet_classes(net) * sizeof *probabilities);
       acdnet_features(samples, n, features);
       acdnet_probabilities(net, features, acdnet_frames(n), probabilities, error);
       acdnet_free(net);

   Compile features.c, acdnet.c and npy.c with your program and link with -lm.  Nothing is printed, nothing
   global is kept. */
#ifndef ACDNET_H
#define ACDNET_H

#include <stdbool.h>
#include <stddef.h>

enum {
    ACDNET_ERROR_SIZE = 1024,
    ACDNET_RATE = 16000, /* Hz */
    ACDNET_BINS = 257,
    ACDNET_FRAME = 2 * ACDNET_BINS, /* floats of a frame of features */
    ACDNET_LEAST_FRAMES = 130       /* 33,536 samples, 2.1 s */
};

/* A network; it has its own working memory, so give every thread one of its own. */
typedef struct Acdnet Acdnet;

/* The network whose parameters lie in a folder, one .npy each; NULL and "FILE: cause" if one is wrong. */
Acdnet *acdnet_load(const char *folder, char error[ACDNET_ERROR_SIZE]);
void acdnet_free(Acdnet *net);
size_t acdnet_classes(const Acdnet *net);

/* How many frames so many samples have. */
size_t acdnet_frames(size_t samples);

/* Compressed spectrogram (frames, 257, 2) of samples in [-1, 1]; false if memory is short. */
bool acdnet_features(const float *samples, size_t n, float *features);

/* Probabilities (classes,) of one clip's features (frames, 257, 2). */
bool acdnet_probabilities(Acdnet *net, const float *features, size_t frames, float *probabilities,
                          char error[ACDNET_ERROR_SIZE]);

/* The same before the sigmoid.  watch, if it is not NULL, is shown the output (T, F, C) of every layer. */
typedef void AcdnetWatch(void *context, const char *layer, const float *map, size_t rows, size_t bins,
                         size_t channels);
bool acdnet_logits(Acdnet *net, const float *features, size_t frames, float *logits,
                   AcdnetWatch *watch, void *context, char error[ACDNET_ERROR_SIZE]);

#endif
