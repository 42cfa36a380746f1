/* SPDX-License-Identifier: MIT */
/* --config FILE: options in a file, one a line, under the names they have on the command line. */
#ifndef AZBLOB_CONFIG_H
#define AZBLOB_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

/**
 * struct config - a command line with the lines of files in it
 * @argc, @argv: as main() gets them; each line "NAME VALUE" has become "--NAME" "VALUE" in the
 *	place of the --config that named its file, so a later one may add to it.
 *
 * The strings are of the original argv, and of here until config_free().
 */
struct config {
	int argc;
	char **argv;
	int room;
	char **text;
	size_t texts;
};

/* False: one line in @error.  config_free() in every case. */
bool config_expand(struct config *config, int argc, char **argv, char *error, size_t error_size);
void config_free(struct config *config);

#endif /* AZBLOB_CONFIG_H */
