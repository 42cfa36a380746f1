// SPDX-License-Identifier: MIT
/* Find Blobs by Tags, in an account and in a container. */
#include "op.h"

#include <stdlib.h>
#include <string.h>

#include "list.h"
#include "marker.h"
#include "tags.h"
#include "xml.h"

struct found {
	struct azb_buf xml;
	size_t room;
	size_t entries;
	const struct tagexpr *where;
};

/* Of a blob's tags only those that were asked about are shown. */
static bool asked_about(const struct tagexpr *where, const char *key)
{
	const struct tagexpr_term *terms;
	size_t count = tagexpr_terms(where, &terms);

	for (size_t i = 0; i < count; i++)
		if (!strcmp(terms[i].key, key))
			return true;
	return false;
}

static bool add_found(void *context, const char *container, const char *name,
		      const struct store_meta *tags)
{
	struct found *found = context;
	struct azb_buf *xml = &found->xml, shown = { 0 };
	size_t before = xml->length, at = 0;
	const char *key, *value;

	while (store_meta_next(tags, &at, &key, &value)) {
		if (!asked_about(found->where, key))
			continue;
		azb_buf_add(&shown, key, strlen(key) + 1);
		azb_buf_add(&shown, value, strlen(value) + 1);
	}
	azb_buf_puts(xml, "<Blob>");
	list_add_name(xml, "Name", name);
	xml_element_z(xml, "ContainerName", container);
	tags_add_xml(xml, &(struct store_meta){ shown.data, shown.length });
	azb_buf_puts(xml, "</Blob>");
	xml->failed |= shown.failed;
	azb_buf_free(&shown);
	if (found->entries && xml->length > found->room) {
		xml->length = before;
		return false;
	}
	found->entries++;
	return !xml->failed;
}

static struct svc_answer *parse_where(const struct rq *rq, const char *text, struct tagexpr **where)
{
	char reason[200] = "at least one tag is to be compared";
	struct err_detail details[3] = { { "QueryParameterName", "where" },
					 { "Reason", reason },
					 { NULL, NULL } };
	const struct tagexpr_term *terms;
	size_t count;

	*where = tagexpr_parse(text, true, reason, sizeof(reason));
	if (*where) {
		count = tagexpr_terms(*where, &terms);
		for (size_t i = 0; i < count; i++)
			if (*terms[i].key != '@')
				return NULL;
		tagexpr_free(*where);
	}
	return err_answer(&rq->to, ERR_INVALID_QUERY_PARAMETER_VALUE, details);
}

static struct svc_answer *find(struct rq *rq, const char *text, struct tagexpr *where,
			       const struct store_list *list)
{
	struct found found = { .room = list_room(rq), .where = where };
	struct store_ref ref = rq_ref(rq);
	enum store_error error;
	char *next = NULL, *marker;
	struct answer *a;

	list_open(rq, &found.xml);
	azb_buf_puts(&found.xml, ">");
	xml_element_z(&found.xml, "Where", text);
	azb_buf_puts(&found.xml, "<Blobs>");
	error = store_tags_find(rq->svc->store, &ref, where, list, add_found, &found, &next);
	if (error != STORE_OK) {
		azb_buf_free(&found.xml);
		return rq_fail_store(rq, error);
	}
	azb_buf_puts(&found.xml, "</Blobs>");
	marker = next ? marker_encode(next) : NULL;
	found.xml.failed |= next && !marker;
	xml_element_z(&found.xml, "NextMarker", marker ? marker : "");
	azb_buf_puts(&found.xml, "</EnumerationResults>");
	free(marker);
	free(next);
	if (found.xml.failed) {
		azb_buf_free(&found.xml);
		return rq_fail(rq, ERR_SERVER_BUSY);
	}
	a = answer_new(&rq->to, 200);
	answer_set_body(a, &found.xml, "application/xml");
	return answer_done(a, &rq->to);
}

struct svc_answer *op_find_blobs(struct rq *rq, struct svc_upload **upload)
{
	const char *text = target_param(&rq->target, "where");
	const char *marker = target_param(&rq->target, "marker");
	struct store_list list = { 0 };
	struct svc_answer *answer;
	struct tagexpr *where;
	char *decoded = NULL;

	(void)upload;
	if (!text || !*text)
		return rq_fail_param(rq, ERR_MISSING_REQUIRED_QUERY_PARAMETER, "where");
	answer = list_max(rq, &list.max, NULL);
	if (answer)
		return answer;
	if (marker && *marker) {
		decoded = marker_decode(marker);
		if (!decoded)
			return rq_fail_param(rq, ERR_INVALID_QUERY_PARAMETER_VALUE, "marker");
		list.marker = decoded;
	}
	answer = parse_where(rq, text, &where);
	if (!answer) {
		answer = find(rq, text, where, &list);
		tagexpr_free(where);
	}
	free(decoded);
	return answer;
}
