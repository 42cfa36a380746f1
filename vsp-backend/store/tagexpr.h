/* SPDX-License-Identifier: MIT */
/*
 * Expressions over blob tags: x-ms-if-tags, and "where" of Find Blobs by Tags.
 *
 *   expression = term { "OR" term }       term = factor { "AND" factor }
 *   factor = "(" expression ")" | key operator 'value'
 *
 * A key is a bare word or in double quotes, a value is in single quotes; operators are
 * = <> < <= > >=; texts compare as bytes.  "where" has neither OR nor <>, nor parentheses,
 * but @container = 'name'.
 */
#ifndef AZB_TAGEXPR_H
#define AZB_TAGEXPR_H

#include <stdbool.h>
#include <stddef.h>

#include "store/store.h"

#define TAGEXPR_MAX_TERMS 64u /* comparisons of one expression */
#define TAGEXPR_MAX_DEPTH 16u /* parentheses */

/* Azure's limits on tags. */
#define TAGS_MAX 10u
#define TAGS_MAX_KEY 128u
#define TAGS_MAX_VALUE 256u

enum tagexpr_op {
	TAGEXPR_EQ,
	TAGEXPR_NE,
	TAGEXPR_LT,
	TAGEXPR_LE,
	TAGEXPR_GT,
	TAGEXPR_GE,
};

/* One comparison; @key is "@container" for the name of the container. */
struct tagexpr_term {
	enum tagexpr_op op;
	char key[TAGS_MAX_KEY + 1];
	char value[TAGS_MAX_VALUE + 1];
};

struct tagexpr;

/**
 * tagexpr_parse() - read an expression
 * @find: "where" of Find Blobs by Tags, else a condition.
 * @error: receives one line for a person, with the place in the text, when it fails.
 *
 * Return: NULL when it fails; for tagexpr_free().
 */
struct tagexpr *tagexpr_parse(const char *text, bool find, char *error, size_t error_size);
void tagexpr_free(struct tagexpr *expression); /* NULL is allowed */

/* Does it hold for these tags?  A tag that is not there only fits "<>". */
bool tagexpr_holds(const struct tagexpr *expression, const struct store_meta *tags);

/* The comparisons; of a "where" all of them must hold. */
size_t tagexpr_terms(const struct tagexpr *expression, const struct tagexpr_term **terms);

/* Letters, digits, and + - . / : = _ and blank. */
bool tagexpr_text_good(const char *text, size_t length);

#endif
