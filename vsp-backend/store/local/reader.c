/* SPDX-License-Identifier: MIT */
/* Read connections: made when needed, kept, handed out one user at a time. */
#include <stdio.h>
#include <stdlib.h>

#include "base/waiting.h"
#include "store/local/local.h"

void readers_init(struct local *local)
{
	pthread_mutex_init(&local->readers.lock, NULL);
	pthread_cond_init(&local->readers.freed, NULL);
}

void readers_end(struct local *local)
{
	struct readers *readers = &local->readers;
	struct reader *reader;

	while ((reader = readers->free)) {
		readers->free = reader->next;
		db_close(&reader->db);
		free(reader);
	}
	pthread_cond_destroy(&readers->freed);
	pthread_mutex_destroy(&readers->lock);
}

static enum store_error make(struct local *local, struct reader **reader)
{
	enum store_error error;
	char *path;

	*reader = calloc(1, sizeof(**reader));
	if (!*reader || asprintf(&path, "%s/metadata.db", local->path) < 0) {
		free(*reader);
		return STORE_NO_MEMORY;
	}
	error = db_open(&(*reader)->db, path, false, false);
	free(path);
	if (error)
		free(*reader);
	return error;
}

enum store_error reader_get(struct local *local, struct reader **reader)
{
	struct readers *readers = &local->readers;
	enum store_error error;

	pthread_mutex_lock(&readers->lock);
	while (!readers->free && readers->made == READERS_MAX) {
		azb_waiting_begin();
		pthread_cond_wait(&readers->freed, &readers->lock);
		azb_waiting_end();
	}
	*reader = readers->free;
	if (*reader) {
		readers->free = (*reader)->next;
		pthread_mutex_unlock(&readers->lock);
		return STORE_OK;
	}
	readers->made++;
	pthread_mutex_unlock(&readers->lock);
	error = make(local, reader);
	if (error) {
		pthread_mutex_lock(&readers->lock);
		readers->made--;
		pthread_cond_signal(&readers->freed);
		pthread_mutex_unlock(&readers->lock);
	}
	return error;
}

void reader_put(struct local *local, struct reader *reader)
{
	struct readers *readers = &local->readers;

	pthread_mutex_lock(&readers->lock);
	reader->next = readers->free;
	readers->free = reader;
	pthread_cond_signal(&readers->freed);
	pthread_mutex_unlock(&readers->lock);
}
