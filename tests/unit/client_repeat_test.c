// SPDX-License-Identifier: MIT
/*
 * Which calls are sent again when their outcome is unknown: the table of docs/relay.md, call by
 * call. The host never says what came of anything; who is asked twice was thought safe to repeat.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "azblob/vsp_wire.h"
#include "client_host.h"
#include "transport.h"
#include "uapi/misc/hv_azure_blob.h"

#define LEASE "00000000-0000-4000-8000-00000000000a"
#define ETAG "\"0x1\""

static struct azc_device front;
static unsigned int tries;
static bool probed;

static int front_submit(struct azc_device *device, struct az_blob_request_sync *request)
{
	(void)device;
	if (!probed) {
		probed = true;
		return host_device.submit(&host_device, request);
	}
	tries++;
	request->response.status = VSP_WIRE_STATUS_TIMEOUT;
	request->response.response_len = 0;
	return 0;
}

/* In place of the ioctl's. */
struct azc_device *azc_device_open(const char *path, int *sys_errno)
{
	(void)path;
	(void)sys_errno;
	front.submit = front_submit;
	front.close = host_device.close;
	return &front;
}

static azblob_conn *conn;

static int setup(void **state)
{
	azblob_config *config = azblob_config_new();

	(void)state;
	probed = false;
	host_set_fault(NO_FAULT, "", 0, 0, NULL);
	host.probe = NULL;
	assert_int_equal(
		azblob_config_set_connection_string(config, "UseDevelopmentStorage=true", NULL), 0);
	assert_int_equal(azblob_config_set_transport(config, AZBLOB_TRANSPORT_DRIVER, NULL), 0);
	assert_int_equal(azblob_config_set_retries(config, 1, NULL), 0);
	assert_int_equal(azblob_open(config, &conn, NULL), 0);
	azblob_config_free(config);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	azblob_close(conn);
	return 0;
}

