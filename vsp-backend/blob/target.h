/* SPDX-License-Identifier: MIT */
/* What a request's target names: account, container, blob and query parameters. */
#ifndef AZBLOB_BLOB_TARGET_H
#define AZBLOB_BLOB_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "../door/head.h"

/* More parameters than any operation has, SAS included. */
#define TARGET_MAX_PARAMS 64u
/* Azure: 1 to 1,024 characters in a blob's name, 63 in a container's, 24 in an account's. */
#define TARGET_MAX_BLOB_CHARS 1024u
#define TARGET_MAX_CONTAINER 63u
#define TARGET_MAX_ACCOUNT 24u

struct target_param {
	const char *name;  /* decoded, lower case */
	const char *value; /* decoded; "" when there is no "=" */
	size_t value_length;
};

/**
 * struct target - a parsed target
 * @account: without "-secondary"; never empty.
 * @container: NULL when the target names the account only.
 * @blob: NULL when it names no blob.  UTF-8, any length up to the head's: dot segments and
 *	double slashes are part of the name.
 * @secondary: the account was named with "-secondary".
 * @path, @query: as sent, for signatures; query without "?".
 * @room: what the strings live in.
 */
struct target {
	const char *account;
	const char *container;
	const char *blob;
	size_t blob_length;
	bool secondary;
	bool path_style;
	struct head_str path;
	struct head_str query;
	struct target_param param[TARGET_MAX_PARAMS];
	size_t param_count;
	char *room;
};

enum target_status {
	TARGET_OK,
	TARGET_INVALID_URI,    /* malformed: percent signs, UTF-8, zero bytes, no account */
	TARGET_REPEATED_PARAM, /* a parameter (not "include") more than once */
	TARGET_NO_MEMORY,
};

/* @head must live as long as @target.  After TARGET_OK: target_free(). */
enum target_status target_parse(struct target *target, const struct head *head);
/*
 * The same for a static website: the whole path is the blob's name, which may be empty; the account
 * is the host's (ACCOUNT.web.ANYTHING, also with a zone before "web") or NULL; the container is
 * NULL, and there are no parameters.
 */
enum target_status target_parse_web(struct target *target, const struct head *head);
void target_free(struct target *target);

/* A parameter by its lower-case name, or NULL.  Only "include" may be there more than once. */
const char *target_param(const struct target *target, const char *name);

/* By Azure's rules, the special containers included ($root, $web, $logs). */
bool target_container_name_good(const char *name);
/* 3 to 24 lower-case letters and digits. */
bool target_account_name_good(const char *name);
/* 1 to 1,024 characters, counted as Azure does (UTF-16). */
bool target_blob_name_good(const char *name, size_t length);

/* Well-formed UTF-8 without zero bytes: no surrogates, no overlong forms. */
bool target_is_utf8(const char *text, size_t length);

#endif /* AZBLOB_BLOB_TARGET_H */
