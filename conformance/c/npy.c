#include "npy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char MAGIC[8] = "\x93NUMPY\x01\x00";
static const char *const DESCR[] = {[F4] = "<f4", [F8] = "<f8", [I8] = "<i8"};
static const size_t WIDTH[] = {[F4] = 4, [F8] = 8, [I8] = 8};

bool fail(char *error, const char *path, const char *message, ...)
{
    int used = snprintf(error, ERROR_SIZE, "%s: ", path);
    if (used < 0 || used >= ERROR_SIZE)
        return false;
    va_list arguments;
    va_start(arguments, message);
    vsnprintf(error + used, (size_t)(ERROR_SIZE - used), message, arguments);
    va_end(arguments);
    return false;
}

/* What stands behind 'KEY': in the header, or NULL. */
static const char *entry(const char *header, const char *key)
{
    char quoted[32];
    if (snprintf(quoted, sizeof quoted, "'%s':", key) < 0)
        return NULL;
    const char *found = strstr(header, quoted);
    return found ? found + strlen(quoted) + strspn(found + strlen(quoted), " ") : NULL;
}

static bool parse(const char *header, Array *array)
{
    const char *descr = entry(header, "descr"), *order = entry(header, "fortran_order");
    const char *shape = entry(header, "shape");
    if (!descr || !order || !shape || strncmp(order, "False", 5) != 0 || *shape++ != '(')
        return false;
    int type = F4;
    while (type <= I8 && (*descr == '\0' || strncmp(descr + 1, DESCR[type], 3) != 0))
        type++;
    if (type > I8)
        return false;
    array->type = (Type)type;
    array->count = 1;
    for (array->axes = 0; *(shape += strspn(shape, ", ")) != ')'; array->axes++) {
        if (*shape < '0' || *shape > '9' || array->axes == MAX_AXES)
            return false;
        char *end;
        unsigned long long size = strtoull(shape, &end, 10);
        if (size > SIZE_MAX / 16 || (size && array->count > SIZE_MAX / 16 / size))
            return false;
        array->shape[array->axes] = (size_t)size;
        array->count *= (size_t)size;
        shape = end;
    }
    return true;
}

/* A number from its bytes, whichever order of bytes this machine has. */
static double decode(const unsigned char *bytes, Type type)
{
    uint64_t bits = 0;
    for (size_t i = WIDTH[type]; i-- > 0;)
        bits = bits << 8 | bytes[i];
    if (type == F4) {
        uint32_t half = (uint32_t)bits;
        float value;
        memcpy(&value, &half, sizeof value);
        return value;
    }
    if (type == F8) {
        double value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    int64_t value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static void encode(double value, Type type, unsigned char *bytes)
{
    uint64_t bits = 0;
    if (type == F4) {
        float single = (float)value;
        uint32_t half;
        memcpy(&half, &single, sizeof half);
        bits = half;
    } else if (type == F8) {
        memcpy(&bits, &value, sizeof bits);
    } else {
        bits = (uint64_t)(int64_t)value;
    }
    for (size_t i = 0; i < WIDTH[type]; i++, bits >>= 8)
        bytes[i] = (unsigned char)bits;
}

static bool read_open(FILE *file, const char *path, Array *array, char *error)
{
    unsigned char start[10];
    char header[UINT16_MAX + 1];
    if (fread(start, 1, sizeof start, file) != sizeof start || memcmp(start, MAGIC, sizeof MAGIC) != 0)
        return fail(error, path, "is not a .npy file of version 1.0");
    size_t length = start[8] + 256u * start[9];
    if (fread(header, 1, length, file) != length)
        return fail(error, path, "is cut off");
    header[length] = '\0';
    if (!parse(header, array))
        return fail(error, path, "is not an array of <f4, <f8 or <i8 in C order");
    size_t bytes = array->count * WIDTH[array->type];
    if (fseek(file, 0, SEEK_END) || ftell(file) < 0 || (size_t)ftell(file) != sizeof start + length + bytes)
        return fail(error, path, "has not the size that its header says");
    fseek(file, (long)(sizeof start + length), SEEK_SET);
    unsigned char *raw = malloc(bytes + 1);
    array->values = malloc((array->count + 1) * sizeof *array->values);
    bool good = raw && array->values && fread(raw, 1, bytes, file) == bytes;
    for (size_t i = 0; good && i < array->count; i++)
        array->values[i] = decode(raw + i * WIDTH[array->type], array->type);
    free(raw);
    if (!good) {
        free(array->values);
        array->values = NULL;
        return fail(error, path, "cannot be read");
    }
    return true;
}

bool npy_read(const char *path, Array *array, char *error)
{
    *array = (Array){0};
    FILE *file = fopen(path, "rb");
    if (!file)
        return fail(error, path, "%s", strerror(errno));
    bool good = read_open(file, path, array, error);
    fclose(file);
    return good;
}

bool npy_write(const char *path, const Array *array, char *error)
{
    char shape[MAX_AXES * 24] = "", header[256];
    size_t used = 0;
    for (int i = 0; i < array->axes; i++)
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%zu, ", array->shape[i]);
    int length = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }\n",
                          DESCR[array->type], shape);
    FILE *file = fopen(path, "wb");
    if (!file)
        return fail(error, path, "%s", strerror(errno));
    unsigned char sizes[2] = {(unsigned char)(length & 255), (unsigned char)(length >> 8)}, bytes[8];
    bool good = fwrite(MAGIC, 1, sizeof MAGIC, file) == sizeof MAGIC && fwrite(sizes, 1, 2, file) == 2 &&
                fwrite(header, 1, (size_t)length, file) == (size_t)length;
    for (size_t i = 0; good && i < array->count; i++) {
        encode(array->values[i], array->type, bytes);
        good = fwrite(bytes, 1, WIDTH[array->type], file) == WIDTH[array->type];
    }
    if (fclose(file) || !good)
        return fail(error, path, "cannot be written");
    return true;
}
