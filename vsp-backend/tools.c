// SPDX-License-Identifier: MIT
#include "tools.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "store/local/check.h"

#define BAD 2

/* Problems on standard output, as that is what was asked for. */
static void say(void *context, bool problem, const char *line)
{
	const char *path = context;

	printf("%s: %s%s\n", path, problem ? "" : "note: ", line);
}

static int bad(const char *line)
{
	fprintf(stderr, "azblob-vspd: %s\n", line);
	return BAD;
}

static int check(int argc, char **argv)
{
	struct check_result result;
	const char *path = NULL;
	char error[400];
	bool data = false;

	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "--data"))
			data = true;
		else if (argv[i][0] == '-' || path)
			return bad("check: usage: azblob-vspd check DIR [--data]");
		else
			path = argv[i];
	}
	if (!path)
		return bad("check: usage: azblob-vspd check DIR [--data]");
	if (!local_check(path, data, say, (void *)(uintptr_t)path, &result, error, sizeof(error)))
		return bad(error);
	printf("%s: %" PRIu64 " containers, %" PRIu64 " blobs, %" PRIu64 " chunks", path,
	       result.containers, result.blobs, result.chunks);
	if (data)
		printf(", %" PRIu64 " bytes read", result.bytes);
	printf(": %" PRIu64 " problems\n", result.problems);
	return result.problems ? 1 : 0;
}

static int backup(int argc, char **argv)
{
	struct check_result result;
	char error[400];

	if (argc != 4 || argv[2][0] == '-' || argv[3][0] == '-')
		return bad("backup: usage: azblob-vspd backup DIR DEST");
	if (!local_backup(argv[2], argv[3], say, argv[2], &result, error, sizeof(error)))
		return bad(error);
	printf("%s: %" PRIu64 " containers, %" PRIu64 " blobs, %" PRIu64 " bytes: %" PRIu64
	       " problems\n",
	       argv[3], result.containers, result.blobs, result.bytes, result.problems);
	return result.problems ? 1 : 0;
}

bool tools_run(int argc, char **argv, int *status)
{
	if (argc < 2)
		return false;
	if (!strcmp(argv[1], "check"))
		*status = check(argc, argv);
	else if (!strcmp(argv[1], "backup"))
		*status = backup(argc, argv);
	else
		return false;
	if (fflush(stdout))
		*status = 1;
	return true;
}
