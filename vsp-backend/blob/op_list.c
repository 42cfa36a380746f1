// SPDX-License-Identifier: MIT
/* List Containers, List Blobs, Get Block List. */
#include "op.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "../base/base64.h"
#include "blobid.h"
#include "httpdate.h"
#include "lease.h"
#include "pending.h"
#include "list.h"
#include "marker.h"
#include "protect.h"
#include "tags.h"
#include "tier.h"
#include "xml.h"

#define DAY_NS (UINT64_C(86400) * 1000000000)

/**
 * struct page - a list while it is written
 * @room: where the page ends early.
 * @entries: written so far: the first one is always taken, or a page would never get further.
 */
struct page {
	struct azb_buf xml;
	size_t room;
	size_t entries;
	bool metadata;
	unsigned int past;
	bool tags;
	bool copy;
	bool policy;
	bool hold;
};

/**
 * struct list_query - what a list request asks for
 * @marker: decoded; to be freed.
 * @marker_text: as sent.
 */
struct list_query {
	struct store_list store;
	bool metadata;
	bool tags;
	bool copy;
	bool policy;
	bool hold;
	bool has_max;
	char *marker;
	const char *marker_text;
};

static bool word_is(const char *word, size_t length, const char *text)
{
	return strlen(text) == length && !strncasecmp(word, text, length);
}

/* Notes one word of include.  False: it is none for what is listed. */
static bool take_word(const char *word, size_t n, bool containers, struct list_query *q)
{
	const struct {
		const char *word;
		bool *on;
		unsigned int past; /* STORE_LIST_* */
		bool containers, blobs;
	} words[] = {
		{ "metadata", &q->metadata, 0, true, true },
		{ "deleted", NULL, STORE_LIST_DELETED, true, true },
		{ "system", NULL, 0, true, false }, /* there are none */
		{ "snapshots", NULL, STORE_LIST_SNAPSHOTS, false, true },
		{ "versions", NULL, STORE_LIST_VERSIONS, false, true },
		{ "deletedwithversions", NULL, STORE_LIST_ROOTS, false, true },
		{ "uncommittedblobs", NULL, STORE_LIST_UNCOMMITTED, false, true },
		{ "tags", &q->tags, 0, false, true },
		{ "copy", &q->copy, 0, false, true },
		{ "immutabilitypolicy", &q->policy, 0, false, true },
		{ "legalhold", &q->hold, 0, false, true },
		{ "permissions", NULL, 0, false, true }, /* of hierarchical namespaces alone */
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (!word_is(word, n, words[i].word) ||
		    !(containers ? words[i].containers : words[i].blobs))
			continue;
		if (words[i].on)
			*words[i].on = true;
		q->store.past |= words[i].past;
		return true;
	}
	return false;
}

/* a,b of include=a,b: what can't exist here needs no work; what is unknown is refused. */
static struct svc_answer *parse_words(const struct rq *rq, const char *at, struct list_query *q)
{
	while (*at) {
		size_t n = strcspn(at, ",");

		if (!take_word(at, n, !rq->target.container, q))
			return rq_fail_param(rq, ERR_INVALID_QUERY_PARAMETER_VALUE, "include");
		at += n;
		at += *at == ',';
	}
	return NULL;
}

static struct svc_answer *parse_include(const struct rq *rq, struct list_query *q)
{
	struct svc_answer *answer = NULL;

	for (size_t i = 0; i < rq->target.param_count && !answer; i++)
		if (!strcmp(rq->target.param[i].name, "include"))
			answer = parse_words(rq, rq->target.param[i].value, q);
	return answer;
}

static struct svc_answer *list_parse(const struct rq *rq, struct list_query *q)
{
	struct svc_answer *answer;

