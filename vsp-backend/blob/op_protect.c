// SPDX-License-Identifier: MIT
/* Set and Delete Blob Immutability Policy, Set Blob Legal Hold. */
#include "op.h"

#include <strings.h>

#include "httpdate.h"
#include "protect.h"
#include "xml.h"

#define UNTIL "x-ms-immutability-policy-until-date"
#define MODE "x-ms-immutability-policy-mode"
#define HOLD "x-ms-legal-hold"

static const char *mode_name(enum store_immutability mode)
{
	return mode == STORE_LOCKED ? "locked" : "unlocked";
}

static struct svc_answer *read_policy(const struct rq *rq, struct store_protection *protect)
{
	const struct head_str *until = head_get(rq->head, UNTIL), *mode = head_get(rq->head, MODE);
	time_t seconds;

	if (!until)
		return rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, UNTIL);
	if (!httpdate_parse(until->at, until->length, &seconds) || seconds > INT64_MAX / 1000000000)
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, UNTIL);
	protect->until_ns = (int64_t)seconds * 1000000000;
	/* one that is over before it begins protects nothing */
	if (protect->until_ns <= store_now_ns())
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, UNTIL);
	protect->immutability = STORE_UNLOCKED;
	if (mode && head_str_is_nocase(mode, "locked"))
		protect->immutability = STORE_LOCKED;
	else if (mode && !head_str_is_nocase(mode, "unlocked"))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, MODE);
	return NULL;
}

static struct svc_answer *read_hold(const struct rq *rq, struct store_protection *protect)
{
	const struct head_str *hold = head_get(rq->head, HOLD);

	protect->hold = head_str_is_nocase(hold, "true");
	if (!protect->hold && !head_str_is_nocase(hold, "false"))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, HOLD);
	return NULL;
}

struct svc_answer *protect_parse(const struct rq *rq, struct store_protection *protect)
{
	struct svc_answer *answer = NULL;

	*protect = (struct store_protection){ 0 };
	if (head_get(rq->head, UNTIL) || head_get(rq->head, MODE))
		answer = read_policy(rq, protect);
	if (!answer && head_get(rq->head, HOLD))
		answer = read_hold(rq, protect);
	return answer;
}

void protect_add_headers(struct answer *a, const struct store_blob_info *info)
{
	if (info->immutability != STORE_MUTABLE) {
		answer_add_time(a, UNTIL, info->immutable_until_ns);
		answer_add(a, MODE, mode_name(info->immutability));
	}
	if (info->legal_hold)
		answer_add(a, HOLD, "true");
}

void protect_add_xml(struct azb_buf *xml, const struct store_blob_info *info, bool policy,
		     bool hold)
{
	char text[HTTPDATE_ROOM];

	if (policy && info->immutability != STORE_MUTABLE) {
		httpdate_format(text, httpdate_seconds(info->immutable_until_ns));
		xml_element_z(xml, "ImmutabilityPolicyUntilDate", text);
		xml_element_z(xml, "ImmutabilityPolicyMode", mode_name(info->immutability));
	}
	if (hold)
		xml_element_z(xml, "LegalHold", info->legal_hold ? "true" : "false");
}

static struct svc_answer *protected(const struct answer_to *to, const struct store_result *result,
				    void *context)
{
	const struct store_change *change = context;
	const struct store_protection *now = &change->protect;
	struct answer *a = answer_new(to, 200);

	(void)result;
	if (change->set & STORE_SET_POLICY && now->immutability != STORE_MUTABLE) {
		answer_add_time(a, UNTIL, now->until_ns);
		answer_add(a, MODE, mode_name(now->immutability));
	}
	if (change->set & STORE_SET_HOLD)
		answer_add(a, HOLD, now->hold ? "true" : "false");
	return answer_done(a, to);
}

static struct svc_answer *run_protect(struct rq *rq, struct store_change *change)
{
	struct conditions conditions;
	enum store_error error;
	struct svc_answer *answer;

	answer = conditions_parse(rq, &conditions);
	if (answer)
		return answer;
	change->kind = STORE_PROTECT;
	change->ref = rq_ref(rq);
	change->conditions = &conditions.store;
	answer = change_run(rq->svc, &rq->to, rq->caller, change, protected, change, &error);
	return answer ? answer
		      : rq_fail_store(rq,
				      error == STORE_BLOB_EXISTS ? STORE_CONDITION_NOT_MET : error);
}

struct svc_answer *op_set_policy(struct rq *rq, struct svc_upload **upload)
{
	struct store_change change = { .set = STORE_SET_POLICY };
	struct svc_answer *answer = read_policy(rq, &change.protect);

	(void)upload;
	return answer ? answer : run_protect(rq, &change);
}

struct svc_answer *op_delete_policy(struct rq *rq, struct svc_upload **upload)
{
	struct store_change change = { .set = STORE_SET_POLICY };

	(void)upload;
	return run_protect(rq, &change);
}

struct svc_answer *op_set_hold(struct rq *rq, struct svc_upload **upload)
{
	struct store_change change = { .set = STORE_SET_HOLD };
	struct svc_answer *answer;

	(void)upload;
	if (!head_get(rq->head, HOLD))
		return rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, HOLD);
	answer = read_hold(rq, &change.protect);
	return answer ? answer : run_protect(rq, &change);
}
