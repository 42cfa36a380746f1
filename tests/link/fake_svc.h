/* SPDX-License-Identifier: MIT */
/*
 * A blob service for tests of the link door: svc_*() of blob/service.h over a list of
 * blobs in memory, without credentials, that stops where a test wants it to.
 *
 *	PUT /b/NAME	stores the body; with "If-None-Match: *" only a new one (409)
 *	GET /b/NAME	gives it, from memory; GET /f/NAME: from a file
 *	HEAD /b/NAME
 *	DELETE /b/NAME
 *	GET /list	"x" as often as body_room says
 *	GET /bad	a body that can't be read (-EIO)
 */
#ifndef AZBLOB_TESTS_LINK_FAKE_SVC_H
#define AZBLOB_TESTS_LINK_FAKE_SVC_H

#include <stdbool.h>

#include "../../vsp-backend/blob/service.h"

struct svc *fake_svc_new(void);
void fake_svc_free(struct svc *svc);

/* Where whoever passes is held back while it is shut. */
enum fake_gate {
	FAKE_START,  /* svc_start() */
	FAKE_READ,   /* svc_answer_read() */
	FAKE_WRITE,  /* svc_write(), after the bytes were taken */
	FAKE_FINISH, /* svc_finish() */
	FAKE_GATES,
};

void fake_shut(struct svc *svc, enum fake_gate gate);
void fake_open(struct svc *svc, enum fake_gate gate);
/* Shut for everybody but those whose work nobody waits for any more (base/stop.h). */
void fake_shut_until_stopped(struct svc *svc, enum fake_gate gate);
/* Returns when @count are held back at the gate. */
void fake_await(struct svc *svc, enum fake_gate gate, unsigned int count);
/* How many there are now. */
unsigned int fake_held(struct svc *svc, enum fake_gate gate);

/* What was stored under a name; NULL when nothing was. */
const void *fake_blob(struct svc *svc, const char *name, size_t *length);
/* Stores it. */
void fake_put(struct svc *svc, const char *name, const void *bytes, size_t length);
/* How often something was stored or deleted; kept answers; uploads that are neither
 * finished nor aborted; answers that are referenced.
 */
unsigned int fake_effects(struct svc *svc);
unsigned int fake_kept(struct svc *svc);
unsigned int fake_uploads(struct svc *svc);
unsigned int fake_answers(struct svc *svc);

#endif /* AZBLOB_TESTS_LINK_FAKE_SVC_H */