/* @call fails for want of an answer, after so many tries. */
#define TRIES(count, changes, call)                                            \
	do {                                                                   \
		struct azblob_error error;                                     \
                                                                               \
		tries = 0;                                                     \
		assert_int_equal(call, -1);                                    \
		assert_int_equal(error.kind, AZBLOB_TRANSPORT);                \
		assert_int_equal(error.link_status, VSP_WIRE_STATUS_TIMEOUT);  \
		assert_int_equal(error.outcome_unknown, changes);              \
		if (tries != (count))                                          \
			fail_msg("%s: %u tries, not %u", #call, tries, count); \
	} while (0)
#define NOT(call) TRIES(1u, 1, call)
#define SAFE(call) TRIES(2u, 1, call)
#define READ(call) TRIES(2u, 0, call)

static const struct azblob_access plain = AZBLOB_ACCESS_INIT;
static const struct azblob_access match = { .struct_size = sizeof(match), .if_match = ETAG };
static const struct azblob_access any = { .struct_size = sizeof(any), .if_match = "*" };
static const struct azblob_access two = { .struct_size = sizeof(two), .if_match = ETAG "," ETAG };
static const struct azblob_access none = { .struct_size = sizeof(none), .if_none_match = "*" };
static const struct azblob_access lease = { .struct_size = sizeof(lease), .lease_id = LEASE };
static const struct azblob_access snapshot = { .struct_size = sizeof(snapshot),
					       .snapshot = "2026-01-01T00:00:00.0000000Z" };

static void reads(void **state)
{
	struct azblob_container_properties *container;
	struct azblob_account_info info;
	struct azblob_properties *properties;
	struct azblob_block_list *blocks;
	struct azblob_page_list *pages;
	struct azblob_found *found;
	struct azblob_tags *tags;
	struct azblob_list *list;
	struct azblob_acl *acl;
	char byte;
	char *xml;

	(void)state;
	READ(azblob_get_blob(conn, "box", "x", 0, 1, &byte, 1, NULL, NULL, &error));
	READ(azblob_get_properties(conn, "box", "x", &properties, &error));
	READ(azblob_get_tags(conn, "box", "x", NULL, &tags, &error));
	READ(azblob_get_block_list(conn, "box", "x", NULL, &blocks, &error));
	READ(azblob_get_page_ranges(conn, "box", "x", NULL, &pages, &error));
	READ(azblob_list_blobs(conn, "box", NULL, &list, &error));
	READ(azblob_list_containers(conn, NULL, &list, &error));
	READ(azblob_find_blobs(conn, NULL, "a = '1'", NULL, 0, &found, &error));
	READ(azblob_container_get_properties(conn, "box", NULL, &container, &error));
	READ(azblob_container_get_acl(conn, "box", NULL, &acl, &error));
	READ(azblob_get_account_info(conn, &info, &error));
	READ(azblob_get_service_properties(conn, &xml, &error));
}

static void put(const struct azblob_access *access, unsigned int count)
{
	struct azblob_put_options options = AZBLOB_PUT_OPTIONS_INIT;
	struct azblob_source source = AZBLOB_SOURCE_INIT;
	static const char *const ids[] = { "YQ==" };

	options.access = access;
	source.url = "http://127.0.0.1:10000/devstoreaccount1/box/from";
	TRIES(count, 1, azblob_put_blob(conn, "box", "x", "x", 1, &options, NULL, &error));
	TRIES(count, 1, azblob_put_block_list(conn, "box", "x", ids, 1, &options, NULL, &error));
	TRIES(count, 1, azblob_append_create(conn, "box", "x", &options, NULL, &error));
	TRIES(count, 1, azblob_page_create(conn, "box", "x", 512, 0, &options, NULL, &error));
	TRIES(count, 1,
	      azblob_put_blob_from_url(conn, "box", "x", &source, &options, NULL, &error));
}

static void what_makes_a_blob(void **state)
{
	struct azblob_copy_options copy = AZBLOB_COPY_OPTIONS_INIT;
	struct azblob_source source = AZBLOB_SOURCE_INIT;
	static const char url[] = "http://127.0.0.1:10000/devstoreaccount1/box/from";

	(void)state;
	put(&plain, 1);
	put(&any, 1);
	put(&two, 1);
	put(&lease, 1);
	put(&match, 2);
	put(&none, 2);
	NOT(azblob_copy_start(conn, "box", "x", url, NULL, NULL, &error));
	copy.access = &none;
	SAFE(azblob_copy_start(conn, "box", "x", url, &copy, NULL, &error));
	NOT(azblob_copy_incremental(conn, "box", "x", url, NULL, NULL, &error));
	SAFE(azblob_copy_incremental(conn, "box", "x", url, &match, NULL, &error));
	SAFE(azblob_copy_incremental(conn, "box", "x", url, &none, NULL, &error));
	SAFE(azblob_copy_abort(conn, "box", "x", "id", NULL, &error));
	SAFE(azblob_put_block(conn, "box", "x", "YQ==", "x", 1, &error));
	source.url = url;
	SAFE(azblob_put_block_from_url(conn, "box", "x", "YQ==", &source, NULL, &error));
}

static void what_changes_a_blob(void **state)
{
	static char pages[512];
	struct azblob_page_options guarded = AZBLOB_PAGE_OPTIONS_INIT;
	struct azblob_headers headers = AZBLOB_HEADERS_INIT;
	const uint64_t anywhere = AZBLOB_APPEND_ANYWHERE;
	char time[AZBLOB_SNAPSHOT_ROOM];

	(void)state;
	NOT(azblob_set_metadata(conn, "box", "x", NULL, 0, NULL, NULL, &error));
	SAFE(azblob_set_metadata(conn, "box", "x", NULL, 0, &match, NULL, &error));
	NOT(azblob_set_headers(conn, "box", "x", &headers, &lease, NULL, &error));
	SAFE(azblob_set_headers(conn, "box", "x", &headers, &match, NULL, &error));
	NOT(azblob_set_tags(conn, "box", "x", NULL, 0, NULL, &error));
	NOT(azblob_set_tier(conn, "box", "x", "Hot", NULL, &error));
	NOT(azblob_rehydrate(conn, "box", "x", "Hot", 0, NULL, &error));
	NOT(azblob_set_legal_hold(conn, "box", "x", 1, NULL, &error));
	NOT(azblob_delete_immutability(conn, "box", "x", NULL, &error));
	NOT(azblob_create_snapshot(conn, "box", "x", NULL, 0, &match, time, &error));
	NOT(azblob_append_block(conn, "box", "x", "x", 1, anywhere, 9, NULL, NULL, &error));
	SAFE(azblob_append_block(conn, "box", "x", "x", 1, 7, anywhere, NULL, NULL, &error));
	SAFE(azblob_append_block(conn, "box", "x", "x", 1, anywhere, anywhere, &match, NULL,
				 &error));
	NOT(azblob_append_seal(conn, "box", "x", NULL, &error));
	SAFE(azblob_append_seal(conn, "box", "x", &match, &error));
	NOT(azblob_put_pages(conn, "box", "x", 0, pages, 512, NULL, NULL, &error));
	guarded.access = &lease;
	SAFE(azblob_put_pages(conn, "box", "x", 0, pages, 512, &guarded, NULL, &error));
	guarded.access = &match;
	SAFE(azblob_clear_pages(conn, "box", "x", 0, 512, &guarded, NULL, &error));
	NOT(azblob_page_resize(conn, "box", "x", 512, NULL, NULL, &error));
	NOT(azblob_delete_blob(conn, "box", "x", &error));
	SAFE(azblob_delete_blob_if(conn, "box", "x", AZBLOB_DELETE_BLOB, &match, &error));
	SAFE(azblob_delete_blob_if(conn, "box", "x", AZBLOB_DELETE_BLOB, &snapshot, &error));
	SAFE(azblob_delete_permanently(conn, "box", "x", &snapshot, &error));
	NOT(azblob_undelete_blob(conn, "box", "x", &error));
}

static void containers_and_leases(void **state)
{
	struct azblob_batch_request one = { .container = "box", .blob = "x" };
	struct azblob_batch_result result;
	char id[AZBLOB_LEASE_ROOM];

	(void)state;
	SAFE(azblob_container_create(conn, "box", &error));
	NOT(azblob_container_delete(conn, "box", &error));
	SAFE(azblob_container_delete_if(conn, "box", &lease, &error));
	NOT(azblob_container_set_metadata(conn, "box", NULL, 0, NULL, NULL, &error));
	SAFE(azblob_container_set_metadata(conn, "box", NULL, 0, &lease, NULL, &error));
	NOT(azblob_container_set_acl(conn, "box", AZBLOB_PUBLIC_NONE, NULL, 0, NULL, NULL, &error));
	SAFE(azblob_container_set_acl(conn, "box", AZBLOB_PUBLIC_NONE, NULL, 0, &lease, NULL,
				      &error));
	SAFE(azblob_container_restore(conn, "box", "01D60F8BB59A4652", &error));
	NOT(azblob_lease_acquire(conn, "box", "x", 15, NULL, NULL, id, &error));
	SAFE(azblob_lease_acquire(conn, "box", "x", 15, LEASE, NULL, id, &error));
	SAFE(azblob_lease_renew(conn, "box", "x", LEASE, NULL, &error));
	SAFE(azblob_lease_change(conn, "box", "x", LEASE, LEASE, NULL, &error));
	SAFE(azblob_lease_release(conn, "box", "x", LEASE, NULL, &error));
	NOT(azblob_lease_break(conn, "box", "x", 0, NULL, NULL, &error));
	NOT(azblob_batch(conn, &one, 1, &result, &error));
	NOT(azblob_set_service_properties(conn, "<StorageServiceProperties/>", &error));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads),
		TEST(what_makes_a_blob),
		TEST(what_changes_a_blob),
		TEST(containers_and_leases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
