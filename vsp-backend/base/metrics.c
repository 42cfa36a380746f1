/* SPDX-License-Identifier: MIT */
#include "base/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metrics_source *sources;

void metrics_add(struct metrics_source *source)
{
	struct metrics_source **at = &sources;

	pthread_mutex_lock(&lock);
	while (*at)
		at = &(*at)->next;
	source->next = NULL;
	*at = source;
	pthread_mutex_unlock(&lock);
}

void metrics_remove(struct metrics_source *source)
{
	struct metrics_source **at = &sources;

	pthread_mutex_lock(&lock);
	while (*at && *at != source)
		at = &(*at)->next;
	if (*at)
		*at = source->next;
	pthread_mutex_unlock(&lock);
}

void metrics_show(struct azb_buf *out)
{
	pthread_mutex_lock(&lock);
	for (struct metrics_source *s = sources; s; s = s->next)
		s->show(s, out);
	pthread_mutex_unlock(&lock);
}

void metrics_head(struct azb_buf *out, const char *name, const char *type, const char *help)
{
	char line[128];

	snprintf(line, sizeof(line), "# TYPE %s %s\n", name, type);
	if (out->length && memmem(out->data, out->length, line, strlen(line)))
		return;
	azb_buf_printf(out, "# HELP %s %s\n%s", name, help, line);
}
