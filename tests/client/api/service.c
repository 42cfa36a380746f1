// SPDX-License-Identifier: MIT
/* The calls of azblob_service.h: containers, the account, finding, batches, undeletion,
 * immutability. */
#include "api.h"

#include <time.h>

static azblob_conn *conn;
static const char *box;

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

/* A container of this test's own. */
static char other[64];

static void containers_have_properties(void)
{
	const struct azblob_pair one[] = { { "color", "red" } };
	const struct azblob_pair two[] = { { "a", "1" }, { "b", "x y" } };
	struct azblob_container_options options = AZBLOB_CONTAINER_OPTIONS_INIT;
	struct azblob_access access = AZBLOB_ACCESS_INIT;
	struct azblob_container_properties *p;
	struct azblob_change_result result;
	char lease[AZBLOB_LEASE_ROOM];

	options.public_access = AZBLOB_PUBLIC_BLOB;
	options.metadata = one;
	options.metadata_count = 1;
	OK(azblob_container_create_with(conn, other, &options, &result, &api_error));
	REFUSED(azblob_container_create_with(conn, other, NULL, NULL, &api_error), 409,
		"ContainerAlreadyExists");
	OK(azblob_container_get_properties(conn, other, NULL, &p, &api_error));
	CHECK(p->public_access == AZBLOB_PUBLIC_BLOB && !strcmp(p->etag, result.etag));
	CHECK(p->metadata_count == 1 && !strcmp(p->metadata[0].value, "red"));
	CHECK(!strcmp(p->lease_state, "available") && !p->has_legal_hold);
	azblob_container_properties_free(p);
	OK(azblob_lease_acquire(conn, other, NULL, AZBLOB_LEASE_INFINITE, NULL, NULL, lease,
				&api_error));
	access.lease_id = lease;
	OK(azblob_container_set_metadata(conn, other, two, 2, &access, &result, &api_error));
	OK(azblob_container_get_properties(conn, other, lease, &p, &api_error));
	CHECK(p->metadata_count == 2 && !strcmp(p->lease_state, "leased"));
	CHECK(!strcmp(p->etag, result.etag));
	azblob_container_properties_free(p);
	REFUSED(azblob_container_delete_if(conn, other, NULL, &api_error), 412, "LeaseIdMissing");
	OK(azblob_lease_release(conn, other, NULL, lease, NULL, &api_error));
	access.lease_id = NULL;
	access.if_match = "\"0x1\"";
	FAILS(azblob_container_delete_if(conn, other, &access, &api_error), AZBLOB_BAD_ARGUMENT);
	options.public_access = (enum azblob_public)7;
	FAILS(azblob_container_create_with(conn, "another", &options, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	azblob_container_properties_free(NULL);
}

static void access_policies_are_stored(void)
{
	const struct azblob_policy policies[] = {
		{ "first <&>", "2026-01-01T00:00:00Z", "2036-01-01T00:00:00Z", "rl" },
		{ "second", NULL, "", "r" },
	};
	struct azblob_policy many[6];
	struct azblob_acl *acl;

	OK(azblob_container_set_acl(conn, other, AZBLOB_PUBLIC_CONTAINER, policies, 2, NULL, NULL,
				    &api_error));
	OK(azblob_container_get_acl(conn, other, NULL, &acl, &api_error));
	CHECK(acl->count == 2 && acl->public_access == AZBLOB_PUBLIC_CONTAINER && *acl->etag);
	CHECK(!strcmp(acl->policies[0]->id, "first <&>"));
	CHECK(!strncmp(acl->policies[0]->start, "2026-01-01T00:00:00", 19));
	CHECK(!strncmp(acl->policies[0]->expiry, "2036-01-01T00:00:00", 19));
	CHECK(!strcmp(acl->policies[0]->permissions, "rl"));
	CHECK(!strcmp(acl->policies[1]->start, "") && !strcmp(acl->policies[1]->permissions, "r"));
	azblob_acl_free(acl);
	OK(azblob_container_set_acl(conn, other, AZBLOB_PUBLIC_NONE, NULL, 0, NULL, NULL,
				    &api_error));
	OK(azblob_container_get_acl(conn, other, NULL, &acl, &api_error));
	CHECK(acl->count == 0 && acl->public_access == AZBLOB_PUBLIC_NONE);
	azblob_acl_free(acl);
	azblob_acl_free(NULL);
	for (size_t i = 0; i < 6; i++)
		many[i] = policies[1];
	FAILS(azblob_container_set_acl(conn, other, AZBLOB_PUBLIC_NONE, many, 6, NULL, NULL,
				       &api_error),
	      AZBLOB_BAD_ARGUMENT);
}

static void a_deleted_container_comes_back(void)
{
	struct azblob_list_options options = AZBLOB_LIST_OPTIONS_INIT;
	struct azblob_container_properties *p;
	struct azblob_list *page;
	char version[64] = "";

	OK(azblob_container_delete_if(conn, other, NULL, &api_error));
	options.prefix = other;
	options.include = AZBLOB_INCLUDE_DELETED;
	OK(azblob_list_containers(conn, &options, &page, &api_error));
	CHECK(page->count == 1 && page->entries[0]->is_deleted);
	snprintf(version, sizeof(version), "%s", page->entries[0]->version);
	azblob_list_free(page);
	CHECK(*version);
	OK(azblob_container_restore(conn, other, version, &api_error));
	OK(azblob_container_get_properties(conn, other, NULL, &p, &api_error));
	CHECK(p->metadata_count == 2);
	azblob_container_properties_free(p);
	FAILS(azblob_container_restore(conn, other, "", &api_error), AZBLOB_BAD_ARGUMENT);
	OK(azblob_container_delete_if(conn, other, NULL, &api_error));
}

static void a_list_tells_tags(void)
{
	struct azblob_list_options options = AZBLOB_LIST_OPTIONS_INIT;
	struct azblob_list *page;

	options.prefix = "found <";
	options.include = AZBLOB_INCLUDE_TAGS | AZBLOB_INCLUDE_METADATA;
	OK(azblob_list_blobs(conn, box, &options, &page, &api_error));
	CHECK(page->count == 1 && page->entries[0]->tag_count == 2);
	CHECK(!strcmp(page->entries[0]->tags[0].name, "color"));
	CHECK(!strcmp(page->entries[0]->tags[0].value, "red"));
	CHECK(!strcmp(page->entries[0]->tags[1].name, "n"));
	CHECK(!strcmp(page->entries[0]->tags[1].value, "1"));
	CHECK(page->entries[0]->metadata_count == 0);
	azblob_list_free(page);
}

static void blobs_are_found_by_their_tags(void)
{
	const struct azblob_pair red[] = { { "color", "red" }, { "n", "1" } };
	const struct azblob_pair blue[] = { { "color", "blue" } };
	struct azblob_found *page;
	char expression[128];

	put("found <1>", "x");
	put("found 2", "x");
	put("not found", "x");
	OK(azblob_set_tags(conn, box, "found <1>", red, 2, NULL, &api_error));
	OK(azblob_set_tags(conn, box, "found 2", red, 2, NULL, &api_error));
	OK(azblob_set_tags(conn, box, "not found", blue, 1, NULL, &api_error));
	OK(azblob_find_blobs(conn, box, "color = 'red'", NULL, 0, &page, &api_error));
	CHECK(page->count == 2 && !*page->next_marker);
	CHECK(!strcmp(page->blobs[0]->name, "found 2"));
	CHECK(!strcmp(page->blobs[1]->name, "found <1>"));
	CHECK(!strcmp(page->blobs[0]->container, box));
	CHECK(page->blobs[0]->tag_count == 1);
	CHECK(!strcmp(page->blobs[0]->tags[0].name, "color"));
	CHECK(!strcmp(page->blobs[0]->tags[0].value, "red"));
	azblob_found_free(page);
	OK(azblob_find_blobs(conn, box, "color = 'red'", NULL, 1, &page, &api_error));
	CHECK(page->count == 1 && *page->next_marker);
	{
		char *marker = strdup(page->next_marker);

		azblob_found_free(page);
		OK(azblob_find_blobs(conn, box, "color = 'red'", marker, 1, &page, &api_error));
		free(marker);
	}
	CHECK(page->count == 1 && !strcmp(page->blobs[0]->name, "found <1>"));
	azblob_found_free(page);
	a_list_tells_tags();
	/* In all containers, of which this is one. */
	snprintf(expression, sizeof(expression), "@container = '%s' AND color = 'blue'", box);
	OK(azblob_find_blobs(conn, NULL, expression, NULL, 0, &page, &api_error));
	CHECK(page->count == 1 && !strcmp(page->blobs[0]->container, box));
	azblob_found_free(page);
	azblob_found_free(NULL);
	FAILS(azblob_find_blobs(conn, box, "", NULL, 0, &page, &api_error), AZBLOB_BAD_ARGUMENT);
	FAILS(azblob_find_blobs(conn, box, "color", NULL, 0, &page, &api_error), AZBLOB_SERVICE);
}

static void a_batch_tells_of_each(void)
{
	enum {
		MANY = 200
	};
	static struct azblob_batch_request requests[AZBLOB_BATCH_MAX + 1];
	static struct azblob_batch_result results[AZBLOB_BATCH_MAX + 1];
	static char names[MANY][16];
	struct azblob_access access = AZBLOB_ACCESS_INIT;
	struct azblob_properties *p;

	put("batch one", "x");
	put("batch/two", "x");
	put("three", "x");
	memset(requests, 0, sizeof(requests));
	for (size_t i = 0; i < 4; i++)
		requests[i].container = box;
	requests[0].blob = "batch one";
	requests[1].blob = "not there";
	requests[2].blob = "batch/two";
	requests[3].blob = "three";
	access.if_match = "\"0x1\"";
	requests[3].access = &access;
	OK(azblob_batch(conn, requests, 4, results, &api_error));
	CHECK(results[0].http_status == 202 && !*results[0].code);
	CHECK(results[1].http_status == 404 && !strcmp(results[1].code, "BlobNotFound"));
	CHECK(results[2].http_status == 202);
	CHECK(results[3].http_status == 412 && !strcmp(results[3].code, "ConditionNotMet"));
	REFUSED(azblob_get_properties(conn, box, "batch/two", &p, &api_error), 404, "BlobNotFound");
	requests[0].blob = "three";
	requests[0].kind = AZBLOB_BATCH_SET_TIER;
	requests[0].tier = "Cool";
	OK(azblob_batch(conn, requests, 1, results, &api_error));
	CHECK(results[0].http_status == 200);
	OK(azblob_get_properties(conn, box, "three", &p, &api_error));
	CHECK(!strcmp(p->access_tier, "Cool"));
	azblob_properties_free(p);
	/* As many answers as need a larger buffer. */
	for (size_t i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "many %zu", i);
		if (i % 2)
			put(names[i], "x");
		memset(&requests[i], 0, sizeof(requests[i]));
		requests[i].container = box;
		requests[i].blob = names[i];
	}
	OK(azblob_batch(conn, requests, MANY, results, &api_error));
	for (size_t i = 0; i < MANY; i++)
		CHECK(results[i].http_status == (i % 2 ? 202 : 404));
	/* Two containers: the account's batch. */
	requests[0].container = "no-such-container";
	OK(azblob_batch(conn, requests, 2, results, &api_error));
	CHECK(results[0].http_status == 404 && !strcmp(results[0].code, "ContainerNotFound"));
	CHECK(!strcmp(results[1].code, "BlobNotFound"));
	FAILS(azblob_batch(conn, requests, 0, results, &api_error), AZBLOB_BAD_ARGUMENT);
	FAILS(azblob_batch(conn, requests, AZBLOB_BATCH_MAX + 1, results, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	requests[1].kind = AZBLOB_BATCH_SET_TIER;
	FAILS(azblob_batch(conn, requests, 2, results, &api_error), AZBLOB_BAD_ARGUMENT);
}

#define RETENTION                                                                \
	"<?xml version=\"1.0\" encoding=\"utf-8\"?><StorageServiceProperties>"   \
	"<DeleteRetentionPolicy><Enabled>%s</Enabled>%s</DeleteRetentionPolicy>" \
	"</StorageServiceProperties>"

static void keep_deleted_blobs(int keep)
{
	char xml[512];

	snprintf(xml, sizeof(xml), RETENTION, keep ? "true" : "false",
		 keep ? "<Days>1</Days>" : "");
	OK(azblob_set_service_properties(conn, xml, &api_error));
}

static void a_deleted_blob_comes_back(void)
{
	struct azblob_properties *p;
	char *xml;

	OK(azblob_get_service_properties(conn, &xml, &api_error));
	CHECK(strstr(xml, "<StorageServiceProperties>"));
	azblob_text_free(xml);
	keep_deleted_blobs(1);
	OK(azblob_get_service_properties(conn, &xml, &api_error));
	CHECK(strstr(xml, "<Days>1</Days>"));
	azblob_text_free(xml);
	put("back", "again");
	OK(azblob_delete_blob(conn, box, "back", &api_error));
	FAILS(azblob_get_properties(conn, box, "back", &p, &api_error), AZBLOB_SERVICE);
	OK(azblob_undelete_blob(conn, box, "back", &api_error));
	OK(azblob_get_properties(conn, box, "back", &p, &api_error));
	CHECK(p->size == 5);
	azblob_properties_free(p);
	keep_deleted_blobs(0);
	REFUSED(azblob_undelete_blob(conn, box, "never there", &api_error), 404, "BlobNotFound");
	FAILS(azblob_set_service_properties(conn, "", &api_error), AZBLOB_BAD_ARGUMENT);
	FAILS(azblob_set_service_properties(conn, "no XML", &api_error), AZBLOB_SERVICE);
}

static void what_was_deleted_is_deleted_for_good(void)
{
	struct azblob_access access = AZBLOB_ACCESS_INIT;
	char snapshot[AZBLOB_SNAPSHOT_ROOM];
	char xml[512];

	put("doomed", "x");
	OK(azblob_create_snapshot(conn, box, "doomed", NULL, 0, NULL, snapshot, &api_error));
	/* Never the blob itself, whatever the service would say. */
	FAILS(azblob_delete_permanently(conn, box, "doomed", NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	access.snapshot = snapshot;
	REFUSED(azblob_delete_permanently(conn, box, "doomed", &access, &api_error), 409,
		"FeatureNotSupportedForAccount");
	snprintf(xml, sizeof(xml), RETENTION, "true",
		 "<Days>1</Days><AllowPermanentDelete>true</AllowPermanentDelete>");
	OK(azblob_set_service_properties(conn, xml, &api_error));
	REFUSED(azblob_delete_permanently(conn, box, "doomed", &access, &api_error), 409,
		"BlobSnapshotNotSoftDeleted");
	OK(azblob_delete_blob_if(conn, box, "doomed", AZBLOB_DELETE_BLOB, &access, &api_error));
	OK(azblob_delete_permanently(conn, box, "doomed", &access, &api_error));
	REFUSED(azblob_delete_permanently(conn, box, "doomed", &access, &api_error), 404,
		"BlobNotFound");
	keep_deleted_blobs(0);
}

static void archived_blobs_come_back(void)
{
	struct azblob_properties *p;
	char byte;

	put("cold", "x");
	OK(azblob_set_tier(conn, box, "cold", "Archive", NULL, &api_error));
	REFUSED(azblob_get_blob(conn, box, "cold", 0, 1, &byte, 1, NULL, NULL, &api_error), 409,
		"BlobArchived");
	OK(azblob_rehydrate(conn, box, "cold", "Hot", 1, NULL, &api_error));
	OK(azblob_get_properties(conn, box, "cold", &p, &api_error));
	/* On its way, or there already. */
	CHECK(!strcmp(p->access_tier, "Archive") || !strcmp(p->access_tier, "Hot"));
	azblob_properties_free(p);
	FAILS(azblob_rehydrate(conn, box, "cold", "Warm", 0, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
}

static void a_blob_is_kept_from_changes(void)
{
	char until[64];
	time_t then = time(NULL) + 86400;
	struct tm tm;

	put("kept", "x");
	gmtime_r(&then, &tm);
	strftime(until, sizeof(until), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	OK(azblob_set_immutability(conn, box, "kept", until, 0, NULL, &api_error));
	FAILS(azblob_delete_blob(conn, box, "kept", &api_error), AZBLOB_SERVICE);
	CHECK(api_error.http_status == 409);
	OK(azblob_delete_immutability(conn, box, "kept", NULL, &api_error));
	OK(azblob_set_legal_hold(conn, box, "kept", 1, NULL, &api_error));
	FAILS(azblob_put_blob(conn, box, "kept", "y", 1, NULL, NULL, &api_error), AZBLOB_SERVICE);
	CHECK(api_error.http_status == 409);
	OK(azblob_set_legal_hold(conn, box, "kept", 0, NULL, &api_error));
	OK(azblob_delete_blob(conn, box, "kept", &api_error));
	FAILS(azblob_set_immutability(conn, box, "kept", "", 0, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
}

static void the_account_tells_of_itself(void)
{
	struct azblob_account_info info;
	struct azblob_service_stats stats;
	azblob_config *config = api_config();
	azblob_conn *secondary;
	char url[256];

	OK(azblob_get_account_info(conn, &info, &api_error));
	CHECK(*info.sku && *info.kind && !info.is_hns);
	/* Only the secondary has it. */
	FAILS(azblob_get_service_stats(conn, &stats, &api_error), AZBLOB_SERVICE);
	snprintf(url, sizeof(url), "%s-secondary", azblob_conn_endpoint(conn));
	OK(azblob_config_set_endpoint(config, url, &api_error));
	OK(azblob_open(config, &secondary, &api_error));
	OK(azblob_get_service_stats(secondary, &stats, &api_error));
	CHECK(!strcmp(stats.status, "live") && *stats.last_sync_time);
	azblob_close(secondary);
	azblob_config_free(config);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	box = argv[1];
	snprintf(other, sizeof(other), "%s-%s", box,
		 getenv("AZBLOB_TEST_DEVICE") ? "driver" : "http");
	conn = api_open();
	containers_have_properties();
	access_policies_are_stored();
	a_deleted_container_comes_back();
	blobs_are_found_by_their_tags();
	a_batch_tells_of_each();
	a_deleted_blob_comes_back();
	what_was_deleted_is_deleted_for_good();
	archived_blobs_come_back();
	a_blob_is_kept_from_changes();
	the_account_tells_of_itself();
	azblob_close(conn);
	return 0;
}
