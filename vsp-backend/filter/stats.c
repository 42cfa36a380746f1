// SPDX-License-Identifier: MIT
/* stats: counts calls, errors, bytes and time of each verb, and shows them with the metrics. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "filter/option.h"

/* Upper ends of the buckets, in microseconds; one more has no end. */
static const unsigned int bucket_us[] = { 100, 1000, 10000, 100000, 1000000 };
#define BUCKETS (sizeof(bucket_us) / sizeof(bucket_us[0]) + 1)

struct stats {
	struct metrics_source source;
	struct stats *next; /* of those that there are */
	char name[32];
	struct {
		atomic_ullong bucket[BUCKETS];
		atomic_ullong errors, bytes, ns;
	} verb[FILTER_VERBS];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct stats *first;

/* Two of one name would be one series with two values.  False: there is one. */
static bool enter(struct stats *stats)
{
	struct stats *other;

	pthread_mutex_lock(&lock);
	for (other = first; other && strcmp(other->name, stats->name) != 0; other = other->next)
		;
	if (!other) {
		stats->next = first;
		first = stats;
	}
	pthread_mutex_unlock(&lock);
	return !other;
}

static void leave(struct stats *stats)
{
	struct stats **at = &first;

	pthread_mutex_lock(&lock);
	while (*at != stats)
		at = &(*at)->next;
	*at = stats->next;
	pthread_mutex_unlock(&lock);
}

/* What a caller may ask for and not get is no failure of the store. */
static bool is_failure(enum store_error error)
{
	return error == STORE_IO || error == STORE_CORRUPT || error == STORE_NO_SPACE ||
	       error == STORE_NO_MEMORY || error == STORE_SHUTDOWN;
}

static enum store_error after(struct filter *f, const struct filter_call *call,
			      enum store_error error, uint64_t ns)
{
	struct stats *stats = f->state;
	size_t b = 0;

	while (b < BUCKETS - 1 && ns > (uint64_t)bucket_us[b] * 1000)
		b++;
	atomic_fetch_add_explicit(&stats->verb[call->verb].bucket[b], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&stats->verb[call->verb].ns, ns, memory_order_relaxed);
	if (is_failure(error))
		atomic_fetch_add_explicit(&stats->verb[call->verb].errors, 1, memory_order_relaxed);
	else if (!error && (call->verb == FILTER_READ || call->verb == FILTER_WRITE))
		atomic_fetch_add_explicit(&stats->verb[call->verb].bytes, call->length,
					  memory_order_relaxed);
	return error;
}

static void show_verb(struct stats *stats, unsigned int v, struct azb_buf *out)
{
	const char *verb = filter_verb_name((enum filter_verb)v);
	unsigned long long calls = 0;

	for (size_t b = 0; b < BUCKETS; b++) {
		calls += atomic_load_explicit(&stats->verb[v].bucket[b], memory_order_relaxed);
		if (b < BUCKETS - 1)
			azb_buf_printf(out,
				       "azblob_store_seconds_bucket{name=\"%s\",verb=\"%s\",le="
				       "\"%g\"} %llu\n",
				       stats->name, verb, bucket_us[b] / 1e6, calls);
		else
			azb_buf_printf(out,
				       "azblob_store_seconds_bucket{name=\"%s\",verb=\"%s\",le="
				       "\"+Inf\"} %llu\n",
				       stats->name, verb, calls);
	}
	azb_buf_printf(out, "azblob_store_seconds_sum{name=\"%s\",verb=\"%s\"} %.9f\n", stats->name,
		       verb, (double)atomic_load(&stats->verb[v].ns) / 1e9);
	azb_buf_printf(out, "azblob_store_seconds_count{name=\"%s\",verb=\"%s\"} %llu\n",
		       stats->name, verb, calls);
}

static void show(struct metrics_source *source, struct azb_buf *out)
{
	struct stats *stats = (struct stats *)(void *)source;

	metrics_head(out, "azblob_store_seconds", "histogram", "calls of the store's verbs");
	for (unsigned int v = 0; v < FILTER_VERBS; v++)
		show_verb(stats, v, out);
	metrics_head(out, "azblob_store_errors_total", "counter",
		     "calls that failed for want of space, memory or a disk");
	for (unsigned int v = 0; v < FILTER_VERBS; v++)
		azb_buf_printf(out, "azblob_store_errors_total{name=\"%s\",verb=\"%s\"} %llu\n",
			       stats->name, filter_verb_name((enum filter_verb)v),
			       (unsigned long long)atomic_load(&stats->verb[v].errors));
	metrics_head(out, "azblob_store_bytes_total", "counter",
		     "bytes that were read and written");
	for (unsigned int v = FILTER_READ; v <= FILTER_WRITE; v += FILTER_WRITE - FILTER_READ)
		azb_buf_printf(out, "azblob_store_bytes_total{name=\"%s\",verb=\"%s\"} %llu\n",
			       stats->name, filter_verb_name((enum filter_verb)v),
			       (unsigned long long)atomic_load(&stats->verb[v].bytes));
}

static void end(struct filter *f)
{
	struct stats *stats = f->state;

	metrics_remove(&stats->source);
	leave(stats);
	free(stats);
}

static const struct filter_hooks hooks = { .name = "stats", .after = after, .end = end };

static bool parse(struct stats *stats, char *options, char *error, size_t size)
{
	char *name, *value;

	while (option_next(&options, &name, &value)) {
		if (strcmp(name, "name") != 0)
			return option_bad(error, size,
					  "filter stats: unknown option '%s'; there is: name",
					  name);
		if (!value || !*value || strlen(value) >= sizeof(stats->name) ||
		    strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-_") != strlen(value))
			return option_bad(error, size,
					  "filter stats: name=%s: 1 to 31 of a-z, 0-9, - and _ are "
					  "accepted",
					  value ? value : "");
		snprintf(stats->name, sizeof(stats->name), "%s", value);
	}
	return true;
}

struct store *filter_stats(char *options, struct store *next, char *error, size_t size)
{
	struct stats *stats = calloc(1, sizeof(*stats));

	if (!stats) {
		option_bad(error, size, "out of memory");
		return NULL;
	}
	snprintf(stats->name, sizeof(stats->name), "store");
	if (!parse(stats, options, error, size)) {
		free(stats);
		return NULL;
	}
	if (!enter(stats)) {
		option_bad(error, size,
			   "filter stats: there is another one of the name '%s'; name=NAME tells "
			   "them apart",
			   stats->name);
		free(stats);
		return NULL;
	}
	stats->source.show = show;
	metrics_add(&stats->source);
	return filter_new(&hooks, stats, next, error, size);
}
