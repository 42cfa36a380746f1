/* SPDX-License-Identifier: MIT */
/* azblob-vspd check and azblob-vspd backup: work on a store, without serving it. */
#ifndef AZBLOB_TOOLS_H
#define AZBLOB_TOOLS_H

#include <stdbool.h>

/*
 * Does @argv[1] name such work?  Then it is done, and *@status is for exit(): 0, 1 for problems
 * that were found, 2 for a bad command line or a store that can't be opened.
 */
bool tools_run(int argc, char **argv, int *status);

#endif /* AZBLOB_TOOLS_H */
