// SPDX-License-Identifier: MIT
/* The simple calls: configuration, containers, lists, blocks, deletion. */
#include "api.h"

static void configurations_say_what_they_hold(void)
{
	azblob_config *config = azblob_config_new();
	unsigned int major, minor, patch;

	CHECK(sscanf(azblob_version(), "%u.%u.%u", &major, &minor, &patch) == 3);
	CHECK(!azblob_config_account(config));
	OK(azblob_config_set_account(config, "someone", &api_error));
	CHECK(!strcmp(azblob_config_account(config), "someone"));
	FAILS(azblob_config_set_account(config, "No One", &api_error), AZBLOB_BAD_ARGUMENT);
	CHECK(!strcmp(azblob_config_account(config), "someone"));
	FAILS(azblob_config_set_endpoint(config, "ftp://somewhere", &api_error),
	      AZBLOB_BAD_ARGUMENT);
	azblob_config_free(config);
	azblob_config_free(NULL);
}

static void numbers_have_words(void)
{
	for (int kind = AZBLOB_OK; kind <= AZBLOB_RESOURCES; kind++)
		for (int other = kind + 1; other <= AZBLOB_RESOURCES + 1; other++)
			CHECK(strcmp(azblob_kind_text(kind), azblob_kind_text(other)));
	CHECK(!strcmp(azblob_kind_text(-1), azblob_kind_text(12345)));
	CHECK(strstr(azblob_link_status_text(0x80070102), "time-out"));
	CHECK(strstr(azblob_link_status_text(0x8007007a), "larger buffer"));
	CHECK(*azblob_link_status_text(1) && *azblob_link_status_text(0));
}

static void a_file_of_authorities_that_is_not_there(void)
{
	azblob_config *config = azblob_config_new();
	azblob_conn *conn;

	OK(azblob_config_set_connection_string(config, "UseDevelopmentStorage=true", &api_error));
	OK(azblob_config_set_endpoint(config, "https://127.0.0.1:9/devstoreaccount1", &api_error));
	OK(azblob_config_set_transport(config, AZBLOB_TRANSPORT_HTTP, &api_error));
	OK(azblob_config_set_retries(config, 0, &api_error));
	OK(azblob_config_set_ca_file(config, "/nowhere/ca.pem", &api_error));
	OK(azblob_open(config, &conn, &api_error));
	azblob_config_free(config);
	FAILS(azblob_container_create(conn, "box", &api_error), AZBLOB_TRANSPORT);
	CHECK(!api_error.outcome_unknown);
	azblob_close(conn);
}

static void connections_say_what_they_are(azblob_conn *conn)
{
	CHECK(!strcmp(azblob_conn_account(conn), "devstoreaccount1"));
	CHECK(!strncmp(azblob_conn_endpoint(conn), "http://127.0.0.1:", 17));
	CHECK(azblob_conn_transport(conn) ==
	      (getenv("AZBLOB_TEST_DEVICE") ? AZBLOB_TRANSPORT_DRIVER : AZBLOB_TRANSPORT_HTTP));
	CHECK(*azblob_conn_transport_note(conn));
}

static int has_container(azblob_conn *conn, const char *name)
{
	struct azblob_list_options options = AZBLOB_LIST_OPTIONS_INIT;
	struct azblob_list *page;
	int found;

	options.prefix = name;
	OK(azblob_list_containers(conn, &options, &page, &api_error));
	found = page->count == 1 && page->entries[0]->kind == AZBLOB_ENTRY_CONTAINER &&
		!strcmp(page->entries[0]->name, name);
	azblob_list_free(page);
	return found;
}

static void containers_come_and_go(azblob_conn *conn, const char *box)
{
	char name[80];

	snprintf(name, sizeof(name), "%s-two", box);
	CHECK(!has_container(conn, name));
	OK(azblob_container_create(conn, name, &api_error));
	CHECK(has_container(conn, name));
	FAILS(azblob_container_create(conn, name, &api_error), AZBLOB_SERVICE);
	CHECK(!strcmp(api_error.code, "ContainerAlreadyExists") && api_error.http_status == 409);
	OK(azblob_container_delete(conn, name, &api_error));
	CHECK(!has_container(conn, name));
	FAILS(azblob_container_delete(conn, "Not A Name", &api_error), AZBLOB_BAD_ARGUMENT);
}

