// SPDX-License-Identifier: MIT
#include "filter/option.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOUR_NS (UINT64_C(3600) * 1000000000)

static const struct {
	const char *name;
	filter_make *make;
	const char *help;
} filters[] = {
	{ "cache", filter_cache,
	  "cache,path=DIR,size=BYTES     keeps blocks of --store azure on disk" },
	{ "delay", filter_delay, "delay,VERB=TIME...            waits before each call" },
	{ "error", filter_error,
	  "error,VERB=ERROR...           answers with an error, and does nothing" },
	{ "fault", filter_fault,
	  "fault,VERB=FAULT...           loses answers, damages bytes, kills the daemon" },
	{ "log", filter_log, "log[,slow=TIME][,level=LEVEL] a line for each call" },
	{ "stats", filter_stats, "stats[,name=NAME]             counts calls, for --metrics" },
};
#define FILTERS (sizeof(filters) / sizeof(filters[0]))

const char *filter_help(void)
{
	static char text[2048];
	size_t n = 0;

	for (size_t i = 0; i < FILTERS; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\n", filters[i].help);
	snprintf(text + n, sizeof(text) - n,
		 "VERB: open, read, list, write, change, all.  TIME: 5ms, 10us, 2s.\n"
		 "ERROR: io, no-space, no-memory, corrupt, shutdown.\n"
		 "FAULT: lost, flip, hang, kill, kill-after.\n"
		 "error and fault take %s to choose the calls.\n",
		 TRIGGER_OPTIONS);
	return text;
}

bool option_bad(char *error, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, size, format, args);
	va_end(args);
	return false;
}

struct store *filter_open(const char *spec, struct store *next, char *error, size_t error_size)
{
	size_t length = strcspn(spec, ","), n = 0;
	struct store *store = NULL;
	char names[200] = "", *options;

	for (size_t i = 0; i < FILTERS; i++) {
		if (strlen(filters[i].name) == length && !memcmp(spec, filters[i].name, length)) {
			options = strdup(spec[length] ? spec + length + 1 : "");
			if (options)
				store = filters[i].make(options, next, error, error_size);
			else
				option_bad(error, error_size, "out of memory");
			free(options);
			return store;
		}
		n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", i ? ", " : "",
				      filters[i].name);
	}
	option_bad(error, error_size, "unknown filter '%.*s'; there are: %s",
		   length > 64 ? 64 : (int)length, spec, names);
	return NULL;
}

bool option_next(char **at, char **name, char **value)
{
	*name = *at;
	if (!*at || !**at)
		return false;
	*at = strchr(*name, ',');
	if (*at)
		*(*at)++ = '\0';
	*value = strchr(*name, '=');
	if (*value)
		*(*value)++ = '\0';
	return true;
}

unsigned int option_verbs(const char *name)
{
	if (!strcmp(name, "all"))
		return (1u << FILTER_VERBS) - 1;
	for (unsigned int i = 0; i < FILTER_VERBS; i++)
		if (!strcmp(name, filter_verb_name((enum filter_verb)i)))
			return 1u << i;
	return 0;
}

bool option_number(const char *text, uint64_t max, uint64_t *value)
{
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return !errno && !*end && *value <= max;
}

bool option_time(const char *text, uint64_t *ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = { { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 } };
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	*ns = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (!*end)
		return !*ns;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(end, units[i].name))
			return !__builtin_mul_overflow(*ns, units[i].ns, ns) && *ns <= HOUR_NS;
	return false;
}

void trigger_init(struct trigger *t)
{
	*t = (struct trigger){ .permille = 1000 };
	atomic_store(&t->random, 1);
}

void trigger_free(struct trigger *t)
{
	free(t->file);
}

bool trigger_option(struct trigger *t, const char *name, const char *value, bool *mine, char *error,
		    size_t size)
{
	uint64_t number = 0;

	*mine = true;
	if (!strcmp(name, "every") || !strcmp(name, "skip") || !strcmp(name, "count")) {
		if (!option_number(value, UINT32_MAX, &number) || !number)
			return option_bad(error, size, "%s=%s: 1 to %u are accepted", name,
					  value ? value : "", UINT32_MAX);
		*(*name == 'e' ? &t->every : *name == 's' ? &t->skip : &t->count) = number;
		return true;
	}
	if (!strcmp(name, "rate")) {
		char *end = NULL;
		double percent = value ? strtod(value, &end) : 0;

		if (!value || end == value || strcmp(end, "%") != 0 || !(percent > 0) ||
		    percent > 100)
			return option_bad(error, size, "rate=%s: 0.1%% to 100%% are accepted",
					  value ? value : "");
		t->permille = percent < 0.1 ? 1 : (uint64_t)(percent * 10 + 0.5);
		return true;
	}
	if (!strcmp(name, "if")) {
		if (!value || !*value)
			return option_bad(error, size, "if= needs a file");
		free(t->file);
		t->file = strdup(value);
		return t->file || option_bad(error, size, "out of memory");
	}
	*mine = false;
	return true;
}

bool trigger_hits(struct trigger *t)
{
	uint64_t seen;

	if (t->file && access(t->file, F_OK))
		return false;
	seen = atomic_fetch_add(&t->seen, 1);
	if (seen < t->skip || (t->every && (seen - t->skip) % t->every != t->every - 1))
		return false;
	if (t->permille < 1000) {
		uint64_t x = atomic_fetch_add(&t->random, UINT64_C(0x9e3779b97f4a7c15));

		x ^= x >> 30;
		x *= UINT64_C(0xbf58476d1ce4e5b9);
		x ^= x >> 27;
		x *= UINT64_C(0x94d049bb133111eb);
		if ((x ^ (x >> 31)) % 1000 >= t->permille)
			return false;
	}
	return !t->count || atomic_fetch_add(&t->hit, 1) < t->count;
}
