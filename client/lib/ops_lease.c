// SPDX-License-Identifier: MIT
/* Leases of blobs and containers. */
#include "ops.h"

#include <stdio.h>
#include <string.h>

/* The service's limits. */
#define DURATION_MIN 15
#define DURATION_MAX 60
#define BREAK_MAX 60

static int begin(struct azc_request *request, azblob_conn *conn, const char *container,
		 const char *blob, const char *action, const struct azblob_access *given,
		 struct azblob_error *error)
{
	struct azblob_access access;

	if (azc_check_container(container, error) || (blob && azc_check_blob(blob, error)) ||
	    azc_access_take(given, 0, &access, error))
		return -1;
	azc_request_init(request, "PUT");
	request->has_body = true;
	request->effect = true;
	azc_request_path(request, conn, container, blob);
	if (!blob)
		azc_request_query(request, "restype", "container");
	azc_request_query(request, "comp", "lease");
	azc_access_apply(request, &access);
	azc_request_field(request, "x-ms-lease-action", action);
	return 0;
}

static void add_seconds(struct azc_request *request, const char *name, int seconds)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", seconds);
	azc_request_field(request, name, text);
}

int azblob_lease_acquire(azblob_conn *conn, const char *container, const char *blob, int seconds,
			 const char *proposed_id, const struct azblob_access *access,
			 char lease_id[AZBLOB_LEASE_ROOM], struct azblob_error *error)
{
	struct azc_request request;
	struct azc_answer answer;
	int status;

	if (seconds != AZBLOB_LEASE_INFINITE && (seconds < DURATION_MIN || seconds > DURATION_MAX))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"a lease of %d seconds: must be %d to %d, or infinite", seconds,
				DURATION_MIN, DURATION_MAX);
	if ((proposed_id && azc_check_lease_id(proposed_id, error)) ||
	    begin(&request, conn, container, blob, "acquire", access, error))
		return -1;
	add_seconds(&request, "x-ms-lease-duration", seconds);
	azc_request_field(&request, "x-ms-proposed-lease-id", proposed_id);
	/* Who has a lease may acquire it once more under its id. */
	request.repeatable = proposed_id != NULL;
	status = azc_perform_alone(conn, &request, &answer, error);
	if (!status) {
		azc_take_text(lease_id, AZBLOB_LEASE_ROOM, &answer, "x-ms-lease-id");
		if (!*lease_id)
			status = azc_fail_mute(error, "the answer does not say which lease it is");
	}
	azc_answer_reset(&answer);
	return status;
}

/* Renew, change and release: the lease that the caller has. */
static int with_lease(azblob_conn *conn, const char *container, const char *blob,
		      const char *action, const char *lease_id, const char *new_id,
		      const struct azblob_access *access, struct azblob_error *error)
{
	struct azc_request request;

	if (azc_check_lease_id(lease_id, error) || (new_id && azc_check_lease_id(new_id, error)) ||
	    begin(&request, conn, container, blob, action, access, error))
		return -1;
	azc_request_field(&request, "x-ms-lease-id", lease_id);
	azc_request_field(&request, "x-ms-proposed-lease-id", new_id);
	/* A second change or renewal is as the first; what was released can't be once more. */
	request.repeatable = true;
	return azc_perform_simple(conn, &request, error);
}

int azblob_lease_renew(azblob_conn *conn, const char *container, const char *blob,
		       const char *lease_id, const struct azblob_access *access,
		       struct azblob_error *error)
{
	return with_lease(conn, container, blob, "renew", lease_id, NULL, access, error);
}

int azblob_lease_change(azblob_conn *conn, const char *container, const char *blob,
			const char *lease_id, const char *new_id,
			const struct azblob_access *access, struct azblob_error *error)
{
	if (azc_check_lease_id(new_id, error))
		return -1;
	return with_lease(conn, container, blob, "change", lease_id, new_id, access, error);
}

int azblob_lease_release(azblob_conn *conn, const char *container, const char *blob,
			 const char *lease_id, const struct azblob_access *access,
			 struct azblob_error *error)
{
	return with_lease(conn, container, blob, "release", lease_id, NULL, access, error);
}

int azblob_lease_break(azblob_conn *conn, const char *container, const char *blob, int period,
		       const struct azblob_access *access, unsigned int *seconds_left,
		       struct azblob_error *error)
{
	struct azc_request request;
	struct azc_answer answer;
	uint64_t left = 0;
	int status;

	if (period != AZBLOB_LEASE_BREAK_DEFAULT && (period < 0 || period > BREAK_MAX))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"a break period of %d seconds: must be 0 to %d", period, BREAK_MAX);
	if (begin(&request, conn, container, blob, "break", access, error))
		return -1;
	if (period != AZBLOB_LEASE_BREAK_DEFAULT)
		add_seconds(&request, "x-ms-lease-break-period", period);
	status = azc_perform_alone(conn, &request, &answer, error);
	if (!status && seconds_left) {
		/* The reference has it always; nothing is what a broken one leaves. */
		if (!azc_answer_number(&answer, "x-ms-lease-time", &left) || left > BREAK_MAX)
			left = 0;
		*seconds_left = (unsigned int)left;
	}
	azc_answer_reset(&answer);
	return status;
}