	memset(q, 0, sizeof(*q));
	q->store.prefix = target_param(&rq->target, "prefix");
	answer = list_max(rq, &q->store.max, &q->has_max);
	if (answer)
		return answer;
	answer = parse_include(rq, q);
	if (answer)
		return answer;
	q->marker_text = target_param(&rq->target, "marker");
	if (q->marker_text && *q->marker_text) {
		q->marker = marker_decode_at(q->marker_text, &q->store.marker_at);
		if (!q->marker)
			return rq_fail_param(rq, ERR_INVALID_QUERY_PARAMETER_VALUE, "marker");
		q->store.marker = q->marker;
	} else {
		/* a page that follows starts with its marker, which is not before it */
		q->store.marker = target_param(&rq->target, "startfrom");
	}
	return NULL;
}

static void add_metadata(struct azb_buf *xml, const struct store_meta *meta)
{
	const char *name, *value;
	size_t at = 0;

	if (!meta->length) {
		azb_buf_puts(xml, "<Metadata />");
		return;
	}
	azb_buf_puts(xml, "<Metadata>");
	/* a name is a C# identifier, so it is an element's name too */
	while (store_meta_next(meta, &at, &name, &value))
		xml_element_z(xml, name, value);
	azb_buf_puts(xml, "</Metadata>");
}

static void add_date(struct azb_buf *xml, const char *element, int64_t ns)
{
	char text[HTTPDATE_ROOM];

	httpdate_format(text, httpdate_seconds(ns));
	xml_element_z(xml, element, text);
}

static void add_id(struct azb_buf *xml, const char *element, int64_t at)
{
	char text[BLOBID_ROOM];

	if (!at)
		return;
	blobid_format(text, at);
	xml_element_z(xml, element, text);
}

static void add_etag(struct azb_buf *xml, uint64_t etag)
{
	azb_buf_printf(xml, "<Etag>0x%" PRIX64 "</Etag>", etag);
}

/* Takes back an entry that does not fit.  False: the page ends before it. */
static bool keep(struct page *page, size_t before)
{
	if (page->entries && page->xml.length > page->room) {
		page->xml.length = before;
		return false;
	}
	page->entries++;
	return !page->xml.failed;
}

static void start_page(const struct rq *rq, struct page *page, const struct list_query *q)
{
	page->room = list_room(rq);
	page->metadata = q->metadata;
	page->past = q->store.past;
	page->tags = q->tags;
	page->copy = q->copy;
	page->policy = q->policy;
	page->hold = q->hold;
	list_open(rq, &page->xml);
	if (rq->target.container)
		xml_attribute(&page->xml, "ContainerName", rq->target.container,
			      strlen(rq->target.container));
	azb_buf_puts(&page->xml, ">");
	if (q->store.prefix)
		list_add_name(&page->xml, "Prefix", q->store.prefix);
	if (q->marker_text)
		xml_element_z(&page->xml, "Marker", q->marker_text);
	if (q->has_max)
		xml_element_u64(&page->xml, "MaxResults", q->store.max);
	if (q->store.delimiter)
		list_add_name(&page->xml, "Delimiter", q->store.delimiter);
}

static struct svc_answer *end_page(const struct rq *rq, struct page *page, const char *next,
				   int64_t next_at)
{
	char *marker = next ? marker_encode_at(next, next_at) : NULL;
	struct answer *a;

	if (next && !marker)
		page->xml.failed = true;
	xml_element_z(&page->xml, "NextMarker", marker ? marker : "");
	azb_buf_puts(&page->xml, "</EnumerationResults>");
	free(marker);
	if (page->xml.failed) {
		azb_buf_free(&page->xml);
		return rq_fail(rq, ERR_SERVER_BUSY);
	}
	a = answer_new(&rq->to, 200);
	answer_set_body(a, &page->xml, "application/xml");
	return answer_done(a, &rq->to);
}

static void add_retention(struct azb_buf *xml, int64_t deleted_ns, int64_t until_ns)
{
	int64_t left = until_ns - store_now_ns();

	add_date(xml, "DeletedTime", deleted_ns);
	xml_element_u64(xml, "RemainingRetentionDays", left > 0 ? (uint64_t)left / DAY_NS : 0);
}

