/* SPDX-License-Identifier: MIT */
/*
 * Filters: stores that stand in front of another store and change, delay, fail or only watch
 * what is asked of it.  filter.c has the verbs of all of them, for stores of verbs and for
 * those that take whole requests (store/rest.h); a filter itself is a few hooks.
 */
#ifndef AZB_FILTER_H
#define AZB_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/rest.h"
#include "store/store.h"

/* What is asked for, as options of filters name it. */
enum filter_verb {
	FILTER_OPEN,   /* "open": looking up a blob or container */
	FILTER_READ,   /* "read": bytes of a blob, or where they are */
	FILTER_LIST,   /* "list": containers, blobs, blocks, pages, tags */
	FILTER_WRITE,  /* "write": room for bytes, and bytes on their way in */
	FILTER_CHANGE, /* "change": the step that makes a write count */
	FILTER_VERBS
};

const char *filter_verb_name(enum filter_verb verb);

/**
 * struct filter_call - one call of a verb
 * @what: the verb of struct store_ops, or the method of a whole request.
 * @account, @container, @blob: what it is about; NULL where it has none.
 * @offset, @length: of reads and writes.
 */
struct filter_call {
	enum filter_verb verb;
	const char *what;
	const char *account, *container, *blob;
	uint64_t offset, length;
};

struct filter;

/**
 * struct filter_hooks - what makes a filter
 * @before: may block; anything but STORE_OK is the answer, and the store is not asked.
 * @after: has seen what the store answered, @ns after it was asked, and says what the caller gets;
 *	not called when @before answered.  A verb that gave something with STORE_OK has it taken
 *	back when this says otherwise; a change that was done stays done.
 * @bytes: of a read, before the caller has them; may change them.  With this hook files are
 *	not passed to the doors, so bytes take a way through memory.
 * @end: frees @state.
 *
 * NULL: nothing.  All may be called from many threads at once.
 */
struct filter_hooks {
	const char *name;
	enum store_error (*before)(struct filter *filter, const struct filter_call *call);
	enum store_error (*after)(struct filter *filter, const struct filter_call *call,
				  enum store_error error, uint64_t ns);
	void (*bytes)(struct filter *filter, const struct filter_call *call, void *bytes,
		      size_t length);
	void (*end)(struct filter *filter);
};

/* @ops: of the store that this is, with only what @next has. */
struct filter {
	struct store store;
	struct store_ops ops;
	struct rest_ops rest;
	struct store *next;
	const struct filter_hooks *hooks;
	void *state;
};

/**
 * filter_open - put a filter in front of a store
 * @spec: "NAME[,OPTION=VALUE]...".
 * @next: belongs to the filter from now on, and is closed with it; when this fails it is
 *	the caller's still.
 *
 * NULL, and one line in @error.
 */
struct store *filter_open(const char *spec, struct store *next, char *error, size_t error_size);

/* What there is, for --filter help: lines. */
const char *filter_help(void);

/*
 * For filters: makes one.  Takes @state over, also when it fails (then with hooks->end()).
 */
struct store *filter_new(const struct filter_hooks *hooks, void *state, struct store *next,
			 char *error, size_t error_size);

/* The part of a whole request that filters see; exported for filter_rest.c. */
enum store_error filter_before(struct filter *filter, const struct filter_call *call,
			       uint64_t *start);
enum store_error filter_after(struct filter *filter, const struct filter_call *call,
			      enum store_error error, uint64_t start);
void filter_rest_init(struct filter *filter);

#endif
