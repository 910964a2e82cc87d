#define _POSIX_C_SOURCE 200809L
#include "cases.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void die(const char *message)
{
    fprintf(stderr, "%s\n", message);
    exit(1);
}

static void path_of(char *path, const char *folder, const char *name, const char *suffix)
{
    if (snprintf(path, ERROR_SIZE, "%s/%s%s", folder, name, suffix) >= ERROR_SIZE)
        die("a path is too long");
}

void die_of(const Case *one, const char *name, const char *message)
{
    char path[ERROR_SIZE], error[ERROR_SIZE];
    path_of(path, one->in, name, ".npy");
    fail(error, path, "%s", message);
    die(error);
}

void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    if (!memory)
        die("out of memory");
    return memory;
}

static Array *remember(Case *one, const char *name, bool written)
{
    if (one->count == MAX_ARRAYS || snprintf(one->names[one->count], MAX_NAME, "%s", name) >= MAX_NAME)
        die("a case has too many arrays, or too long a name");
    one->written[one->count] = written;
    return one->arrays[one->count++] = allocate(1, sizeof(Array));
}

const Array *anything(Case *one, const char *name)
{
    char path[ERROR_SIZE], error[ERROR_SIZE];
    Array *array = remember(one, name, false);
    path_of(path, one->in, name, ".npy");
    if (!npy_read(path, array, error))
        die(error);
    return array;
}

const Array *input(Case *one, const char *name, int axes, const size_t *shape)
{
    const Array *array = anything(one, name);
    bool good = array->axes == axes;
    for (int i = 0; good && i < axes; i++)
        good = shape[i] == ANY || shape[i] == array->shape[i];
    if (!good)
        die_of(one, name, "has a shape that does not fit");
    return array;
}

const double *like(Case *one, const char *name, const Array *other)
{
    return input(one, name, other->axes, other->shape)->values;
}

double number(Case *one, const char *name)
{
    return input(one, name, 0, NULL)->values[0];
}

static size_t checked(const Case *one, const char *name, double value, size_t limit)
{
    if (!(value >= 0 && value < (double)limit && value == floor(value)))
        die_of(one, name, "has a number that is out of range");
    return (size_t)value;
}

size_t whole(Case *one, const char *name)
{
    return checked(one, name, number(one, name), (size_t)1 << 32);
}

size_t *indices(Case *one, const char *name, size_t count, size_t limit)
{
    const Array *array = input(one, name, SHAPE(count));
    size_t *found = allocate(array->count, sizeof *found);
    for (size_t i = 0; i < array->count; i++)
        found[i] = checked(one, name, array->values[i], limit);
    return found;
}

double *output(Case *one, const char *name, Type type, int axes, const size_t *shape)
{
    Array *array = remember(one, name, true);
    array->type = type;
    array->axes = axes;
    array->count = 1;
    for (int i = 0; i < axes; i++) {
        if (shape[i] && array->count > SIZE_MAX / 16 / shape[i])
            die("an answer is too large");
        array->count *= array->shape[i] = shape[i];
    }
    return array->values = allocate(array->count, sizeof *array->values);
}

double *output_like(Case *one, const char *name, Type type, const Array *other)
{
    return output(one, name, type, other->axes, other->shape);
}

void output_number(Case *one, const char *name, Type type, double value)
{
    *output(one, name, type, 0, NULL) = value;
}

static void make_folders(char *path)
{
    for (char *end = path + 1; *end; end++)
        if (*end == '/') {
            *end = '\0';
            mkdir(path, 0777); /* where that fails, writing does so too */
            *end = '/';
        }
}

static void finish(Case *one)
{
    char path[ERROR_SIZE], error[ERROR_SIZE];
    for (int i = 0; i < one->count; i++) {
        if (one->written[i]) {
            path_of(path, one->out, one->names[i], ".npy");
            make_folders(path);
            if (!npy_write(path, one->arrays[i], error))
                die(error);
        }
        free(one->arrays[i]->values);
        free(one->arrays[i]);
    }
}

size_t answer_all(const Function *functions, const char *cases, const char *answers)
{
    size_t answered = 0;
    for (; functions->name; functions++) {
        char from[ERROR_SIZE], to[ERROR_SIZE];
        path_of(from, cases, functions->name, "");
        path_of(to, answers, functions->name, "");
        DIR *folder = opendir(from);
        if (!folder && errno != ENOENT)
            die_of(&(Case){.in = ""}, functions->name, strerror(errno));
        for (struct dirent *entry; folder && (entry = readdir(folder));)
            if (entry->d_name[0] != '.') {
                Case one = {.count = 0};
                path_of(one.in, from, entry->d_name, "/in");
                path_of(one.out, to, entry->d_name, "");
                functions->answer(&one);
                finish(&one);
                answered++;
            }
        if (folder)
            closedir(folder);
    }
    return answered;
}
