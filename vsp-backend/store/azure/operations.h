/* SPDX-License-Identifier: MIT */
/*
 * Every operation of the Blob service and whether the relay may send it a second time.
 * docs/relay.md has the same table for people; tests/relay compares the two.
 */
#ifndef AZB_AZURE_OPERATIONS_H
#define AZB_AZURE_OPERATIONS_H

#include <stdbool.h>
#include <stddef.h>

struct head;
struct target;

enum az_repeat {
	AZ_NEVER,
	AZ_SAFE,
	AZ_CONDITION, /* with one of az_operation.conditions */
};

/*
 * Conditions that make a second time harmless: where the first one was done, it fails or finds
 * what it would do done.
 */
#define AZ_IF_MATCH (1u << 0)      /* If-Match with one ETag, which the first one changes */
#define AZ_IF_NONE_MATCH (1u << 1) /* If-None-Match: *, which the first one makes untrue */
#define AZ_IF_LEASE (1u << 2)      /* x-ms-lease-id: nobody else can write in between */
#define AZ_IF_POSITION (1u << 3)   /* x-ms-blob-condition-appendpos */
#define AZ_IF_PROPOSED (1u << 4)   /* x-ms-proposed-lease-id; the relay adds one */
#define AZ_IF_ITSELF (1u << 5)     /* the operation is refused where it was done already */

enum az_level {
	AZ_ANY,
	AZ_ACCOUNT,
	AZ_CONTAINER,
	AZ_BLOB,
};

/**
 * struct az_operation - a row
 * @name: as in Azure's reference.
 * @method: HEAD is looked up as GET when it has no row of its own.
 * @restype, @comp: parameters that choose it; NULL for absent.
 * @with: a header that must be there, or "?name" for a parameter; NULL for none.
 * @value: what that header must say, any case; NULL for anything.
 * @conditions: AZ_IF_*, with AZ_CONDITION.
 */
struct az_operation {
	const char *name;
	const char *method;
	enum az_level level;
	const char *restype;
	const char *comp;
	const char *with;
	const char *value;
	enum az_repeat repeat;
	unsigned int conditions;
};

/* Never NULL: what is not known is a row that is never repeated. */
const struct az_operation *az_operation_find(const struct head *head, const struct target *target);

/* A row by its name; NULL for none. */
const struct az_operation *az_operation_named(const char *name);

/* May this request be sent again after it may have been done? */
bool az_operation_repeats(const struct az_operation *operation, const struct head *head);

/*
 * All rows as lines "name<TAB>safe" and so on, for tests: "never", "safe", or the conditions'
 * headers with ", " between them.  Returns the line or NULL after the last one.
 */
const char *az_operation_line(size_t index, char *line, size_t room);

#endif