/* --------------------------------------------------------------- containers */

static bool add_container(void *context, const char *name, const struct store_container_info *info)
{
	struct page *page = context;
	struct azb_buf *xml = &page->xml;
	size_t before = xml->length;

	azb_buf_puts(xml, "<Container>");
	xml_element_z(xml, "Name", name);
	if (info->deleted_ns)
		azb_buf_printf(xml, "<Deleted>true</Deleted><Version>%016" PRIX64 "</Version>",
			       info->version);
	azb_buf_puts(xml, "<Properties>");
	add_date(xml, "Last-Modified", info->modified_ns);
	azb_buf_printf(xml, "<Etag>\"0x%" PRIX64 "\"</Etag>", info->etag);
	if (info->public_access != STORE_PUBLIC_NONE)
		xml_element_z(xml, "PublicAccess", public_access_name(info->public_access));
	lease_add_xml(xml, &info->lease);
	if (info->deleted_ns)
		add_retention(xml, info->deleted_ns, info->until_ns);
	azb_buf_puts(xml, "<HasImmutabilityPolicy>false</HasImmutabilityPolicy>"
			  "<HasLegalHold>false</HasLegalHold></Properties>");
	if (page->metadata)
		add_metadata(xml, &info->meta);
	azb_buf_puts(xml, "</Container>");
	return keep(page, before);
}

/* The store is done listing: the answer.  @close ends the element of all entries; frees @next. */
static struct svc_answer *finish_list(struct rq *rq, struct page *page, enum store_error error,
				      const char *close, char *next, int64_t next_at)
{
	struct svc_answer *answer;

	if (error != STORE_OK) {
		azb_buf_free(&page->xml);
		return rq_fail_store(rq, error);
	}
	azb_buf_puts(&page->xml, close);
	answer = end_page(rq, page, next, next_at);
	free(next);
	return answer;
}

struct svc_answer *op_list_containers(struct rq *rq, struct svc_upload **upload)
{
	struct page page = { 0 };
	struct list_query q;
	enum store_error error;
	struct svc_answer *answer;
	int64_t next_at = 0;
	char *next = NULL;

	(void)upload;
	answer = list_parse(rq, &q);
	if (answer)
		return answer;
	q.store.next_at = &next_at;
	start_page(rq, &page, &q);
	azb_buf_puts(&page.xml, "<Containers>");
	error = store_container_list(rq->svc->store, rq->target.account, &q.store, add_container,
				     &page, &next);
	free(q.marker);
	return finish_list(rq, &page, error, "</Containers>", next, next_at);
}

/* -------------------------------------------------------------------- blobs */

static void add_optional(struct azb_buf *xml, const char *element, const char *value)
{
	xml_element_z(xml, element, value ? value : "");
}

static void add_copy(struct azb_buf *xml, const struct store_blob_info *info)
{
	struct store_copy copy;

	if (!store_copy_read(&info->copy, &copy))
		return;
	pending_look(&copy);
	xml_element_z(xml, "CopyId", copy.id);
	xml_element_z(xml, "CopyStatus", copy.status);
	xml_element_z(xml, "CopySource", copy.source);
	azb_buf_printf(xml, "<CopyProgress>%" PRIu64 "/%" PRIu64 "</CopyProgress>", copy.copied,
		       copy.total);
	if (copy.done_ns)
		add_date(xml, "CopyCompletionTime", copy.done_ns);
	if (*copy.description)
		xml_element_z(xml, "CopyStatusDescription", copy.description);
}

static void add_incremental(struct azb_buf *xml, const struct store_blob_info *info)
{
	struct store_copy copy;

	if (!store_copy_read(&info->copy, &copy) || !copy.incremental)
		return;
	azb_buf_puts(xml, "<IncrementalCopy>true</IncrementalCopy>");
	add_id(xml, "CopyDestinationSnapshot", copy.snapshot);
}

