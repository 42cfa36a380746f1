// SPDX-License-Identifier: MIT
/* A SAS that the library makes is one that it can use, for just what it says. */
#include "api.h"

static const char *box;

static azblob_conn *connect_with(azblob_conn *conn, const char *token)
{
	const char *device = getenv("AZBLOB_TEST_DEVICE");
	azblob_config *config = azblob_config_new();
	azblob_conn *made;

	OK(azblob_config_set_endpoint(config, azblob_conn_endpoint(conn), &api_error));
	OK(azblob_config_set_sas(config, token, &api_error));
	OK(azblob_config_set_transport(
		config, device ? AZBLOB_TRANSPORT_DRIVER : AZBLOB_TRANSPORT_HTTP, &api_error));
	if (device)
		OK(azblob_config_set_device(config, device, &api_error));
	OK(azblob_open(config, &made, &api_error));
	azblob_config_free(config);
	/* From the endpoint: nobody has named it. */
	CHECK(!strcmp(azblob_conn_account(made), azblob_conn_account(conn)));
	return made;
}

static azblob_conn *with_sas(azblob_conn *conn, const char *blob, const char *permissions)
{
	struct azblob_sas_options options = AZBLOB_SAS_OPTIONS_INIT;
	azblob_conn *made;
	char *token;

	options.permissions = permissions;
	options.expiry = "2099-12-31T23:59:59Z";
	OK(azblob_make_sas(conn, box, blob, NULL, &options, &token, &api_error));
	made = connect_with(conn, token);
	azblob_text_free(token);
	return made;
}

static void a_blobs_sas_is_for_that_blob(azblob_conn *conn)
{
	azblob_conn *reader = with_sas(conn, "a b/+&=", "r");
	struct azblob_properties *p;
	char text[8];

	OK(azblob_put_blob(conn, box, "a b/+&=", "secret", 6, NULL, NULL, &api_error));
	OK(azblob_put_blob(conn, box, "other", "x", 1, NULL, NULL, &api_error));
	OK(azblob_get_blob(reader, box, "a b/+&=", 0, AZBLOB_LENGTH_REST, text, sizeof(text), NULL,
			   NULL, &api_error));
	CHECK(!memcmp(text, "secret", 6));
	FAILS(azblob_get_properties(reader, box, "other", &p, &api_error), AZBLOB_SERVICE);
	CHECK(api_error.http_status == 403);
	FAILS(azblob_put_blob(reader, box, "a b/+&=", "x", 1, NULL, NULL, &api_error),
	      AZBLOB_SERVICE);
	CHECK(api_error.http_status == 403);
	azblob_close(reader);
}

/* Parts by handle or by blocks, lists, and a copy whose source needs the SAS, too. */
static void a_containers_sas_is_enough_for_all_of_it(azblob_conn *conn)
{
	azblob_conn *user = with_sas(conn, NULL, "ldwr");
	struct azblob_copy_result copy;
	struct azblob_list *list;
	size_t size = 20u << 20;
	char *data = calloc(1, size);
	char *url;

	data[size - 1] = 1;
	OK(azblob_put_blob(user, box, "large", data, size, NULL, NULL, &api_error));
	memset(data, 2, size);
	OK(azblob_get_blob(user, box, "large", 0, AZBLOB_LENGTH_REST, data, size, NULL, NULL,
			   &api_error));
	CHECK(data[0] == 0 && data[size - 1] == 1);
	free(data);
	OK(azblob_list_blobs(user, box, NULL, &list, &api_error));
	CHECK(list->count >= 1);
	azblob_list_free(list);
	OK(azblob_url(user, box, "large", NULL, &url, &api_error));
	CHECK(!strstr(url, "sig="));
	OK(azblob_copy_start(user, box, "copy", url, NULL, &copy, &api_error));
	OK(azblob_copy_wait(user, box, "copy", NULL, NULL, &api_error));
	azblob_text_free(url);
	OK(azblob_delete_blob(user, box, "copy", &api_error));
	FAILS(azblob_container_delete(user, box, &api_error), AZBLOB_SERVICE);
	azblob_close(user);
}

static void an_accounts_sas_and_a_snapshots(azblob_conn *conn)
{
	struct azblob_sas_options options = AZBLOB_SAS_OPTIONS_INIT;
	struct azblob_access access = AZBLOB_ACCESS_INIT;
	char snapshot[AZBLOB_SNAPSHOT_ROOM];
	struct azblob_properties *p;
	struct azblob_list *list;
	azblob_conn *user;
	char *token;

	options.permissions = "rl";
	options.expiry = "2099-12-31";
	options.start = "2020-01-01T00:00Z";
	OK(azblob_make_sas(conn, NULL, NULL, NULL, &options, &token, &api_error));
	user = connect_with(conn, token);
	azblob_text_free(token);
	OK(azblob_list_containers(user, NULL, &list, &api_error));
	azblob_list_free(list);
	FAILS(azblob_container_create(user, "not-allowed", &api_error), AZBLOB_SERVICE);
	azblob_close(user);

	OK(azblob_create_snapshot(conn, box, "other", NULL, 0, NULL, snapshot, &api_error));
	OK(azblob_make_sas(conn, box, "other", snapshot, &options, &token, &api_error));
	user = connect_with(conn, token);
	access.snapshot = snapshot;
	OK(azblob_get_properties_of(user, box, "other", &access, &p, &api_error));
	azblob_properties_free(p);
	FAILS(azblob_get_properties(user, box, "other", &p, &api_error), AZBLOB_SERVICE);
	/* Who has no key makes none. */
	azblob_text_free(token);
	FAILS(azblob_make_sas(user, box, NULL, NULL, &options, &token, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	azblob_close(user);
}

static void what_is_no_sas_is_refused_and_never_quoted(azblob_conn *conn)
{
	static const char *const bad[] = {
		"", "?", "sig=secret", "sv=1", "sv=1&sig=se cret", "sv=1&sig=secret\n"
	};
	struct azblob_sas_options options = AZBLOB_SAS_OPTIONS_INIT;
	azblob_config *config = azblob_config_new();
	char *token;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		FAILS(azblob_config_set_sas(config, bad[i], &api_error), AZBLOB_BAD_ARGUMENT);
		CHECK(!strstr(api_error.message, "secret"));
	}
	OK(azblob_config_set_sas(config, "?sv=1&sig=2", &api_error));
	azblob_config_free(config);
	options.permissions = "r";
	FAILS(azblob_make_sas(conn, box, NULL, NULL, &options, &token, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	options.expiry = "tomorrow";
	FAILS(azblob_make_sas(conn, box, NULL, NULL, &options, &token, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	options.expiry = "2099-01-01T00:00:00Z";
	options.permissions = "rr";
	FAILS(azblob_make_sas(conn, box, NULL, NULL, &options, &token, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	options.permissions = "q";
	FAILS(azblob_make_sas(conn, NULL, NULL, NULL, &options, &token, &api_error),
	      AZBLOB_BAD_ARGUMENT);
}

int main(int argc, char **argv)
{
	azblob_conn *conn = api_open();

	CHECK(argc == 2);
	box = argv[1];
	a_blobs_sas_is_for_that_blob(conn);
	a_containers_sas_is_enough_for_all_of_it(conn);
	an_accounts_sas_and_a_snapshots(conn);
	what_is_no_sas_is_refused_and_never_quoted(conn);
	azblob_close(conn);
	return 0;
}
