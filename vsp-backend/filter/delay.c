// SPDX-License-Identifier: MIT
/* delay: each call waits before it goes on, as it would for a slow disk or a far server. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/waiting.h"
#include "filter/option.h"

struct delay {
	uint64_t ns[FILTER_VERBS];
};

static enum store_error before(struct filter *f, const struct filter_call *call)
{
	const struct delay *delay = f->state;
	uint64_t ns = delay->ns[call->verb];
	struct timespec left = { .tv_sec = (time_t)(ns / 1000000000),
				 .tv_nsec = (long)(ns % 1000000000) };

	if (!ns)
		return STORE_OK;
	azb_waiting_begin();
	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		;
	azb_waiting_end();
	return STORE_OK;
}

static void end(struct filter *f)
{
	free(f->state);
}

static const struct filter_hooks hooks = { .name = "delay", .before = before, .end = end };

static bool parse(struct delay *delay, char *options, char *error, size_t size)
{
	char *name, *value;
	bool any = false;

	while (option_next(&options, &name, &value)) {
		unsigned int verbs = option_verbs(name);
		uint64_t ns;

		if (!verbs)
			return option_bad(error, size,
					  "filter delay: unknown option '%s'; there are: open, "
					  "read, list, write, change, all",
					  name);
		if (!option_time(value, &ns))
			return option_bad(error, size,
					  "filter delay: %s=%s: a time is accepted, as 5ms, 10us "
					  "or 2s, at most an hour",
					  name, value ? value : "");
		for (unsigned int i = 0; i < FILTER_VERBS; i++)
			if (verbs & (1u << i))
				delay->ns[i] = ns;
		any = true;
	}
	return any || option_bad(error, size, "filter delay: what? as delay,read=5ms");
}

struct store *filter_delay(char *options, struct store *next, char *error, size_t size)
{
	struct delay *delay = calloc(1, sizeof(*delay));

	if (!delay) {
		option_bad(error, size, "out of memory");
		return NULL;
	}
	if (!parse(delay, options, error, size)) {
		free(delay);
		return NULL;
	}
	return filter_new(&hooks, delay, next, error, size);
}