static void add_properties(const struct page *page, struct azb_buf *xml,
			   const struct store_blob_info *info)
{
	const struct store_headers *h = &info->headers;
	char md5[AZB_BASE64_LENGTH(16) + 1];

	/* uncommitted blocks are no blob yet, so there is nothing else to say */
	if (!info->etag) {
		azb_buf_puts(xml, "<Properties><Content-Length>0</Content-Length>"
				  "<BlobType>BlockBlob</BlobType></Properties>");
		return;
	}
	azb_buf_puts(xml, "<Properties>");
	add_date(xml, "Creation-Time", info->created_ns);
	add_date(xml, "Last-Modified", info->modified_ns);
	add_etag(xml, info->etag);
	xml_element_u64(xml, "Content-Length", info->length);
	xml_element_z(xml, "Content-Type",
		      h->content_type ? h->content_type : "application/octet-stream");
	add_optional(xml, "Content-Encoding", h->content_encoding);
	add_optional(xml, "Content-Language", h->content_language);
	azb_buf_puts(xml, "<Content-CRC64 />");
	if (h->has_md5)
		azb_base64_encode(md5, h->md5, 16);
	add_optional(xml, "Content-MD5", h->has_md5 ? md5 : NULL);
	add_optional(xml, "Cache-Control", h->cache_control);
	add_optional(xml, "Content-Disposition", h->content_disposition);
	if (info->type == STORE_PAGE_BLOB)
		xml_element_u64(xml, "x-ms-blob-sequence-number", info->sequence);
	if (info->type == STORE_APPEND_BLOB && info->sealed)
		azb_buf_puts(xml, "<Sealed>true</Sealed>");
	azb_buf_printf(xml, "<BlobType>%s</BlobType>", blob_type_name(info->type));
	tier_add_xml(xml, info);
	if (info->deleted_ns)
		add_retention(xml, info->deleted_ns, info->until_ns);
	lease_add_xml(xml, &info->lease);
	protect_add_xml(xml, info, page->policy, page->hold);
	if (page->copy)
		add_copy(xml, info);
	add_incremental(xml, info);
	if (info->tags.length)
		xml_element_u64(xml, "TagCount", tags_count(&info->tags));
	azb_buf_puts(xml, "<ServerEncrypted>false</ServerEncrypted></Properties>");
}

static bool add_blob(void *context, const char *name, const struct store_blob_info *info)
{
	struct page *page = context;
	struct azb_buf *xml = &page->xml;
	size_t before = xml->length;

	if (!info) {
		azb_buf_puts(xml, "<BlobPrefix>");
		list_add_name(xml, "Name", name);
		azb_buf_puts(xml, "</BlobPrefix>");
		return keep(page, before);
	}
	azb_buf_puts(xml, "<Blob>");
	list_add_name(xml, "Name", name);
	if (info->deleted_ns)
		azb_buf_puts(xml, "<Deleted>true</Deleted>");
	if (info->versions_only)
		azb_buf_puts(xml, "<HasVersionsOnly>true</HasVersionsOnly>");
	add_id(xml, "Snapshot", info->snapshot);
	if (page->past & STORE_LIST_VERSIONS) {
		add_id(xml, "VersionId", info->version);
		if (info->version && info->current)
			azb_buf_puts(xml, "<IsCurrentVersion>true</IsCurrentVersion>");
	}
	add_properties(page, xml, info);
	if (page->metadata)
		add_metadata(xml, &info->meta);
	if (page->tags && info->tags.length)
		tags_add_xml(xml, &info->tags);
	azb_buf_puts(xml, "</Blob>");
	return keep(page, before);
}

struct svc_answer *op_list_blobs(struct rq *rq, struct svc_upload **upload)
{
	struct store_ref ref = rq_ref(rq);
	struct page page = { 0 };
	struct list_query q;
	enum store_error error;
	struct svc_answer *answer;
	int64_t next_at = 0;
	char *next = NULL;

