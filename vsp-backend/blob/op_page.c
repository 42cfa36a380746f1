// SPDX-License-Identifier: MIT
/* Clearing pages, Get Page Ranges.  Put Page with data brings a body: upload_begin.c. */
#include "op.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "blobid.h"
#include "place.h"
#include "xml.h"

/* The reference: a page of ranges has at most so many. */
#define RANGES_MAX 10000u
/* From this version on, a list that says nothing of its size has pages too. */
#define VERSION_PAGED "2020-10-02"
/* What follows the last range. */
#define TAIL_BYTES 128u

struct svc_answer *page_range(const struct rq *rq, uint64_t *offset, uint64_t *length)
{
	const char *name = head_get(rq->head, "x-ms-range") ? "x-ms-range" : "Range";
	const struct head_str *text = head_get(rq->head, name);
	struct range range = { 0 };

	if (!text)
		return rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, "Range");
	if (!range_parse(text->at, text->length, &range) || range.last == UINT64_MAX)
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, name);
	if (range.first % STORE_PAGE || (range.last + 1) % STORE_PAGE)
		return rq_fail_header(rq, ERR_INVALID_PAGE_RANGE, name);
	*offset = range.first;
	*length = range.last + 1 - range.first;
	return NULL;
}

static struct svc_answer *cleared(const struct answer_to *to, const struct store_result *result,
				  void *context)
{
	struct answer *a = answer_new(to, 201);

	(void)context;
	answer_add_etag(a, result->etag);
	answer_add_time(a, "Last-Modified", result->modified_ns);
	answer_add_u64(a, "x-ms-blob-sequence-number", result->sequence);
	answer_add(a, "x-ms-request-server-encrypted", "false");
	return answer_done(a, to);
}

struct svc_answer *page_clear(struct rq *rq)
{
	struct store_change change = { .kind = STORE_PAGES_CLEAR, .ref = rq_ref(rq) };
	struct conditions conditions;
	struct store_place place;
	enum store_error error;
	struct svc_answer *answer;

	if (rq->head->content_length > 0 || rq->head->chunked)
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "Content-Length");
	answer = page_range(rq, &change.offset, &change.size);
	if (!answer)
		answer = conditions_parse(rq, &conditions);
	if (!answer)
		answer = place_parse(rq, &place);
	if (answer)
		return answer;
	change.conditions = &conditions.store;
	change.place = &place;
	answer = change_run(rq->svc, &rq->to, rq->caller, &change, cleared, NULL, &error);
	return answer ? answer : rq_fail_store(rq, error);
}

/* ---------------------------------------------------------- Get Page Ranges */

/**
 * struct ranges - a list while it is written
 * @room: bytes; @max: ranges, after which the page ends.
 */
struct ranges {
	struct azb_buf xml;
	size_t room;
	size_t max;
	size_t count;
};

static bool add_range(void *context, uint64_t offset, uint64_t length, bool written)
{
	struct ranges *r = context;
	const char *element = written ? "PageRange" : "ClearRange";
	size_t before = r->xml.length;

	if (r->count == r->max)
		return false;
	azb_buf_printf(&r->xml, "<%s><Start>%" PRIu64 "</Start><End>%" PRIu64 "</End></%s>",
		       element, offset, offset + length - 1, element);
	if (r->count && r->xml.length > r->room) {
		r->xml.length = before;
		return false;
	}
	r->count++;
	return !r->xml.failed;
}

/* A marker is the offset to go on at. */
static struct svc_answer *read_marker(const struct rq *rq, uint64_t *offset)
{
	const char *text = target_param(&rq->target, "marker");
	unsigned long long value;
	char *end;

	if (!text || !*text)
		return NULL;
	value = strtoull(text, &end, 10);
	if (*end || *text < '0' || *text > '9' || strlen(text) > 19 || value % STORE_PAGE)
		return rq_fail_param(rq, ERR_INVALID_QUERY_PARAMETER_VALUE, "marker");
	if (value > *offset)
		*offset = value;
	return NULL;
}

static struct svc_answer *read_list(const struct rq *rq, struct store_pages *pages,
				    struct ranges *ranges)
{
	const char *max = target_param(&rq->target, "maxresults");
	const char *before = target_param(&rq->target, "prevsnapshot");
	struct svc_answer *answer;
	struct range range;
	char *end;

	*pages = (struct store_pages){ .end = UINT64_MAX };
	answer = range_of(rq, &range);
	if (answer)
		return answer;
	if (range.given) {
		pages->offset = range.first / STORE_PAGE * STORE_PAGE;
		if (range.last < STORE_MAX_PAGES)
			pages->end = (range.last / STORE_PAGE + 1) * STORE_PAGE;
	}
	if (before && !blobid_parse(before, &pages->before))
		return rq_fail_param(rq, ERR_INVALID_QUERY_PARAMETER_VALUE, "prevsnapshot");
	ranges->max = rq_since(rq, VERSION_PAGED) ? RANGES_MAX : SIZE_MAX;
	if (max) {
		unsigned long value = strtoul(max, &end, 10);

		if (*end || *max < '0' || *max > '9')
			return rq_fail_param(rq, ERR_INVALID_QUERY_PARAMETER_VALUE, "maxresults");
		if (!value)
			return rq_fail_param(rq, ERR_OUT_OF_RANGE_QUERY_PARAMETER_VALUE,
					     "maxresults");
		ranges->max = value < RANGES_MAX ? value : RANGES_MAX;
	}
	ranges->room = rq->caller->body_room > TAIL_BYTES ? rq->caller->body_room - TAIL_BYTES
		       : rq->caller->body_room            ? 1
							  : SIZE_MAX;
	return read_marker(rq, &pages->offset);
}

struct svc_answer *op_get_page_ranges(struct rq *rq, struct svc_upload **upload)
{
	struct store_ref ref = rq_ref(rq);
	struct ranges ranges = { 0 };
	struct conditions conditions;
	struct store_pages pages;
	struct store_blob_info info;
	enum store_error error;
	struct svc_answer *answer;
	uint64_t next;
	struct answer *a;

	(void)upload;
	answer = conditions_parse(rq, &conditions);
	if (!answer)
		answer = read_list(rq, &pages, &ranges);
	if (answer)
		return answer;
	xml_start(&ranges.xml);
	xml_open(&ranges.xml, "PageList");
	error = store_page_list(rq->svc->store, &ref, &conditions.store, &pages, &info, add_range,
				&ranges, &next);
	if (error == STORE_OK && pages.offset >= info.length && pages.offset)
		error = STORE_BEYOND_END;
	if (error != STORE_OK) {
		azb_buf_free(&ranges.xml);
		return error == STORE_BEYOND_END ? rq_fail(rq, ERR_INVALID_RANGE)
						 : rq_fail_store(rq, error);
	}
	if (next != UINT64_MAX)
		xml_element_u64(&ranges.xml, "NextMarker", next);
	else if (rq_since(rq, VERSION_PAGED))
		xml_element_z(&ranges.xml, "NextMarker", "");
	xml_close(&ranges.xml, "PageList");
	a = answer_new(&rq->to, 200);
	answer_add_etag(a, info.etag);
	answer_add_time(a, "Last-Modified", info.modified_ns);
	answer_add_u64(a, "x-ms-blob-content-length", info.length);
	answer_set_body(a, &ranges.xml, "application/xml");
	return answer_done(a, &rq->to);
}
