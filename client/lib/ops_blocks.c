// SPDX-License-Identifier: MIT
/* Get Block List. */
#include "ops.h"

#include <string.h>

#include "azblob/vsp_wire.h"
#include "xml.h"

/*
 * docs/payload.md: a list of blocks has no pages, and 100,000 uncommitted ones are 15 MiB.  Most
 * lists fit what want_text has room for.
 */
#define LONGEST_LIST ((size_t)16 << 20)

static void list_request(struct azc_request *request, const azblob_conn *conn,
			 const char *container, const char *blob,
			 const struct azblob_access *access)
{
	azc_request_init(request, "GET");
	azc_request_path(request, conn, container, blob);
	azc_request_query(request, "comp", "blocklist");
	azc_request_query(request, "blocklisttype", "all");
	azc_access_apply(request, access);
	request->repeatable = true;
}

/* Into a buffer that is large enough for any. */
static int long_list(azblob_conn *conn, const char *container, const char *blob,
		     const struct azblob_access *access, struct azblob_block_list **list,
		     struct azblob_error *error)
{
	void *room = azc_pool_get(conn->pool, LONGEST_LIST);
	struct azc_request request;
	struct azc_answer answer;
	int status;

	if (!room)
		return azc_fail_memory(error);
	list_request(&request, conn, container, blob, access);
	request.room = room;
	request.room_length = LONGEST_LIST;
	request.room_pooled = true;
	status = azc_perform_alone(conn, &request, &answer, error);
	if (!status)
		status = azc_xml_block_list(room, answer.body_length, list, error);
	azc_answer_reset(&answer);
	azc_pool_put(conn->pool, room, LONGEST_LIST);
	return status;
}

int azblob_get_block_list(azblob_conn *conn, const char *container, const char *blob,
			  const struct azblob_access *given, struct azblob_block_list **list,
			  struct azblob_error *error)
{
	struct azblob_access access;
	struct azblob_error mine;
	struct azc_request request;
	struct azc_answer answer;
	int status;

	if (azc_check_call(container, blob, given, AZC_ACCESS_STATE | AZC_ACCESS_LEASE, &access,
			   error))
		return -1;
	list_request(&request, conn, container, blob, &access);
	request.want_text = true;
	status = azc_perform_alone(conn, &request, &answer, &mine);
	if (!status)
		status = azc_xml_block_list(answer.text.data ? answer.text.data : "",
					    answer.text.length, list, &mine);
	else if (conn->transport->link &&
		 (mine.http_status == 413 || mine.link_status == VSP_WIRE_STATUS_TOO_SMALL))
		status = long_list(conn, container, blob, &access, list, &mine);
	azc_answer_reset(&answer);
	if (error)
		*error = mine;
	return status;
}
