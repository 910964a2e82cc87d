/* Arrays of numbers in .npy files: version 1.0, little-endian <f4, <f8 or <i8, C order. */
#ifndef NPY_H
#define NPY_H

#include <stdbool.h>
#include <stddef.h>

enum { ERROR_SIZE = 1024, MAX_AXES = 6 };

typedef enum { F4, F8, I8 } Type;

/* All numbers are float64 in memory: it holds every float32, and the integers that occur here. */
typedef struct {
    Type type; /* in the file */
    int axes;
    size_t shape[MAX_AXES]; /* the last axis runs fastest */
    size_t count;
    double *values; /* from malloc */
} Array;

/* Both return false, with "PATH: cause" in error[ERROR_SIZE], if something is wrong. */
bool npy_read(const char *path, Array *array, char *error);
bool npy_write(const char *path, const Array *array, char *error);

/* Writes "path: message" into error[ERROR_SIZE] and returns false. */
bool fail(char *error, const char *path, const char *message, ...);

#endif
