// SPDX-License-Identifier: MIT
/* log: a line for each call that takes long enough. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "filter/option.h"

struct logging {
	uint64_t slow_ns;
	enum azb_log_level level;
};

static enum store_error after(struct filter *f, const struct filter_call *call,
			      enum store_error error, uint64_t ns)
{
	const struct logging *logging = f->state;
	char range[64] = "";

	if (ns < logging->slow_ns)
		return error;
	if (call->length)
		snprintf(range, sizeof(range), " %" PRIu64 "+%" PRIu64, call->offset, call->length);
	azb_log(logging->level, "store: %s: %s %s%s%s%s%s%s: %s in %" PRIu64 " us",
		filter_verb_name(call->verb), call->what, call->account ? call->account : "",
		call->container ? "/" : "", call->container ? call->container : "",
		call->blob ? "/" : "", call->blob ? call->blob : "", range, store_error_name(error),
		ns / 1000);
	return error;
}

static void end(struct filter *f)
{
	free(f->state);
}

static const struct filter_hooks hooks = { .name = "log", .after = after, .end = end };

static bool parse(struct logging *logging, char *options, char *error, size_t size)
{
	static const char *const levels[] = { "error", "warning", "info", "debug" };
	char *name, *value;

	while (option_next(&options, &name, &value)) {
		unsigned int level = 0;

		if (!strcmp(name, "slow")) {
			if (!option_time(value, &logging->slow_ns))
				return option_bad(error, size,
						  "filter log: slow=%s: a time is accepted, as "
						  "10ms",
						  value ? value : "");
			continue;
		}
		if (strcmp(name, "level") != 0)
			return option_bad(error, size,
					  "filter log: unknown option '%s'; there are: slow, level",
					  name);
		while (level < 4 && (!value || strcmp(value, levels[level]) != 0))
			level++;
		if (level == 4)
			return option_bad(error, size,
					  "filter log: level=%s: error, warning, info and debug "
					  "are accepted",
					  value ? value : "");
		logging->level = (enum azb_log_level)level;
	}
	return true;
}

struct store *filter_log(char *options, struct store *next, char *error, size_t size)
{
	struct logging *logging = calloc(1, sizeof(*logging));

	if (!logging) {
		option_bad(error, size, "out of memory");
		return NULL;
	}
	logging->level = AZB_LOG_INFO;
	if (!parse(logging, options, error, size)) {
		free(logging);
		return NULL;
	}
	return filter_new(&hooks, logging, next, error, size);
}
