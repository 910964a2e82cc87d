/* Inputs and answers of one case: .npy files read when they are asked for, written when the case is done.

   These functions end the program with one line on stderr where a file is missing, damaged or has not the shape
   that it should have. */
#ifndef CASES_H
#define CASES_H

#include "npy.h"

enum { MAX_ARRAYS = 40, MAX_NAME = 32 };
static const size_t ANY = (size_t)-1;

typedef struct {
    char in[ERROR_SIZE], out[ERROR_SIZE];
    Array *arrays[MAX_ARRAYS]; /* all that was read or will be written */
    char names[MAX_ARRAYS][MAX_NAME];
    bool written[MAX_ARRAYS];
    int count;
} Case;

/* SHAPE(n, 3) as arguments: number of axes and sizes */
#define SHAPE(...) (int)(sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t)), (const size_t[]){__VA_ARGS__}

/* An input whose sizes are as given, ANY where they may be anything. */
const Array *input(Case *one, const char *name, int axes, const size_t *shape);

/* An input of whatever axes. */
const Array *anything(Case *one, const char *name);

/* Values of an input that has the shape of another one. */
const double *like(Case *one, const char *name, const Array *other);

/* Inputs that are one number; `whole` is at least 0. */
double number(Case *one, const char *name);
size_t whole(Case *one, const char *name);

/* Inputs, vectors of whole numbers below limit, in memory that the caller frees. */
size_t *indices(Case *one, const char *name, size_t count, size_t limit);

/* Zeros that will be written under that name. */
double *output(Case *one, const char *name, Type type, int axes, const size_t *shape);
double *output_like(Case *one, const char *name, Type type, const Array *other);
void output_number(Case *one, const char *name, Type type, double value);

/* Memory, zeros; and the end of the program. */
void *allocate(size_t count, size_t size);
_Noreturn void die(const char *message);
_Noreturn void die_of(const Case *one, const char *name, const char *message);

typedef struct {
    const char *name; /* SECTION/FUNCTION */
    void (*answer)(Case *);
} Function;

extern const Function SOUND[], NETWORKS[], LABELS[], ONTOLOGY[], FRAMES[], METRICS[]; /* end with a NULL */

/* Answer all cases of these functions below a folder: how many. */
size_t answer_all(const Function *functions, const char *cases, const char *answers);

#endif
