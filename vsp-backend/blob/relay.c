// SPDX-License-Identifier: MIT
/*
 * Requests that go on as they are.  The service asks the store what it wants to know about the
 * caller, checks that, and wraps what comes back; what an operation means is the other
 * server's business.
 */
#include "relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../store/rest.h"
#include "auth.h"
#include "op.h"
#include "permit.h"

static const struct rest_ops *rest_of(const struct svc *svc)
{
	return svc->store->ops->rest;
}

static struct svc_answer *fail(const struct answer_to *to, const struct rest_error *error)
{
	return err_answer_text(to, error->status, error->code, error->message, NULL);
}

/* Keeps what a request that changed something was answered, until the link has it. */
static void keep(struct svc *svc, const struct svc_caller *caller, struct svc_answer *answer)
{
	size_t head, length;
	struct iovec iov;
	char *bytes;

	if (!caller->session || answer->status >= 300 || answer->body_length > STORE_MAX_EFFECT)
		return;
	head = svc_answer_head(answer, NULL, 0, NULL, 0);
	length = head + (size_t)answer->body_length;
	bytes = malloc(length);
	if (!bytes)
		return;
	svc_answer_head(answer, NULL, 0, bytes, head);
	iov = (struct iovec){ bytes + head, length - head };
	if (!iov.iov_len || svc_answer_read(answer, 0, &iov, 1) == (ssize_t)iov.iov_len) {
		rest_of(svc)->keep(svc->store, caller->session, caller->request, bytes, length);
		answer->replayable = true;
	}
	free(bytes);
}

/* Has the caller said who it is, in any form? */
static bool has_credentials(const struct rq *rq)
{
	return head_get(rq->head, "Authorization") || target_param(&rq->target, "sig");
}

static struct svc_upload *wrap(struct rq *rq, struct rest_upload *rest)
{
	struct svc_upload *u = calloc(1, sizeof(*u));

	if (u && pthread_mutex_init(&u->lock, NULL)) {
		free(u);
		u = NULL;
	}
	if (!u) {
		rest->ops->abort(rest);
		return NULL;
	}
	u->svc = rq->svc;
	u->to = rq->to;
	u->length = rest->length;
	u->link = rq->caller->link;
	u->rest = rest;
	return u;
}

static bool changes(const struct head *head)
{
	return !head_str_is(&head->method, "GET") && !head_str_is(&head->method, "HEAD") &&
	       !head_str_is(&head->method, "OPTIONS");
}

static bool is_batch(const struct rq *rq)
{
	const char *comp = target_param(&rq->target, "comp");

	return head_str_is(&rq->head->method, "POST") && comp && !strcasecmp(comp, "batch") &&
	       !rq->target.blob;
}

struct svc_answer *relay_policies(const struct rq *rq, struct azb_buf *acl)
{
	struct rest_error error = { .status = 0 };
	struct svc_answer *answer = NULL;
	struct azb_buf xml = { 0 };
	const char *wrong;
	enum err err;

	/* it becomes part of a path */
	if (!rq->target.container || !target_container_name_good(rq->target.container))
		return rq_fail(rq, ERR_INVALID_RESOURCE_NAME);
	if (!rest_of(rq->svc)->acl(rq->svc->store, rq->target.container, &xml, &error))
		return fail(&rq->to, &error);
	err = acl_parse(xml.data, xml.length, acl, &wrong);
	if (err)
		answer = rq_fail(rq, err == ERR_SERVER_BUSY ? err : ERR_INTERNAL);
	azb_buf_free(&xml);
	return answer;
}

struct svc_answer *relay_start(struct rq *rq, struct svc_upload **upload)
{
	struct rest_request request = { .head = rq->head,
					.target = &rq->target,
					.link = rq->caller->link,
					.resent = rq->caller->resent,
					.body_room = rq->caller->body_room };
	struct rest_upload *rest = NULL;
	struct rest_error error = { .status = 0 };
	struct rest_answer *got;
	struct svc_answer *answer;

	switch (rest_of(rq->svc)->auth(rq->svc->store, &request)) {
	case REST_AUTH_NO_ACCOUNT:
		return rq_fail(rq, ERR_AUTHENTICATION_FAILED);
	case REST_AUTH_NONE:
		break;
	case REST_AUTH_TRUST:
		request.checked = true;
		break;
	case REST_AUTH_CHECK:
		/* who says nothing gets what anybody gets: it goes on without credentials */
		if (!has_credentials(rq))
			break;
		answer = auth_check(rq);
		if (!answer)
			answer = permit_check(rq);
		if (answer)
			return answer;
		request.checked = true;
		request.create_only = rq->auth.create_only;
		break;
	}
	/* each of its requests has credentials of its own, which can't stay under another name */
	if (request.checked && is_batch(rq))
		return op_batch(rq, upload);
	got = rest_of(rq->svc)->request(rq->svc->store, &request, &rest, &error);
	if (rest) {
		*upload = wrap(rq, rest);
		return *upload ? NULL : rq_fail(rq, ERR_SERVER_BUSY);
	}
	if (!got)
		return fail(&rq->to, &error);
	answer = answer_of_rest(got, &rq->to);
	if (changes(rq->head))
		keep(rq->svc, rq->caller, answer);
	return answer;
}

int relay_write(struct svc_upload *upload, uint64_t offset, const struct iovec *iov, int count,
		unsigned int flags, const uint64_t *expect, uint64_t *crc64)
{
	return upload->rest->ops->write(upload->rest, offset, iov, count, flags, expect, crc64);
}

struct svc_answer *relay_fail(const struct svc_upload *upload)
{
	struct rest_error error = { .status = 0 };
	struct rest_answer *got = upload->rest->ops->fail(upload->rest, &error);

	return got ? answer_of_rest(got, &upload->to) : fail(&upload->to, &error);
}

int relay_finish(struct svc_upload *upload, const struct svc_caller *caller,
		 struct svc_answer **answer)
{
	struct rest_error error = { .status = 0 };
	bool incomplete = false;
	struct rest_answer *got;

	got = upload->rest->ops->finish(upload->rest, &error, &incomplete);
	if (incomplete)
		return -ENODATA;
	upload->rest = NULL;
	if (got) {
		*answer = answer_of_rest(got, &upload->to);
		if (upload->create_only)
			*answer = err_overwrite(&upload->to, *answer);
		keep(upload->svc, caller, *answer);
	} else {
		*answer = fail(&upload->to, &error);
	}
	svc_abort(upload);
	return 0;
}

void relay_abort(struct svc_upload *upload)
{
	upload->rest->ops->abort(upload->rest);
	upload->rest = NULL;
}
