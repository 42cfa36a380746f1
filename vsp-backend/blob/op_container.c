// SPDX-License-Identifier: MIT
/* Create, Delete, Get Properties, Get and Set Metadata of a container. */
#include "op.h"

#include <stdlib.h>
#include <string.h>

#include "lease.h"

static struct svc_answer *run_change(struct rq *rq, struct store_change *change,
				     unsigned int status)
{
	enum store_error error;
	struct svc_answer *answer;

	change->ref = rq_ref(rq);
	answer = change_run(rq->svc, &rq->to, rq->caller, change, change_answer_state, &status,
			    &error);
	return answer ? answer : rq_fail_store(rq, error);
}

struct svc_answer *op_container_create(struct rq *rq, struct svc_upload **upload)
{
	struct store_change change = { .kind = STORE_CONTAINER_CREATE };
	struct azb_buf meta = { 0 };
	struct svc_answer *answer;

	(void)upload;
	answer = conditions_refuse(rq);
	if (!answer)
		answer = public_access_parse(rq, &change.public_access);
	if (!answer)
		answer = metadata_parse(rq, &meta);
	if (answer)
		return answer;
	change.meta = (struct store_meta){ meta.data, meta.length };
	answer = run_change(rq, &change, 201);
	azb_buf_free(&meta);
	return answer;
}

static struct svc_answer *deleted(const struct answer_to *to, const struct store_result *result,
				  void *context)
{
	(void)result;
	(void)context;
	return answer_done(answer_new(to, 202), to);
}

struct svc_answer *op_container_delete(struct rq *rq, struct svc_upload **upload)
{
	struct store_change change = { .kind = STORE_CONTAINER_DELETE, .ref = rq_ref(rq) };
	struct conditions conditions;
	enum store_error error;
	struct svc_answer *answer;

	(void)upload;
	answer = conditions_of_container(rq, &conditions, true);
	if (answer)
		return answer;
	change.conditions = &conditions.store;
	answer = change_run(rq->svc, &rq->to, rq->caller, &change, deleted, NULL, &error);
	return answer ? answer : rq_fail_store(rq, error);
}

struct svc_answer *op_container_set_metadata(struct rq *rq, struct svc_upload **upload)
{
	struct store_change change = { .kind = STORE_CONTAINER_UPDATE, .set = STORE_SET_META };
	struct conditions conditions;
	struct azb_buf meta = { 0 };
	struct svc_answer *answer;

	(void)upload;
	answer = conditions_of_container(rq, &conditions, false);
	if (!answer)
		answer = metadata_parse(rq, &meta);
	if (answer)
		return answer;
	change.conditions = &conditions.store;
	change.meta = (struct store_meta){ meta.data, meta.length };
	answer = run_change(rq, &change, 200);
	azb_buf_free(&meta);
	return answer;
}

struct svc_answer *container_look(struct rq *rq, struct store_container_info *info)
{
	struct store_ref ref = rq_ref(rq);
	struct svc_answer *answer = conditions_refuse(rq);
	enum store_error error;

	if (answer)
		return answer;
	error = store_container_stat(rq->svc->store, &ref, info);
	if (error != STORE_OK)
		return rq_fail_store(rq, error);
	answer = rq_check_lease(rq, &info->lease);
	if (answer)
		store_container_info_clear(info);
	return answer;
}

struct svc_answer *op_container_properties(struct rq *rq, struct svc_upload **upload)
{
	struct store_container_info info;
	struct svc_answer *answer;
	struct answer *a;

	(void)upload;
	answer = container_look(rq, &info);
	if (answer)
		return answer;
	a = answer_new(&rq->to, 200);
	answer_add_etag(a, info.etag);
	answer_add_time(a, "Last-Modified", info.modified_ns);
	if (!target_param(&rq->target, "comp")) {
		lease_add_headers(a, &info.lease);
		if (info.public_access != STORE_PUBLIC_NONE)
			answer_add(a, "x-ms-blob-public-access",
				   public_access_name(info.public_access));
		answer_add(a, "x-ms-has-immutability-policy", "false");
		answer_add(a, "x-ms-has-legal-hold", "false");
		answer_add(a, "x-ms-immutable-storage-with-versioning-enabled", "false");
	}
	answer_add_meta(a, &info.meta);
	store_container_info_clear(&info);
	return answer_done(a, &rq->to);
}

struct svc_answer *op_container_restore(struct rq *rq, struct svc_upload **upload)
{
	static const char name_header[] = "x-ms-deleted-container-name";
	static const char version_header[] = "x-ms-deleted-container-version";
	struct store_change change = { .kind = STORE_CONTAINER_RESTORE, .ref = rq_ref(rq) };
	char name[TARGET_MAX_CONTAINER + 1], version[20], *end;
	unsigned int status = 201;
	struct svc_answer *answer;
	enum store_error error;

	(void)upload;
	answer = conditions_refuse(rq);
	if (answer)
		return answer;
	if (!head_get(rq->head, name_header))
		return rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, name_header);
	if (!head_get(rq->head, version_header))
		return rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, version_header);
	if (!rq_header(rq, name_header, name, sizeof(name)) || !target_container_name_good(name))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, name_header);
	if (!rq_header(rq, version_header, version, sizeof(version)) || strlen(version) != 16)
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, version_header);
	change.container_version = strtoull(version, &end, 16);
	if (*end || version[strspn(version, "0123456789ABCDEFabcdef")])
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, version_header);
	change.source.container = name;
	answer = change_run(rq->svc, &rq->to, rq->caller, &change, change_answer_state, &status,
			    &error);
	return answer ? answer : rq_fail_store(rq, error);
}
