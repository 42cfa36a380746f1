/* SPDX-License-Identifier: MIT */
/*
 * Handles: operations whose body is longer than one request can carry.  A handle is
 * an upload that waits for its parts, or an answer whose body is read piece by
 * piece.  It is named by 128 random bits, belongs to one session of the link and to
 * nobody else, and expires when it is not used.  Handles live in memory only: after
 * a restart of the backend they are unknown, and what an upload had stored is freed
 * by the store.
 *
 * Threads: all functions may be called from any thread.  Those that end an upload
 * may block, as svc_abort() and svc_finish() do.
 */
#ifndef AZBLOB_BLOB_HANDLE_H
#define AZBLOB_BLOB_HANDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service.h"

#define HANDLE_ID_BYTES 16u
#define HANDLE_ID_LENGTH (2u * HANDLE_ID_BYTES) /* hexadecimal digits, lower case */
#define HANDLE_IDLE_MS_DEFAULT (120u * 1000u)
/* One handle pins an upload's parts or a blob's extents: 1024 is twice what 100 busy
 * clients with a few blobs each need.
 */
#define HANDLE_PER_SESSION_DEFAULT 1024u

struct handles;
struct handle;

/**
 * struct handles_config - zero is the default of each
 * @idle_ms: a handle that was not used for so long expires.
 * @per_session: the most handles of one session.
 * @now_ms: a clock that never goes back, for tests; NULL is CLOCK_MONOTONIC.
 */
struct handles_config {
	uint64_t idle_ms;
	unsigned int per_session;
	uint64_t (*now_ms)(void *context);
	void *context;
};

struct handles *handles_new(const struct handles_config *config);
/* Aborts all uploads; nobody may use a handle any more.  NULL is allowed. */
void handles_free(struct handles *handles);
uint64_t handles_idle_ms(const struct handles *handles);
unsigned int handles_count(struct handles *handles);

/**
 * handle_add_upload(), handle_add_download() - make a handle
 * @upload, @answer: taken over on success (one reference of the answer).
 * @id: set to the handle's name and a zero.
 *
 * Return: 0; -EMFILE when the session has too many; -ENOMEM; an errno of getrandom().
 */
int handle_add_upload(struct handles *handles, const uint8_t session[16], struct svc_upload *upload,
		      char id[HANDLE_ID_LENGTH + 1]);
int handle_add_download(struct handles *handles, const uint8_t session[16],
			struct svc_answer *answer, char id[HANDLE_ID_LENGTH + 1]);

enum handle_kind {
	HANDLE_UPLOAD,
	HANDLE_DOWNLOAD
};

/**
 * handle_get() - find a handle and hold it: it does not expire before handle_put()
 * @id: @id_length characters as the guest sent them.
 *
 * Return: NULL when this session has no such handle of this kind.
 */
struct handle *handle_get(struct handles *handles, const uint8_t session[16], enum handle_kind kind,
			  const char *id, size_t id_length);
/* Starts the idle time again.  NULL is allowed. */
void handle_put(struct handle *handle);

/* The answer of a download; borrowed, valid while the handle is held. */
struct svc_answer *handle_answer(const struct handle *handle);

/**
 * handle_part_enter() - bring a part of an upload
 * Return: the upload, until handle_part_leave(); NULL when it is being committed or was.
 */
struct svc_upload *handle_part_enter(struct handle *handle);
void handle_part_leave(struct handle *handle);

/**
 * handle_commit() - do the operation, once
 * @stop, @context: asked now and then while somebody else commits the same handle;
 *	true gives up waiting.  NULL waits to the end.
 * @answer: set to a reference with 0.
 *
 * The first caller does it; whoever comes later gets the same answer, while the handle
 * lives.  With parts under way, or bytes missing, nothing happens.
 *
 * Return: 0; -ENODATA when bytes are missing; -ECANCELED.
 */
int handle_commit(struct handle *handle, const struct svc_caller *caller, bool (*stop)(void *),
		  void *context, struct svc_answer **answer);

/**
 * handle_forget() - end a handle of either kind, once its users are done
 * Return: whether there was one.
 */
bool handle_forget(struct handles *handles, const uint8_t session[16], const char *id,
		   size_t id_length);
/* The same for all of a session. */
void handles_end_session(struct handles *handles, const uint8_t session[16]);

/**
 * handles_expire() - end what was idle for too long
 * Return: milliseconds until the next one may expire; UINT64_MAX when there is none.
 */
uint64_t handles_expire(struct handles *handles);

#endif /* AZBLOB_BLOB_HANDLE_H */
