// SPDX-License-Identifier: MIT
/* The calls of azblob_pages.h: page blobs, and bytes that the service fetches. */
#include "api.h"

static azblob_conn *conn;
static const char *box;

#define PAGE AZBLOB_PAGE_SIZE

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

static char bytes[8 * PAGE];
static char back[64 * PAGE];

static void read_all(const char *blob, size_t size)
{
	struct azblob_get_result result;

	OK(azblob_get_blob(conn, box, blob, 0, AZBLOB_LENGTH_REST, back, sizeof(back), NULL,
			   &result, &api_error));
	CHECK(result.size == size);
}

static int all_zero(const char *at, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (at[i])
			return 0;
	return 1;
}

static void check_range(const struct azblob_page_list *list, size_t at, uint64_t offset,
			uint64_t length, int written)
{
	CHECK(at < list->count);
	CHECK(list->ranges[at]->offset == offset);
	CHECK(list->ranges[at]->length == length);
	CHECK(list->ranges[at]->written == written);
}

static void pages_are_written_and_cleared(void)
{
	struct azblob_put_options once = AZBLOB_PUT_OPTIONS_INIT;
	struct azblob_change_result created;
	struct azblob_page_result changed;
	struct azblob_page_list *list;
	struct azblob_properties *p;

	once.if_none_match = "*";
	once.content_type = "application/x-disk";
	OK(azblob_page_create(conn, box, "disk", 32 * PAGE, 7, &once, &created, &api_error));
	REFUSED(azblob_page_create(conn, box, "disk", 32 * PAGE, 7, &once, NULL, &api_error), 409,
		"BlobAlreadyExists");
	OK(azblob_get_properties(conn, box, "disk", &p, &api_error));
	CHECK(!strcmp(p->blob_type, "PageBlob") && p->size == 32 * PAGE);
	CHECK(p->sequence_number == 7 && !strcmp(p->content_type, "application/x-disk"));
	azblob_properties_free(p);
	OK(azblob_put_pages(conn, box, "disk", 4 * PAGE, bytes, 8 * PAGE, NULL, &changed,
			    &api_error));
	CHECK(strcmp(changed.etag, created.etag) != 0 && changed.sequence_number == 7);
	OK(azblob_clear_pages(conn, box, "disk", 6 * PAGE, 2 * PAGE, NULL, NULL, &api_error));
	read_all("disk", 32 * PAGE);
	CHECK(all_zero(back, 4 * PAGE) && all_zero(back + 6 * PAGE, 2 * PAGE));
	CHECK(!memcmp(back + 4 * PAGE, bytes, 2 * PAGE));
	CHECK(!memcmp(back + 8 * PAGE, bytes + 4 * PAGE, 4 * PAGE));
	CHECK(all_zero(back + 12 * PAGE, 20 * PAGE));
	OK(azblob_get_page_ranges(conn, box, "disk", NULL, &list, &api_error));
	CHECK(list->count == 2 && list->blob_size == 32 * PAGE && !*list->next_marker);
	check_range(list, 0, 4 * PAGE, 2 * PAGE, 1);
	check_range(list, 1, 8 * PAGE, 4 * PAGE, 1);
	azblob_page_list_free(list);
}

static void ranges_come_in_parts(void)
{
	struct azblob_page_list_options options = AZBLOB_PAGE_LIST_OPTIONS_INIT;
	struct azblob_page_list *list;
	char marker[64];

	options.max_results = 1;
	OK(azblob_get_page_ranges(conn, box, "disk", &options, &list, &api_error));
	CHECK(list->count == 1 && *list->next_marker && *list->etag);
	check_range(list, 0, 4 * PAGE, 2 * PAGE, 1);
	snprintf(marker, sizeof(marker), "%s", list->next_marker);
	azblob_page_list_free(list);
	options.marker = marker;
	OK(azblob_get_page_ranges(conn, box, "disk", &options, &list, &api_error));
	CHECK(list->count == 1 && !*list->next_marker);
	check_range(list, 0, 8 * PAGE, 4 * PAGE, 1);
	azblob_page_list_free(list);
	options.marker = NULL;
	options.max_results = 0;
	options.offset = 5 * PAGE;
	options.length = 4 * PAGE;
	OK(azblob_get_page_ranges(conn, box, "disk", &options, &list, &api_error));
	CHECK(list->count == 2);
	check_range(list, 0, 5 * PAGE, PAGE, 1);
	check_range(list, 1, 8 * PAGE, PAGE, 1);
	azblob_page_list_free(list);
	azblob_page_list_free(NULL);
	options.max_results = 10001;
	FAILS(azblob_get_page_ranges(conn, box, "disk", &options, &list, &api_error),
	      AZBLOB_BAD_ARGUMENT);
}

