// SPDX-License-Identifier: MIT
/* The calls of azblob_ops.h, and conditions in all others. */
#include "api.h"

#include <pthread.h>

static azblob_conn *conn;
static const char *box;

#define LEASE_A "00000000-0000-4000-8000-00000000000a"
#define LEASE_B "00000000-0000-4000-8000-00000000000b"

/* A call that the service refuses so. */
#define REFUSED(call, status, its_code)                                                      \
	do {                                                                                 \
		FAILS(call, AZBLOB_SERVICE);                                                 \
		if (api_error.http_status != (status) || strcmp(api_error.code, its_code)) { \
			fprintf(stderr, "%s:%d: %s: %d %s\n", __FILE__, __LINE__, #call,     \
				api_error.http_status, api_error.code);                      \
			exit(1);                                                             \
		}                                                                            \
	} while (0)

static void put(const char *blob, const char *text)
{
	OK(azblob_put_blob(conn, box, blob, text, strlen(text), NULL, NULL, &api_error));
}

static void assert_content(const char *blob, const struct azblob_access *access, const char *text)
{
	struct azblob_get_options options = AZBLOB_GET_OPTIONS_INIT;
	struct azblob_get_result result;
	char buffer[256];

	options.access = access;
	OK(azblob_get_blob(conn, box, blob, 0, AZBLOB_LENGTH_REST, buffer, sizeof(buffer), &options,
			   &result, &api_error));
	CHECK(result.size == strlen(text));
	CHECK(!memcmp(buffer, text, strlen(text)));
}

static int sum_of_part(void *context, const struct azblob_part *part)
{
	*(uint64_t *)context = part->crc64;
	return 0;
}

static void checksums_may_be_left_out(void)
{
	struct azblob_get_options options = AZBLOB_GET_OPTIONS_INIT;
	struct azblob_get_result result;
	uint64_t sum = 0;
	char buffer[10];

	put("sums", "0123456789");
	options.part = sum_of_part;
	options.part_context = &sum;
	OK(azblob_get_blob(conn, box, "sums", 0, 10, buffer, 10, &options, &result, &api_error));
	CHECK(result.verified && sum);
	options.no_checksum = 1;
	OK(azblob_get_blob(conn, box, "sums", 0, 10, buffer, 10, &options, &result, &api_error));
	CHECK(!result.verified && !sum);
	CHECK(!memcmp(buffer, "0123456789", 10));
}

static void a_range_is_read_under_a_condition(void)
{
	struct azblob_access access = AZBLOB_ACCESS_INIT;
	struct azblob_get_options options = AZBLOB_GET_OPTIONS_INIT;
	struct azblob_get_result result;
	char buffer[4];

	put("range", "0123456789");
	options.access = &access;
	OK(azblob_get_blob(conn, box, "range", 3, 4, buffer, 4, &options, &result, &api_error));
	CHECK(!memcmp(buffer, "3456", 4));
	access.if_match = result.etag;
	OK(azblob_get_blob(conn, box, "range", 0, 4, buffer, 4, &options, NULL, &api_error));
	access.if_match = "\"0x1\"";
	REFUSED(azblob_get_blob(conn, box, "range", 0, 4, buffer, 4, &options, NULL, &api_error),
		412, "ConditionNotMet");
	access.if_match = NULL;
	access.if_none_match = result.etag;
	REFUSED(azblob_get_blob(conn, box, "range", 0, 4, buffer, 4, &options, NULL, &api_error),
		304, "ConditionNotMet");
}

