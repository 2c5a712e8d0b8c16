/* Whole files in and out of memory; a written file is either the old one or the new one, never half of each. */
#ifndef LX_FILE_H
#define LX_FILE_H

#include "error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const void *bytes;
    size_t size;
} lx_chunk;

/* Writes the chunks, one after the other, to a new file that takes the place of `path` once it is safely on disk.
   Until then the old file is untouched, and a failure leaves no temporary file behind; those that killed processes left
   in the same directory are removed. A symbolic link is followed; anything that exists and is not a regular file is
   refused. */
lx_code lx_file_write(const char *path, const lx_chunk *chunks, size_t count, lx_error *error);

/* The same piece by piece. The pieces may be added by several threads at once, in any order. */
typedef struct {
    int file;
    char *target, *name; /* what it will be called, and what it is called until then */
    size_t directory;    /* how much of both names is the directory */
    int mode;            /* of the file it replaces; -1: there is none */
} lx_new_file;

lx_code lx_file_begin(lx_new_file *self, const char *path, lx_error *error);
lx_code lx_file_put(const lx_new_file *self, uint64_t offset, const void *bytes, size_t size, lx_error *error);
/* Puts it where it belongs. The file is gone if that fails, as it is after lx_file_abandon. */
lx_code lx_file_commit(lx_new_file *self, lx_error *error);
void lx_file_abandon(lx_new_file *self);

/* Reads a regular file of at most `limit` bytes; the caller frees `*bytes`, which is never NULL on success. */
lx_code lx_file_read(const char *path, size_t limit, uint8_t **bytes, size_t *size, lx_error *error);

/* A file's bytes in memory, read when they are first touched; a counted reference. What is written there stays in
   memory and does not reach the file. While it is open nobody may shorten the file; one that lx_file_write replaces
   lives on. */
typedef struct {
    atomic_int references;
    uint8_t *bytes; /* NULL if there are none */
    size_t size;
} lx_mapping;

/* Maps a regular file; NULL and an error if that cannot be. */
lx_mapping *lx_file_map(const char *path, lx_error *error);
/* The same for bytes that are in no file: zeros, until something is written. */
lx_mapping *lx_mapping_new(size_t size, lx_error *error);
lx_mapping *lx_mapping_retain(lx_mapping *mapping);
void lx_mapping_release(void *mapping);

/* Keeps other processes, and other parts of this one, from locking the same folder; the lock ends with close(), and
   with the process however it ends. -1 where another one has it, and *busy is set, or with an error. On file systems
   without locks there is a descriptor all the same. */
int lx_folder_lock(const char *path, bool *busy, lx_error *error);

#endif