	(void)upload;
	answer = list_parse(rq, &q);
	if (answer)
		return answer;
	q.store.next_at = &next_at;
	q.store.delimiter = target_param(&rq->target, "delimiter");
	start_page(rq, &page, &q);
	azb_buf_puts(&page.xml, "<Blobs>");
	error = store_blob_list(rq->svc->store, &ref, &q.store, add_blob, &page, &next);
	free(q.marker);
	return finish_list(rq, &page, error, "</Blobs>", next, next_at);
}

/* ------------------------------------------------------------------- blocks */

struct blocks {
	struct azb_buf committed;
	struct azb_buf uncommitted;
};

static bool add_block(void *context, const struct store_block_id *id, uint64_t length,
		      bool committed)
{
	struct blocks *blocks = context;
	struct azb_buf *xml = committed ? &blocks->committed : &blocks->uncommitted;
	char text[AZB_BASE64_LENGTH(STORE_MAX_BLOCK_ID) + 1];

	azb_base64_encode(text, id->bytes, id->length);
	azb_buf_printf(xml, "<Block><Name>%s</Name><Size>%" PRIu64 "</Size></Block>", text, length);
	return !xml->failed;
}

static void add_blocks(struct azb_buf *xml, const char *element, const struct azb_buf *blocks)
{
	if (blocks->failed)
		xml->failed = true;
	if (!blocks->length) {
		azb_buf_printf(xml, "<%s />", element);
		return;
	}
	xml_open(xml, element);
	azb_buf_add(xml, blocks->data, blocks->length);
	xml_close(xml, element);
}

struct svc_answer *op_get_block_list(struct rq *rq, struct svc_upload **upload)
{
	const char *type = target_param(&rq->target, "blocklisttype");
	bool all = type && !strcasecmp(type, "all");
	bool committed = !type || all || !strcasecmp(type, "committed");
	bool uncommitted = type && (all || !strcasecmp(type, "uncommitted"));
	struct store_ref ref = rq_ref(rq);
	struct blocks blocks = { 0 };
	struct azb_buf xml = { 0 };
	struct store_blob_info info;
	struct svc_answer *answer;
	enum store_error error;
	struct answer *a;

	(void)upload;
	if (!committed && !uncommitted)
		return rq_fail_param(rq, ERR_INVALID_QUERY_PARAMETER_VALUE, "blocklisttype");
	error = store_block_list(rq->svc->store, &ref, committed, uncommitted, &info, add_block,
				 &blocks);
	if (error != STORE_OK) {
		azb_buf_free(&blocks.committed);
		azb_buf_free(&blocks.uncommitted);
		return rq_fail_store(rq, error);
	}
	answer = info.etag ? rq_check_lease(rq, &info.lease) : NULL;
	if (!answer && info.etag && rq->if_tags && !tagexpr_holds(rq->if_tags, &info.tags))
		answer = rq_fail(rq, ERR_CONDITION_NOT_MET);
	if (answer) {
		store_blob_info_clear(&info);
		azb_buf_free(&blocks.committed);
		azb_buf_free(&blocks.uncommitted);
		return answer;
	}
	xml_start(&xml);
	xml_open(&xml, "BlockList");
	if (committed)
		add_blocks(&xml, "CommittedBlocks", &blocks.committed);
	if (uncommitted)
		add_blocks(&xml, "UncommittedBlocks", &blocks.uncommitted);
	xml_close(&xml, "BlockList");
	azb_buf_free(&blocks.committed);
	azb_buf_free(&blocks.uncommitted);
	a = answer_new(&rq->to, 200);
	/* a blob of uncommitted blocks only is not there yet: it has no state */
	if (info.etag) {
		answer_add_etag(a, info.etag);
		answer_add_time(a, "Last-Modified", info.modified_ns);
		answer_add_u64(a, "x-ms-blob-content-length", info.length);
	}
	store_blob_info_clear(&info);
	answer_set_body(a, &xml, "application/xml");
	return answer_done(a, &rq->to);
}