static void properties_and_metadata(void)
{
	const struct azblob_pair pairs[] = { { "one", "1" }, { "two", "a b" } };
	struct azblob_access access = AZBLOB_ACCESS_INIT;
	struct azblob_change_result changed;
	struct azblob_properties *p;

	put("meta", "x");
	OK(azblob_set_metadata(conn, box, "meta", pairs, 2, NULL, &changed, &api_error));
	access.if_match = changed.etag;
	OK(azblob_get_properties_of(conn, box, "meta", &access, &p, &api_error));
	CHECK(!strcmp(p->etag, changed.etag));
	CHECK(p->metadata_count == 2);
	azblob_properties_free(p);
	OK(azblob_set_metadata(conn, box, "meta", NULL, 0, &access, NULL, &api_error));
	/* That was another version then. */
	REFUSED(azblob_set_metadata(conn, box, "meta", NULL, 0, &access, NULL, &api_error), 412,
		"ConditionNotMet");
	OK(azblob_get_properties_of(conn, box, "meta", NULL, &p, &api_error));
	CHECK(p->metadata_count == 0);
	azblob_properties_free(p);
	FAILS(azblob_set_metadata(conn, box, "meta", &(struct azblob_pair){ "a-b", "" }, 1, NULL,
				  NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
}

static void headers_are_replaced(void)
{
	struct azblob_headers headers = AZBLOB_HEADERS_INIT;
	struct azblob_properties *p;

	put("headers", "x");
	headers.content_type = "text/plain";
	headers.cache_control = "no-store";
	OK(azblob_set_headers(conn, box, "headers", &headers, NULL, NULL, &api_error));
	headers.cache_control = NULL;
	headers.content_language = "en";
	OK(azblob_set_headers(conn, box, "headers", &headers, NULL, NULL, &api_error));
	OK(azblob_get_properties(conn, box, "headers", &p, &api_error));
	CHECK(!strcmp(p->content_type, "text/plain"));
	CHECK(!strcmp(p->content_language, "en"));
	CHECK(!strcmp(p->cache_control, ""));
	azblob_properties_free(p);
	OK(azblob_set_tier(conn, box, "headers", "Cool", NULL, &api_error));
	OK(azblob_get_properties(conn, box, "headers", &p, &api_error));
	CHECK(!strcmp(p->access_tier, "Cool"));
	azblob_properties_free(p);
	FAILS(azblob_set_tier(conn, box, "headers", "Warm", NULL, &api_error), AZBLOB_BAD_ARGUMENT);
}

static void what_an_upload_sets(void)
{
	const struct azblob_pair tags[] = { { "color", "dark blue" }, { "n", "1" } };
	struct azblob_put_options options = AZBLOB_PUT_OPTIONS_INIT;
	struct azblob_access access = AZBLOB_ACCESS_INIT;
	struct azblob_put_result result;
	struct azblob_properties *p;
	struct azblob_tags *got;

	options.tags = tags;
	options.tag_count = 2;
	options.tier = "Cool";
	options.cache_control = "max-age=1";
	options.access = &access;
	access.if_none_match = "*";
	OK(azblob_put_blob(conn, box, "sets", "x", 1, &options, &result, &api_error));
	REFUSED(azblob_put_blob(conn, box, "sets", "x", 1, &options, &result, &api_error), 409,
		"BlobAlreadyExists");
	OK(azblob_get_properties(conn, box, "sets", &p, &api_error));
	CHECK(!strcmp(p->access_tier, "Cool"));
	CHECK(!strcmp(p->cache_control, "max-age=1"));
	CHECK(p->tag_count == 2);
	azblob_properties_free(p);
	OK(azblob_get_tags(conn, box, "sets", NULL, &got, &api_error));
	CHECK(got->count == 2);
	CHECK(!strcmp(got->tags[0].name, "color"));
	CHECK(!strcmp(got->tags[0].value, "dark blue"));
	azblob_tags_free(got);
}

static void tags_are_replaced(void)
{
	const struct azblob_pair tags[] = { { "a", "1" }, { "b:/x", "" } };
	struct azblob_access access = AZBLOB_ACCESS_INIT;
	struct azblob_tags *got;

	put("tags", "x");
	OK(azblob_get_tags(conn, box, "tags", NULL, &got, &api_error));
	CHECK(got->count == 0);
	azblob_tags_free(got);
	OK(azblob_set_tags(conn, box, "tags", tags, 2, NULL, &api_error));
	OK(azblob_set_tags(conn, box, "tags", tags + 1, 1, NULL, &api_error));
	OK(azblob_get_tags(conn, box, "tags", NULL, &got, &api_error));
	CHECK(got->count == 1);
	CHECK(!strcmp(got->tags[0].name, "b:/x"));
	CHECK(!strcmp(got->tags[0].value, ""));
	azblob_tags_free(got);
	access.if_tags = "a = '1'";
	REFUSED(azblob_delete_blob_if(conn, box, "tags", AZBLOB_DELETE_BLOB, &access, &api_error),
		412, "ConditionNotMet");
	FAILS(azblob_set_tags(conn, box, "tags", &(struct azblob_pair){ "<", "" }, 1, NULL,
			      &api_error),
	      AZBLOB_BAD_ARGUMENT);
}

static void snapshots_keep_what_was(void)
{
	struct azblob_access access = AZBLOB_ACCESS_INIT;
	char snapshot[AZBLOB_SNAPSHOT_ROOM];

	put("snap", "old");
	OK(azblob_create_snapshot(conn, box, "snap", NULL, 0, NULL, snapshot, &api_error));
	put("snap", "newer");
	access.snapshot = snapshot;
	assert_content("snap", &access, "old");
	assert_content("snap", NULL, "newer");
	REFUSED(azblob_delete_blob_if(conn, box, "snap", AZBLOB_DELETE_BLOB, NULL, &api_error), 409,
		"SnapshotsPresent");
	OK(azblob_delete_blob_if(conn, box, "snap", AZBLOB_DELETE_BLOB, &access, &api_error));
	OK(azblob_create_snapshot(conn, box, "snap", NULL, 0, NULL, snapshot, &api_error));
	OK(azblob_delete_blob_if(conn, box, "snap", AZBLOB_DELETE_SNAPSHOTS_ONLY, NULL,
				 &api_error));
	assert_content("snap", NULL, "newer");
	OK(azblob_create_snapshot(conn, box, "snap", NULL, 0, NULL, snapshot, &api_error));
	OK(azblob_delete_blob_if(conn, box, "snap", AZBLOB_DELETE_WITH_SNAPSHOTS, NULL,
				 &api_error));
	REFUSED(azblob_delete_blob(conn, box, "snap", &api_error), 404, "BlobNotFound");
}

static void appends_go_to_the_end(void)
{
	struct azblob_put_options once = AZBLOB_PUT_OPTIONS_INIT;
	struct azblob_append_result result;
	struct azblob_properties *p;

	once.if_none_match = "*";
	OK(azblob_append_create(conn, box, "log", &once, NULL, &api_error));
	REFUSED(azblob_append_create(conn, box, "log", &once, NULL, &api_error), 409,
		"BlobAlreadyExists");
	OK(azblob_append_block(conn, box, "log", "abc", 3, 0, AZBLOB_APPEND_ANYWHERE, NULL, &result,
			       &api_error));
	CHECK(result.offset == 0);
	OK(azblob_append_block(conn, box, "log", "de", 2, AZBLOB_APPEND_ANYWHERE,
			       AZBLOB_APPEND_ANYWHERE, NULL, &result, &api_error));
	CHECK(result.offset == 3);
	CHECK(result.blocks == 2);
	REFUSED(azblob_append_block(conn, box, "log", "x", 1, 0, AZBLOB_APPEND_ANYWHERE, NULL, NULL,
				    &api_error),
		412, "AppendPositionConditionNotMet");
	REFUSED(azblob_append_block(conn, box, "log", "x", 1, AZBLOB_APPEND_ANYWHERE, 5, NULL, NULL,
				    &api_error),
		412, "MaxBlobSizeConditionNotMet");
	OK(azblob_append_seal(conn, box, "log", NULL, &api_error));
	FAILS(azblob_append_block(conn, box, "log", "x", 1, AZBLOB_APPEND_ANYWHERE,
				  AZBLOB_APPEND_ANYWHERE, NULL, NULL, &api_error),
	      AZBLOB_SERVICE);
	CHECK(api_error.http_status == 409);
	OK(azblob_get_properties(conn, box, "log", &p, &api_error));
	CHECK(p->append_blocks == 2);
	CHECK(p->is_sealed);
	azblob_properties_free(p);
	assert_content("log", NULL, "abcde");
}

static void copies_are_made_by_the_service(void)
{
	struct azblob_copy_options options = AZBLOB_COPY_OPTIONS_INIT;
	struct azblob_access access = AZBLOB_ACCESS_INIT;
	struct azblob_copy_result result;
	char snapshot[AZBLOB_SNAPSHOT_ROOM];
	struct azblob_properties *p;
	char *url;

	put("from/a b", "old");
	OK(azblob_create_snapshot(conn, box, "from/a b", NULL, 0, NULL, snapshot, &api_error));
	put("from/a b", "new");
	OK(azblob_url(conn, box, "from/a b", NULL, &url, &api_error));
	CHECK(strstr(url, "/from/a%20b"));
	OK(azblob_copy_start(conn, box, "to", url, NULL, &result, &api_error));
	OK(azblob_copy_wait(conn, box, "to", NULL, NULL, &api_error));
	assert_content("to", NULL, "new");
	OK(azblob_get_properties(conn, box, "to", &p, &api_error));
	CHECK(!strcmp(p->copy_id, result.copy_id));
	CHECK(!strcmp(p->copy_status, "success"));
	CHECK(!strcmp(p->copy_progress, "3/3"));
	azblob_properties_free(p);
	REFUSED(azblob_copy_abort(conn, box, "to", result.copy_id, NULL, &api_error), 409,
		"NoPendingCopyOperation");
	access.if_none_match = "*";
	options.access = &access;
	REFUSED(azblob_copy_start(conn, box, "to", url, &options, NULL, &api_error), 409,
		"BlobAlreadyExists");
	azblob_text_free(url);
	OK(azblob_url(conn, box, "from/a b", snapshot, &url, &api_error));
	options.access = NULL;
	options.synchronous = 1;
	OK(azblob_copy_start(conn, box, "to", url, &options, &result, &api_error));
	CHECK(!strcmp(result.status, "success"));
	assert_content("to", NULL, "old");
	options.source = &access;
	access.if_none_match = NULL;
	access.if_match = "\"0x1\"";
	FAILS(azblob_copy_start(conn, box, "to", url, &options, NULL, &api_error), AZBLOB_SERVICE);
	CHECK(api_error.http_status == 412);
	azblob_text_free(url);
	FAILS(azblob_copy_start(conn, box, "to", "box/x", NULL, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
}

static void a_lease_keeps_others_out(void)
{
	struct azblob_access access = AZBLOB_ACCESS_INIT;
	struct azblob_put_options options = AZBLOB_PUT_OPTIONS_INIT;
	char id[AZBLOB_LEASE_ROOM];
	unsigned int left = 99;

	put("leased", "x");
	OK(azblob_lease_acquire(conn, box, "leased", 15, LEASE_A, NULL, id, &api_error));
	CHECK(!strcmp(id, LEASE_A));
	REFUSED(azblob_delete_blob(conn, box, "leased", &api_error), 412, "LeaseIdMissing");
	access.lease_id = LEASE_A;
	options.access = &access;
	OK(azblob_put_blob(conn, box, "leased", "y", 1, &options, NULL, &api_error));
	OK(azblob_put_block_leased(conn, box, "leased", "AAAA", "z", 1, LEASE_A, &api_error));
	REFUSED(azblob_put_block(conn, box, "leased", "AAAB", "z", 1, &api_error), 412,
		"LeaseIdMissing");
	OK(azblob_lease_renew(conn, box, "leased", LEASE_A, NULL, &api_error));
	OK(azblob_lease_change(conn, box, "leased", LEASE_A, LEASE_B, NULL, &api_error));
	FAILS(azblob_lease_renew(conn, box, "leased", LEASE_A, NULL, &api_error), AZBLOB_SERVICE);
	CHECK(api_error.http_status == 409);
	OK(azblob_lease_release(conn, box, "leased", LEASE_B, NULL, &api_error));
	OK(azblob_lease_acquire(conn, box, "leased", AZBLOB_LEASE_INFINITE, NULL, NULL, id,
				&api_error));
	OK(azblob_lease_break(conn, box, "leased", 0, NULL, &left, &api_error));
	CHECK(left == 0);
	OK(azblob_delete_blob(conn, box, "leased", &api_error));
	OK(azblob_lease_acquire(conn, box, NULL, AZBLOB_LEASE_INFINITE, NULL, NULL, id,
				&api_error));
	REFUSED(azblob_container_delete(conn, box, &api_error), 412, "LeaseIdMissing");
	OK(azblob_lease_release(conn, box, NULL, id, NULL, &api_error));
	FAILS(azblob_lease_acquire(conn, box, NULL, 14, NULL, NULL, id, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	FAILS(azblob_lease_renew(conn, box, NULL, "x", NULL, &api_error), AZBLOB_BAD_ARGUMENT);
}

static void lists_tell_what_they_are_asked_for(void)
{
	const struct azblob_pair pair = { "mtime", "12345" };
	struct azblob_put_options put_options = AZBLOB_PUT_OPTIONS_INIT;
	struct azblob_list_options options = AZBLOB_LIST_OPTIONS_INIT;
	char snapshot[AZBLOB_SNAPSHOT_ROOM];
	struct azblob_list *list;

	put_options.metadata = &pair;
	put_options.metadata_count = 1;
	OK(azblob_put_blob(conn, box, "list/a", "abc", 3, &put_options, NULL, &api_error));
	OK(azblob_create_snapshot(conn, box, "list/a", NULL, 0, NULL, snapshot, &api_error));
	OK(azblob_put_block(conn, box, "list/b", "AAAA", "x", 1, &api_error));
	options.prefix = "list/";
	OK(azblob_list_blobs(conn, box, &options, &list, &api_error));
	CHECK(list->count == 1);
	CHECK(list->entries[0]->metadata_count == 0);
	CHECK(!strcmp(list->entries[0]->snapshot, ""));
	CHECK(!strcmp(list->entries[0]->lease_state, "available"));
	azblob_list_free(list);
	options.include =
		AZBLOB_INCLUDE_METADATA | AZBLOB_INCLUDE_SNAPSHOTS | AZBLOB_INCLUDE_UNCOMMITTED;
	OK(azblob_list_blobs(conn, box, &options, &list, &api_error));
	CHECK(list->count == 3);
	CHECK(!strcmp(list->entries[0]->snapshot, snapshot));
	CHECK(!strcmp(list->entries[1]->metadata[0].name, "mtime"));
	CHECK(!strcmp(list->entries[1]->metadata[0].value, "12345"));
	CHECK(list->entries[1]->size == 3);
	CHECK(!strcmp(list->entries[2]->name, "list/b"));
	azblob_list_free(list);
	options.include = 1u << 20;
	FAILS(azblob_list_blobs(conn, box, &options, &list, &api_error), AZBLOB_BAD_ARGUMENT);
}

static void blocks_are_listed_and_committed(void)
{
	static const char *const ids[] = { "AAAA", "AAAB" };
	struct azblob_block_list *list;

	REFUSED(azblob_get_block_list(conn, box, "blocks", NULL, &list, &api_error), 404,
		"BlobNotFound");
	OK(azblob_put_block(conn, box, "blocks", ids[0], "abc", 3, &api_error));
	OK(azblob_put_block_list(conn, box, "blocks", ids, 1, NULL, NULL, &api_error));
	OK(azblob_put_block(conn, box, "blocks", ids[1], "de", 2, &api_error));
	OK(azblob_get_block_list(conn, box, "blocks", NULL, &list, &api_error));
	CHECK(list->count == 2);
	CHECK(!strcmp(list->blocks[0]->id, "AAAA"));
	CHECK(list->blocks[0]->size == 3);
	CHECK(list->blocks[0]->committed);
	CHECK(!strcmp(list->blocks[1]->id, "AAAB"));
	CHECK(!list->blocks[1]->committed);
	azblob_block_list_free(list);
	OK(azblob_put_block_list(conn, box, "blocks", ids, 2, NULL, NULL, &api_error));
	assert_content("blocks", NULL, "abcde");
}

/* More than the link's transport has room for as text. */
#define MANY_BLOCKS 8000
#define PUTTERS 16

static void *put_many(void *data)
{
	const size_t *first = data;
	struct azblob_error mine;
	char id[96];

	for (size_t i = *first; i < MANY_BLOCKS; i += PUTTERS) {
		/* base64 of 63 bytes */
		snprintf(id, sizeof(id), "%084zu", i);
		if (azblob_put_block(conn, box, "many", id, "x", 1, &mine))
			return "failed";
	}
	return NULL;
}

static void a_list_of_very_many_blocks(void)
{
	struct azblob_block_list *list;
	pthread_t thread[PUTTERS];
	size_t first[PUTTERS];
	void *failed;

	for (size_t i = 0; i < PUTTERS; i++) {
		first[i] = i;
		CHECK(pthread_create(&thread[i], NULL, put_many, &first[i]) == 0);
	}
	for (size_t i = 0; i < PUTTERS; i++) {
		CHECK(pthread_join(thread[i], &failed) == 0);
		CHECK(!failed);
	}
	OK(azblob_get_block_list(conn, box, "many", NULL, &list, &api_error));
	CHECK(list->count == MANY_BLOCKS);
	azblob_block_list_free(list);
}

static void conditions_that_make_no_sense(void)
{
	struct azblob_access access = AZBLOB_ACCESS_INIT;
	struct azblob_properties *p;

	access.snapshot = "2026-01-01T00:00:00.0000000Z";
	FAILS(azblob_set_metadata(conn, box, "x", NULL, 0, &access, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	access.version = access.snapshot;
	FAILS(azblob_get_properties_of(conn, box, "x", &access, &p, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	access = (struct azblob_access)AZBLOB_ACCESS_INIT;
	access.if_match = "a\r\nb: c";
	FAILS(azblob_get_properties_of(conn, box, "x", &access, &p, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	access = (struct azblob_access)AZBLOB_ACCESS_INIT;
	access.lease_id = "nonsense";
	FAILS(azblob_get_properties_of(conn, box, "x", &access, &p, &api_error),
	      AZBLOB_BAD_ARGUMENT);
}

/* Services take an empty one for none, and so would remove the blob instead of its snapshot. */
static void nothing_is_no_condition(void)
{
	struct azblob_put_options put_options = AZBLOB_PUT_OPTIONS_INIT;
	struct azblob_get_options get_options = AZBLOB_GET_OPTIONS_INIT;
	struct azblob_access empty[7];
	char *url;
	char byte;

	put("kept", "x");
	for (size_t i = 0; i < 7; i++)
		empty[i] = (struct azblob_access)AZBLOB_ACCESS_INIT;
	empty[0].snapshot = "";
	empty[1].version = "";
	empty[2].if_match = "";
	empty[3].if_none_match = "";
	empty[4].if_modified_since = "";
	empty[5].if_unmodified_since = "";
	empty[6].if_tags = "";
	for (size_t i = 0; i < 7; i++)
		FAILS(azblob_delete_blob_if(conn, box, "kept", AZBLOB_DELETE_BLOB, &empty[i],
					    &api_error),
		      AZBLOB_BAD_ARGUMENT);
	put_options.if_match = "";
	FAILS(azblob_put_blob(conn, box, "kept", "y", 1, &put_options, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	put_options.if_match = NULL;
	put_options.if_none_match = "";
	FAILS(azblob_put_blob(conn, box, "kept", "y", 1, &put_options, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	get_options.if_match = "";
	FAILS(azblob_get_blob(conn, box, "kept", 0, 1, &byte, 1, &get_options, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	FAILS(azblob_url(conn, box, "kept", "", &url, &api_error), AZBLOB_BAD_ARGUMENT);
	assert_content("kept", NULL, "x");
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	box = argv[1];
	conn = api_open();
	checksums_may_be_left_out();
	a_range_is_read_under_a_condition();
	properties_and_metadata();
	headers_are_replaced();
	what_an_upload_sets();
	tags_are_replaced();
	snapshots_keep_what_was();
	appends_go_to_the_end();
	copies_are_made_by_the_service();
	a_lease_keeps_others_out();
	lists_tell_what_they_are_asked_for();
	blocks_are_listed_and_committed();
	a_list_of_very_many_blocks();
	conditions_that_make_no_sense();
	nothing_is_no_condition();
	azblob_close(conn);
	return 0;
}