static void what_changed_since_a_snapshot(void)
{
	struct azblob_page_list_options options = AZBLOB_PAGE_LIST_OPTIONS_INIT;
	char snapshot[AZBLOB_SNAPSHOT_ROOM];
	struct azblob_page_list *list;

	OK(azblob_create_snapshot(conn, box, "disk", NULL, 0, NULL, snapshot, &api_error));
	OK(azblob_put_pages(conn, box, "disk", 20 * PAGE, bytes, PAGE, NULL, NULL, &api_error));
	OK(azblob_clear_pages(conn, box, "disk", 8 * PAGE, PAGE, NULL, NULL, &api_error));
	options.previous_snapshot = snapshot;
	OK(azblob_get_page_ranges(conn, box, "disk", &options, &list, &api_error));
	CHECK(list->count == 2);
	check_range(list, 0, 8 * PAGE, PAGE, 0);
	check_range(list, 1, 20 * PAGE, PAGE, 1);
	azblob_page_list_free(list);
}

static void sizes_and_sequence_numbers(void)
{
	struct azblob_page_options options = AZBLOB_PAGE_OPTIONS_INIT;
	struct azblob_page_result result;
	const uint64_t nine = 9;
	const uint64_t ten = 10;

	OK(azblob_page_resize(conn, box, "disk", 40 * PAGE, NULL, &result, &api_error));
	read_all("disk", 40 * PAGE);
	CHECK(all_zero(back + 32 * PAGE, 8 * PAGE));
	OK(azblob_page_resize(conn, box, "disk", 5 * PAGE, NULL, NULL, &api_error));
	read_all("disk", 5 * PAGE);
	FAILS(azblob_page_resize(conn, box, "disk", 1, NULL, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	OK(azblob_page_set_sequence(conn, box, "disk", AZBLOB_SEQUENCE_SET, 5, NULL, &result,
				    &api_error));
	CHECK(result.sequence_number == 5);
	OK(azblob_page_set_sequence(conn, box, "disk", AZBLOB_SEQUENCE_MAX, 9, NULL, &result,
				    &api_error));
	CHECK(result.sequence_number == 9);
	OK(azblob_page_set_sequence(conn, box, "disk", AZBLOB_SEQUENCE_MAX, 3, NULL, &result,
				    &api_error));
	CHECK(result.sequence_number == 9);
	OK(azblob_page_set_sequence(conn, box, "disk", AZBLOB_SEQUENCE_INCREMENT, 0, NULL, &result,
				    &api_error));
	CHECK(result.sequence_number == 10);
	FAILS(azblob_page_set_sequence(conn, box, "disk", AZBLOB_SEQUENCE_INCREMENT, 1, NULL, NULL,
				       &api_error),
	      AZBLOB_BAD_ARGUMENT);
	/* It is 10: equal to it, not below nine, not at most nine. */
	options.if_sequence_eq = &ten;
	OK(azblob_put_pages(conn, box, "disk", 0, bytes, PAGE, &options, NULL, &api_error));
	options.if_sequence_eq = NULL;
	options.if_sequence_le = &nine;
	REFUSED(azblob_put_pages(conn, box, "disk", 0, bytes, PAGE, &options, NULL, &api_error),
		412, "SequenceNumberConditionNotMet");
	options.if_sequence_le = NULL;
	options.if_sequence_lt = &ten;
	REFUSED(azblob_clear_pages(conn, box, "disk", 0, PAGE, &options, NULL, &api_error), 412,
		"SequenceNumberConditionNotMet");
}

static void pages_that_make_no_sense(void)
{
	static char large[PAGE];

	FAILS(azblob_page_create(conn, box, "odd", 100, 0, NULL, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	FAILS(azblob_put_pages(conn, box, "disk", 1, bytes, PAGE, NULL, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	FAILS(azblob_put_pages(conn, box, "disk", 0, bytes, 0, NULL, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	FAILS(azblob_put_pages(conn, box, "disk", 0, large, AZBLOB_PAGES_MAX + PAGE, NULL, NULL,
			       &api_error),
	      AZBLOB_BAD_ARGUMENT);
	FAILS(azblob_clear_pages(conn, box, "disk", 0, PAGE + 1, NULL, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	REFUSED(azblob_put_pages(conn, box, "disk", 1000 * PAGE, bytes, PAGE, NULL, NULL,
				 &api_error),
		416, "InvalidPageRange");
}

/* What the newest snapshot of a copy holds. */
static void check_copied(const char *first, const char *last)
{
	struct azblob_get_options options = AZBLOB_GET_OPTIONS_INIT;
	struct azblob_access access = AZBLOB_ACCESS_INIT;
	struct azblob_get_result result;
	struct azblob_properties *p;

	OK(azblob_copy_wait(conn, box, "follower", NULL, NULL, &api_error));
	OK(azblob_get_properties(conn, box, "follower", &p, &api_error));
	CHECK(p->is_incremental_copy && *p->copy_snapshot);
	access.snapshot = p->copy_snapshot;
	options.access = &access;
	OK(azblob_get_blob(conn, box, "follower", 0, AZBLOB_LENGTH_REST, back, sizeof(back),
			   &options, &result, &api_error));
	CHECK(result.size == 4 * PAGE);
	CHECK(!memcmp(back, first, PAGE) && !memcmp(back + 3 * PAGE, last, PAGE));
	azblob_properties_free(p);
}

static void a_blob_follows_the_snapshots_of_another(void)
{
	static const char zeros[PAGE];
	struct azblob_access access = AZBLOB_ACCESS_INIT;
	struct azblob_copy_result result;
	struct azblob_properties *p;
	char snapshot[AZBLOB_SNAPSHOT_ROOM];
	char *early;
	char *late;
	char *plain;

	OK(azblob_page_create(conn, box, "source", 4 * PAGE, 0, NULL, NULL, &api_error));
	OK(azblob_put_pages(conn, box, "source", 0, bytes, PAGE, NULL, NULL, &api_error));
	OK(azblob_create_snapshot(conn, box, "source", NULL, 0, NULL, snapshot, &api_error));
	OK(azblob_url(conn, box, "source", snapshot, &early, &api_error));
	OK(azblob_url(conn, box, "source", NULL, &plain, &api_error));
	REFUSED(azblob_copy_incremental(conn, box, "follower", plain, NULL, NULL, &api_error), 409,
		"IncrementalCopySourceMustBeSnapshot");
	OK(azblob_copy_incremental(conn, box, "follower", early, NULL, &result, &api_error));
	CHECK(*result.copy_id && *result.status && *result.etag);
	check_copied(bytes, zeros);
	OK(azblob_put_pages(conn, box, "source", 3 * PAGE, bytes + PAGE, PAGE, NULL, NULL,
			    &api_error));
	OK(azblob_create_snapshot(conn, box, "source", NULL, 0, NULL, snapshot, &api_error));
	OK(azblob_url(conn, box, "source", snapshot, &late, &api_error));
	access.if_none_match = "*";
	FAILS(azblob_copy_incremental(conn, box, "follower", late, &access, NULL, &api_error),
	      AZBLOB_SERVICE);
	access.if_none_match = NULL;
	access.if_match = result.etag;
	OK(azblob_copy_incremental(conn, box, "follower", late, &access, NULL, &api_error));
	check_copied(bytes, bytes + PAGE);
	REFUSED(azblob_copy_incremental(conn, box, "follower", early, NULL, NULL, &api_error), 409,
		"IncrementalCopyOfEarlierVersionSnapshotNotAllowed");
	access.lease_id = "00000000-0000-4000-8000-00000000000a";
	FAILS(azblob_copy_incremental(conn, box, "follower", late, &access, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	FAILS(azblob_copy_incremental(conn, box, "follower", "box/disk", NULL, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	OK(azblob_get_properties(conn, box, "source", &p, &api_error));
	CHECK(!p->is_incremental_copy && !*p->copy_snapshot);
	azblob_properties_free(p);
	azblob_text_free(early);
	azblob_text_free(late);
	azblob_text_free(plain);
}

/* ---- from a URL ---- */

static void put_and_name(const char *blob, const char *text, size_t length, char **url)
{
	struct azblob_put_options options = AZBLOB_PUT_OPTIONS_INIT;

	options.content_type = "text/x-source";
	OK(azblob_put_blob(conn, box, blob, text, length, &options, NULL, &api_error));
	OK(azblob_url(conn, box, blob, NULL, url, &api_error));
}

static void the_service_fetches_a_blob(char *url)
{
	struct azblob_put_options options = AZBLOB_PUT_OPTIONS_INIT;
	struct azblob_source source = AZBLOB_SOURCE_INIT;
	struct azblob_access access = AZBLOB_ACCESS_INIT;
	struct azblob_change_result result;
	struct azblob_properties *p;

	source.url = url;
	OK(azblob_put_blob_from_url(conn, box, "made", &source, NULL, &result, &api_error));
	read_all("made", 10);
	CHECK(!memcmp(back, "0123456789", 10));
	OK(azblob_get_properties(conn, box, "made", &p, &api_error));
	CHECK(!strcmp(p->content_type, "text/x-source") && !strcmp(p->etag, result.etag));
	azblob_properties_free(p);
	options.content_type = "text/plain";
	options.if_none_match = "*";
	REFUSED(azblob_put_blob_from_url(conn, box, "made", &source, &options, NULL, &api_error),
		409, "BlobAlreadyExists");
	options.if_none_match = NULL;
	OK(azblob_put_blob_from_url(conn, box, "made", &source, &options, NULL, &api_error));
	OK(azblob_get_properties(conn, box, "made", &p, &api_error));
	CHECK(!strcmp(p->content_type, "text/plain"));
	azblob_properties_free(p);
	source.content_md5 = "AAAAAAAAAAAAAAAAAAAAAA==";
	FAILS(azblob_put_blob_from_url(conn, box, "made", &source, NULL, NULL, &api_error),
	      AZBLOB_CHECKSUM);
	CHECK(!strcmp(api_error.code, "Md5Mismatch"));
	source.content_md5 = NULL;
	access.if_match = "\"0x1\"";
	source.access = &access;
	FAILS(azblob_put_blob_from_url(conn, box, "made", &source, NULL, NULL, &api_error),
	      AZBLOB_SERVICE);
	CHECK(api_error.http_status == 412);
	source.access = NULL;
	source.offset = 1;
	FAILS(azblob_put_blob_from_url(conn, box, "made", &source, NULL, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	source.url = "box/from";
	FAILS(azblob_put_blob_from_url(conn, box, "made", &source, NULL, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	FAILS(azblob_put_blob_from_url(conn, box, "made", NULL, NULL, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
}

static void blocks_and_appends_of_ranges(char *url)
{
	static const char *const ids[] = { "YQ==", "Yg==" };
	struct azblob_source source = AZBLOB_SOURCE_INIT;
	struct azblob_append_result result;

	source.url = url;
	source.offset = 5;
	OK(azblob_put_block_from_url(conn, box, "blocks", ids[0], &source, NULL, &api_error));
	source.offset = 0;
	source.length = 5;
	OK(azblob_put_block_from_url(conn, box, "blocks", ids[1], &source, NULL, &api_error));
	OK(azblob_put_block_list(conn, box, "blocks", ids, 2, NULL, NULL, &api_error));
	read_all("blocks", 10);
	CHECK(!memcmp(back, "5678901234", 10));
	FAILS(azblob_put_block_from_url(conn, box, "blocks", "?", &source, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	OK(azblob_append_create(conn, box, "grown", NULL, NULL, &api_error));
	OK(azblob_append_from_url(conn, box, "grown", &source, 0, AZBLOB_APPEND_ANYWHERE, NULL,
				  &result, &api_error));
	CHECK(result.offset == 0 && result.blocks == 1);
	OK(azblob_append_from_url(conn, box, "grown", &source, AZBLOB_APPEND_ANYWHERE, 10, NULL,
				  &result, &api_error));
	CHECK(result.offset == 5 && result.blocks == 2);
	REFUSED(azblob_append_from_url(conn, box, "grown", &source, 0, AZBLOB_APPEND_ANYWHERE, NULL,
				       NULL, &api_error),
		412, "AppendPositionConditionNotMet");
	read_all("grown", 10);
	CHECK(!memcmp(back, "0123401234", 10));
}

static void pages_of_a_range(void)
{
	struct azblob_source source = AZBLOB_SOURCE_INIT;
	struct azblob_page_result result;
	char *url;

	put_and_name("pages from", bytes, sizeof(bytes), &url);
	source.url = url;
	OK(azblob_page_create(conn, box, "fetched", 4 * PAGE, 3, NULL, NULL, &api_error));
	FAILS(azblob_put_pages_from_url(conn, box, "fetched", PAGE, &source, NULL, NULL,
					&api_error),
	      AZBLOB_BAD_ARGUMENT);
	source.offset = 2 * PAGE;
	source.length = PAGE;
	OK(azblob_put_pages_from_url(conn, box, "fetched", PAGE, &source, NULL, &result,
				     &api_error));
	CHECK(result.sequence_number == 3);
	read_all("fetched", 4 * PAGE);
	CHECK(all_zero(back, PAGE) && all_zero(back + 2 * PAGE, 2 * PAGE));
	CHECK(!memcmp(back + PAGE, bytes + 2 * PAGE, PAGE));
	azblob_text_free(url);
}

int main(int argc, char **argv)
{
	char *url;

	CHECK(argc == 2);
	box = argv[1];
	conn = api_open();
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / PAGE + 1) | 1;
	pages_are_written_and_cleared();
	ranges_come_in_parts();
	what_changed_since_a_snapshot();
	sizes_and_sequence_numbers();
	pages_that_make_no_sense();
	a_blob_follows_the_snapshots_of_another();
	put_and_name("from", "0123456789", 10, &url);
	the_service_fetches_a_blob(url);
	blocks_and_appends_of_ranges(url);
	azblob_text_free(url);
	pages_of_a_range();
	azblob_close(conn);
	return 0;
}