static void blocks_become_a_blob_in_the_order_of_the_list(azblob_conn *conn, const char *box)
{
	static const char *const more[] = { "Mg==", "MQ==", "Mg==", "NA==" };
	const char *ids[] = { "Mg==", "MQ==", "Mg==" };
	struct azblob_put_result put;
	struct azblob_get_result got;
	struct azblob_properties *properties;
	struct azblob_put_options options = AZBLOB_PUT_OPTIONS_INIT;
	char text[16];

	OK(azblob_put_block(conn, box, "b", "MQ==", "one", 3, &api_error));
	OK(azblob_put_block(conn, box, "b", "Mg==", "first two", 9, &api_error));
	OK(azblob_put_block(conn, box, "b", "Mg==", "two", 3, &api_error));
	FAILS(azblob_get_properties(conn, box, "b", &properties, &api_error), AZBLOB_SERVICE);
	OK(azblob_put_block_list(conn, box, "b", ids, 3, NULL, &put, &api_error));
	OK(azblob_get_blob(conn, box, "b", 0, AZBLOB_LENGTH_REST, text, sizeof(text), NULL, &got,
			   &api_error));
	CHECK(got.size == 9 && !memcmp(text, "twoonetwo", 9));
	CHECK(!strcmp(got.etag, put.etag));
	/* What somebody else has under way under the same ids is not taken in. */
	OK(azblob_put_block(conn, box, "b", "Mg==", "theirs", 6, &api_error));
	OK(azblob_put_block(conn, box, "b", "NA==", "new", 3, &api_error));
	options.committed_blocks = 3;
	OK(azblob_put_block_list(conn, box, "b", more, 4, &options, NULL, &api_error));
	OK(azblob_get_blob(conn, box, "b", 0, AZBLOB_LENGTH_REST, text, sizeof(text), NULL, &got,
			   &api_error));
	CHECK(got.size == 12 && !memcmp(text, "twoonetwonew", 12));
	options.committed_blocks = 5;
	FAILS(azblob_put_block_list(conn, box, "b", more, 4, &options, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	ids[0] = "Mw==";
	FAILS(azblob_put_block_list(conn, box, "b", ids, 3, NULL, NULL, &api_error),
	      AZBLOB_SERVICE);
	CHECK(!strcmp(api_error.code, "InvalidBlockList"));
	FAILS(azblob_put_block(conn, box, "b", "not base64", "x", 1, &api_error),
	      AZBLOB_BAD_ARGUMENT);
}

static void a_deleted_blob_is_gone(azblob_conn *conn, const char *box)
{
	OK(azblob_put_blob(conn, box, "gone", "x", 1, NULL, NULL, &api_error));
	OK(azblob_delete_blob(conn, box, "gone", &api_error));
	FAILS(azblob_delete_blob(conn, box, "gone", &api_error), AZBLOB_SERVICE);
	CHECK(api_error.http_status == 404 && !strcmp(api_error.code, "BlobNotFound"));
	CHECK(!api_error.outcome_unknown);
}

/* Nothing is checked then, and it says so; what comes is the same. */
static void checksums_can_be_left_out(const char *box)
{
	azblob_config *config = api_config();
	struct azblob_get_result result;
	static char data[300000];
	static char back[sizeof(data)];
	azblob_conn *plain;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 31 + (i >> 9));
	FAILS(azblob_config_set_checksums(config, 2, &api_error), AZBLOB_BAD_ARGUMENT);
	OK(azblob_config_set_checksums(config, 0, &api_error));
	OK(azblob_config_set_block_size(config, 1 << 16, &api_error));
	OK(azblob_open(config, &plain, &api_error));
	azblob_config_free(config);
	OK(azblob_put_blob(plain, box, "unchecked", data, sizeof(data), NULL, NULL, &api_error));
	OK(azblob_get_blob(plain, box, "unchecked", 0, AZBLOB_LENGTH_REST, back, sizeof(back), NULL,
			   &result, &api_error));
	CHECK(!memcmp(data, back, sizeof(data)) && !result.verified);
	azblob_close(plain);
}

int main(int argc, char **argv)
{
	azblob_conn *conn;

	CHECK(argc == 2);
	configurations_say_what_they_hold();
	numbers_have_words();
	a_file_of_authorities_that_is_not_there();
	conn = api_open();
	connections_say_what_they_are(conn);
	containers_come_and_go(conn, argv[1]);
	blocks_become_a_blob_in_the_order_of_the_list(conn, argv[1]);
	a_deleted_blob_is_gone(conn, argv[1]);
	checksums_can_be_left_out(argv[1]);
	azblob_close(conn);
	return 0;
}
