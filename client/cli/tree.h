/* SPDX-License-Identifier: MIT */
/*
 * Paths of which only the beginning was given to the command and the rest follows from names that
 * it found: below that beginning no link is followed, whoever puts one there and when.  Each
 * directory on the way is opened from the one before, and what is then done happens by name in the
 * last of them, so that nothing can be exchanged between a look and the act.
 */
#ifndef AZBLOB_CLI_TREE_H
#define AZBLOB_CLI_TREE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Opens the directory that @path is in.  @root: characters of it that were given, and are followed
 * wherever they lead; 0: all of them, and the directory has no other condition than to be there.
 * With @make those that are missing below @root are made.  *name: the last part, within @path.
 *
 * The caller closes the descriptor (O_PATH).  -1 with errno: ELOOP where a link is in the way.
 */
int tree_parent(const char *path, size_t root, bool make, const char **name);

/*
 * Opens a file to be read; below a @root (as above, not 0) it has to be a regular one, which is
 * what it was when it was found.  -1 with errno: ELOOP for a link, EINVAL for what is no file.
 */
int tree_open(const char *path, size_t root);

/*
 * Opens a directory that was found in @at, to be read, so that what is found there is of the tree.
 * -1 with errno: ELOOP for a link.
 */
int tree_open_directory(int at, const char *name);

/* What errno of these says to a person: "is a link, which is not followed", or strerror()'s. */
const char *tree_error(int sys_errno);

#endif /* AZBLOB_CLI_TREE_H */
