// SPDX-License-Identifier: MIT
/* azblob_open(): the configuration checked, the transport chosen. */
#include "transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffers.h"
#include "sas.h"

#define DEV_ACCOUNT "devstoreaccount1"

const char *azblob_version(void)
{
	return AZBLOB_VERSION;
}

static int default_endpoint(azblob_conn *conn, struct azblob_error *error)
{
	struct azb_buf url = { 0 };
	int result;

	if (!conn->account || !*conn->account)
		azb_buf_puts(&url, "http://localhost");
	else if (!strcmp(conn->account, DEV_ACCOUNT))
		azb_buf_puts(&url, "http://127.0.0.1:10000/" DEV_ACCOUNT);
	else
		azb_buf_printf(&url, "https://%s.blob.core.windows.net", conn->account);
	result = url.failed ? azc_fail_memory(error)
			    : azc_endpoint_parse(url.data, &conn->endpoint, error);
	azb_buf_free(&url);
	return result;
}

/* The driver's transport, or NULL with @why: a reason that reads well before "using ...". */
static struct azc_transport *try_driver(azblob_conn *conn, const char *path, bool raw, char *why,
					size_t why_room, struct azblob_error *error)
{
	struct azc_transport *transport;
	struct azc_device *device;
	struct azblob_error mine;
	int sys_errno = 0;

	device = azc_device_open(path, &sys_errno);
	if (!device) {
		if (sys_errno == ENOENT || sys_errno == ENXIO || sys_errno == ENODEV)
			snprintf(why, why_room, "no %s here", path);
		else
			snprintf(why, why_room, "%s can't be opened (%s)", path,
				 strerrordesc_np(sys_errno));
		azc_fail_errno(error, AZBLOB_TRANSPORT, sys_errno, "%s can't be opened", path);
		return NULL;
	}
	transport = raw ? azc_driver_open_raw(conn, device, &mine)
			: azc_driver_open(conn, device, &mine);
	if (!transport) {
		device->close(device);
		snprintf(why, why_room, "%s: %.140s", path, mine.message);
		if (error) {
			*error = mine;
			snprintf(error->message, sizeof(error->message), "%s: %.400s", path,
				 mine.message);
		}
		return NULL;
	}
	return transport;
}

static int choose_transport(azblob_conn *conn, const azblob_config *config,
			    struct azblob_error *error)
{
	bool raw = config->transport == AZBLOB_TRANSPORT_RAW;
	char why[192] = "";

	if (config->transport != AZBLOB_TRANSPORT_HTTP)
		conn->transport = try_driver(conn, config->device, raw, why, sizeof(why), error);
	if (conn->transport) {
		snprintf(conn->note, sizeof(conn->note), "using %s (%s)", config->device,
			 raw ? "raw requests" : conn->transport->server);
		return 0;
	}
	if (raw || config->transport == AZBLOB_TRANSPORT_DRIVER)
		return -1;
	conn->transport = azc_http_open(conn, config->ca_file, error);
	if (!conn->transport)
		return -1;
	snprintf(conn->note, sizeof(conn->note), "%s%susing %.120s", why, *why ? ": " : "",
		 conn->endpoint.base);
	return 0;
}

/* Raw requests need neither account nor key: whoever makes them knows what the host wants. */
static int fill_credentials(azblob_conn *conn, const azblob_config *config,
			    struct azblob_error *error)
{
	bool raw = config->transport == AZBLOB_TRANSPORT_RAW;

	bool by_endpoint = !config->account && config->sas && config->endpoint;

	if (!raw && !config->account && !by_endpoint)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "no account is given");
	if (!raw && !config->key && !config->sas)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "no account key or SAS is given");
	if (by_endpoint)
		conn->account = azc_endpoint_account(config->endpoint);
	else
		conn->account = strdup(config->account ? config->account : "");
	conn->key = malloc(config->key_length + 1);
	if (config->sas && !config->key)
		conn->sas = strdup(config->sas);
	if (!conn->account || !conn->key || (config->sas && !config->key && !conn->sas))
		return azc_fail_memory(error);
	if (config->key)
		memcpy(conn->key, config->key, config->key_length);
	conn->key_length = config->key_length;
	return 0;
}

static int fill(azblob_conn *conn, const azblob_config *config, struct azblob_error *error)
{
	conn->timeout_ms = config->timeout_ms;
	conn->retries = config->retries;
	conn->parallel = config->parallel;
	conn->no_checksums = config->no_checksums;
	conn->pool = azc_pool_new();
	conn->buffers = azc_buffers_new();
	if (!conn->pool || !conn->buffers)
		return azc_fail_memory(error);
	if (fill_credentials(conn, config, error))
		return -1;
	if (config->endpoint ? azc_endpoint_parse(config->endpoint, &conn->endpoint, error)
			     : default_endpoint(conn, error))
		return -1;
	if (choose_transport(conn, config, error))
		return -1;
	conn->block_size = config->block_size < conn->transport->part_max
				   ? config->block_size
				   : conn->transport->part_max;
	return 0;
}

int azblob_open(const azblob_config *config, azblob_conn **result, struct azblob_error *error)
{
	azblob_conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return azc_fail_memory(error);
	pthread_mutex_init(&conn->ops_lock, NULL);
	if (fill(conn, config, error)) {
		azblob_close(conn);
		return -1;
	}
	azc_error_clear(error);
	*result = conn;
	return 0;
}

void azblob_close(azblob_conn *conn)
{
	if (!conn)
		return;
	if (conn->transport)
		conn->transport->ops->close(conn->transport);
	azc_buffers_free(conn->buffers);
	azc_pool_free(conn->pool);
	azc_endpoint_free(&conn->endpoint);
	if (conn->key)
		explicit_bzero(conn->key, conn->key_length);
	if (conn->sas)
		explicit_bzero(conn->sas, strlen(conn->sas));
	free(conn->sas);
	free(conn->key);
	free(conn->account);
	pthread_mutex_destroy(&conn->ops_lock);
	free(conn);
}

enum azblob_transport azblob_conn_transport(const azblob_conn *conn)
{
	return conn->transport->kind;
}

const char *azblob_conn_transport_note(const azblob_conn *conn)
{
	return conn->note;
}

const char *azblob_conn_account(const azblob_conn *conn)
{
	return conn->account;
}

const char *azblob_conn_endpoint(const azblob_conn *conn)
{
	return conn->endpoint.base;
}
