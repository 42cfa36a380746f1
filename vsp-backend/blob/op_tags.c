// SPDX-License-Identifier: MIT
/* Get and Set Blob Tags. */
#include "op.h"

#include "tags.h"
#include "upload.h"
#include "xml.h"

/* Ten tags of at most 384 characters, each of which XML may write with six. */
#define TAGS_MAX_BYTES (64u * 1024u)

static struct svc_answer *tags_set(const struct answer_to *to, const struct store_result *result,
				   void *context)
{
	(void)result;
	(void)context;
	return answer_done(answer_new(to, 204), to);
}

static struct svc_answer *set_tags(struct svc_upload *u, const struct svc_caller *caller)
{
	struct store_change change = { .kind = STORE_SET_TAGS,
				       .ref = upload_ref(u),
				       .conditions = &u->conditions.store };
	struct azb_buf tags = { 0 };
	struct svc_answer *answer;
	enum store_error error;

	answer = tags_of_xml(&u->to, u->memory, u->length, &tags);
	if (answer)
		return answer;
	change.tags = (struct store_meta){ tags.data, tags.length };
	answer = change_run(u->svc, &u->to, caller, &change, tags_set, NULL, &error);
	azb_buf_free(&tags);
	return answer ? answer : upload_fail_store(u, error);
}

struct svc_answer *op_set_tags(struct rq *rq, struct svc_upload **upload)
{
	struct svc_answer *answer;

	*upload = upload_memory(rq, TAGS_MAX_BYTES, set_tags, &answer);
	return answer;
}

struct svc_answer *op_get_tags(struct rq *rq, struct svc_upload **upload)
{
	struct store_ref ref = rq_ref(rq);
	struct conditions conditions;
	struct store_blob_info info;
	struct azb_buf xml = { 0 };
	enum store_error error;
	struct svc_answer *answer;
	struct answer *a;

	(void)upload;
	answer = conditions_parse(rq, &conditions);
	if (answer)
		return answer;
	error = store_blob_stat(rq->svc->store, &ref, &conditions.store, &info);
	if (error != STORE_OK)
		return rq_fail_store(rq, error);
	xml_start(&xml);
	tags_add_xml(&xml, &info.tags);
	store_blob_info_clear(&info);
	a = answer_new(&rq->to, 200);
	answer_set_body(a, &xml, "application/xml");
	return answer_done(a, &rq->to);
}
