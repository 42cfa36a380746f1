// SPDX-License-Identifier: MIT
/* error: calls fail, and the store is not asked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter/option.h"

static const struct {
	const char *name;
	enum store_error error;
} errors[] = {
	{ "io", STORE_IO },
	{ "no-space", STORE_NO_SPACE },
	{ "no-memory", STORE_NO_MEMORY },
	{ "corrupt", STORE_CORRUPT },
	{ "shutdown", STORE_SHUTDOWN },
};
#define ERRORS (sizeof(errors) / sizeof(errors[0]))

struct failing {
	enum store_error error[FILTER_VERBS];
	struct trigger trigger;
};

static enum store_error before(struct filter *f, const struct filter_call *call)
{
	struct failing *failing = f->state;
	enum store_error error = failing->error[call->verb];

	return error && trigger_hits(&failing->trigger) ? error : STORE_OK;
}

static void end(struct filter *f)
{
	struct failing *failing = f->state;

	trigger_free(&failing->trigger);
	free(failing);
}

static const struct filter_hooks hooks = { .name = "error", .before = before, .end = end };

static bool parse(struct failing *failing, char *options, char *error, size_t size)
{
	char *name, *value, why[200];
	bool any = false, mine;

	while (option_next(&options, &name, &value)) {
		unsigned int verbs = option_verbs(name);
		size_t e = 0;

		if (!verbs) {
			if (!trigger_option(&failing->trigger, name, value, &mine, why,
					    sizeof(why)))
				return option_bad(error, size, "filter error: %s", why);
			if (!mine)
				return option_bad(error, size,
						  "filter error: unknown option '%s'; there are: "
						  "open, read, list, write, change, all, %s",
						  name, TRIGGER_OPTIONS);
			continue;
		}
		while (e < ERRORS && (!value || strcmp(value, errors[e].name) != 0))
			e++;
		if (e == ERRORS)
			return option_bad(error, size,
					  "filter error: %s=%s: io, no-space, no-memory, corrupt "
					  "and shutdown are accepted",
					  name, value ? value : "");
		for (unsigned int i = 0; i < FILTER_VERBS; i++)
			if (verbs & (1u << i))
				failing->error[i] = errors[e].error;
		any = true;
	}
	return any || option_bad(error, size, "filter error: what? as error,change=io,rate=1%%");
}

struct store *filter_error(char *options, struct store *next, char *error, size_t size)
{
	struct failing *failing = calloc(1, sizeof(*failing));

	if (!failing) {
		option_bad(error, size, "out of memory");
		return NULL;
	}
	trigger_init(&failing->trigger);
	if (!parse(failing, options, error, size)) {
		trigger_free(&failing->trigger);
		free(failing);
		return NULL;
	}
	return filter_new(&hooks, failing, next, error, size);
}
