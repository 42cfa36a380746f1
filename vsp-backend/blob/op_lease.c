// SPDX-License-Identifier: MIT
/* Lease Blob and Lease Container. */
#include "op.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lease.h"

/* The reference: seconds of a lease with an end, and of a break period. */
#define DURATION_MIN 15
#define DURATION_MAX 60
#define BREAK_MAX 60

static const struct {
	const char *name;
	enum store_lease_action action;
	unsigned int status;
} actions[] = {
	{ "acquire", STORE_ACQUIRE, 201 },     { "renew", STORE_RENEW, 200 },
	{ "change", STORE_CHANGE_LEASE, 200 }, { "release", STORE_RELEASE, 200 },
	{ "break", STORE_BREAK, 202 },
};

/* A whole number between @min and @max, or -1. */
static struct svc_answer *number(const struct rq *rq, const char *name, int min, int max, int *out)
{
	char text[16], *end;
	long value;

	if (!rq_header(rq, name, text, sizeof(text)))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, name);
	value = strtol(text, &end, 10);
	if (end == text || *end || ((value < min || value > max) && value != -1))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, name);
	*out = (int)value;
	return NULL;
}

static struct svc_answer *id_of(const struct rq *rq, const char *name, uint8_t id[16])
{
	const struct head_str *value = head_get(rq->head, name);

	if (!value)
		return rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, name);
	if (!lease_id_parse(value->at, value->length, id))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, name);
	return NULL;
}

static struct svc_answer *acquire(const struct rq *rq, struct store_lease_change *lease)
{
	static const char duration[] = "x-ms-lease-duration";
	int seconds = 0;
	struct svc_answer *answer;

	if (!head_get(rq->head, duration))
		return rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, duration);
	answer = number(rq, duration, DURATION_MIN, DURATION_MAX, &seconds);
	if (answer)
		return answer;
	lease->duration_s = seconds < 0 ? STORE_LEASE_INFINITE : seconds;
	if (head_get(rq->head, "x-ms-proposed-lease-id"))
		return id_of(rq, "x-ms-proposed-lease-id", lease->id);
	if (getrandom(lease->id, sizeof(lease->id), 0) != sizeof(lease->id))
		return rq_fail(rq, ERR_SERVER_BUSY);
	/* a random GUID, as RFC 9562 marks it */
	lease->id[6] = (uint8_t)((lease->id[6] & 0x0f) | 0x40);
	lease->id[8] = (uint8_t)((lease->id[8] & 0x3f) | 0x80);
	return NULL;
}

static struct svc_answer *read_change(const struct rq *rq, struct store_lease_change *lease)
{
	static const char period[] = "x-ms-lease-break-period";
	struct svc_answer *answer = NULL;
	int seconds = 0;

	lease->break_s = -1;
	if (lease->action == STORE_ACQUIRE)
		return acquire(rq, lease);
	if (lease->action == STORE_BREAK) {
		if (!head_get(rq->head, period))
			return NULL;
		answer = number(rq, period, 0, BREAK_MAX, &seconds);
		if (!answer && seconds < 0)
			answer = rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, period);
		if (!answer)
			lease->break_s = seconds;
		return answer;
	}
	answer = id_of(rq, "x-ms-lease-id", lease->id);
	if (!answer && lease->action == STORE_CHANGE_LEASE)
		answer = id_of(rq, "x-ms-proposed-lease-id", lease->proposed);
	return answer;
}

struct doing {
	enum store_lease_action action;
	unsigned int status;
};

static struct svc_answer *done(const struct answer_to *to, const struct store_result *result,
			       void *context)
{
	const struct doing *doing = context;
	struct answer *a = answer_new(to, doing->status);
	char id[LEASE_ID_ROOM];

	answer_add_etag(a, result->etag);
	answer_add_time(a, "Last-Modified", result->modified_ns);
	lease_id_format(result->lease_id, id);
	if (doing->action == STORE_BREAK)
		answer_add_u64(a, "x-ms-lease-time", result->lease_left_s);
	else if (doing->action != STORE_RELEASE)
		answer_add(a, "x-ms-lease-id", id);
	return answer_done(a, to);
}

struct svc_answer *op_lease(struct rq *rq, struct svc_upload **upload)
{
	const struct head_str *name = head_get(rq->head, "x-ms-lease-action");
	struct store_change change = { .kind = STORE_LEASE, .ref = rq_ref(rq) };
	struct doing doing = { 0 };
	struct conditions conditions;
	enum store_error error;
	struct svc_answer *answer;

	(void)upload;
	if (!name)
		return rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, "x-ms-lease-action");
	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
		if (head_str_is_nocase(name, actions[i].name))
			doing = (struct doing){ actions[i].action, actions[i].status };
	if (!doing.action)
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-lease-action");
	change.lease.action = doing.action;
	answer = rq->target.blob ? conditions_parse(rq, &conditions)
				 : conditions_of_container(rq, &conditions, true);
	if (!answer)
		answer = read_change(rq, &change.lease);
	if (answer)
		return answer;
	/* the id is the operation's own, not a condition */
	conditions.store.lease = NULL;
	change.conditions = &conditions.store;
	answer = change_run(rq->svc, &rq->to, rq->caller, &change, done, &doing, &error);
	if (answer)
		return answer;
	return rq_fail_store(rq, error == STORE_BLOB_EXISTS ? STORE_CONDITION_NOT_MET : error);
}
