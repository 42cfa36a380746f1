// SPDX-License-Identifier: MIT
/* Blob index tags. */
#include "ops.h"

#include <stdlib.h>
#include <string.h>

#include "put.h"
#include "xml.h"

int azblob_get_tags(azblob_conn *conn, const char *container, const char *blob,
		    const struct azblob_access *given, struct azblob_tags **tags,
		    struct azblob_error *error)
{
	struct azblob_access access;
	struct azc_request request;
	struct azc_answer answer;
	int status;

	if (azc_check_call(container, blob, given, AZC_ACCESS_STATE | AZC_ACCESS_LEASE, &access,
			   error))
		return -1;
	azc_request_init(&request, "GET");
	azc_request_path(&request, conn, container, blob);
	azc_request_query(&request, "comp", "tags");
	azc_access_apply(&request, &access);
	request.repeatable = true;
	request.want_text = true;
	status = azc_perform_alone(conn, &request, &answer, error);
	if (!status)
		status = azc_xml_tags(answer.text.data ? answer.text.data : "", answer.text.length,
				      tags, error);
	azc_answer_reset(&answer);
	return status;
}

/* What is allowed in tags needs no escaping in XML. */
static void tags_document(struct azb_buf *body, const struct azblob_pair *tags, size_t count)
{
	azb_buf_puts(body, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Tags><TagSet>");
	for (size_t i = 0; i < count; i++)
		azb_buf_printf(body, "<Tag><Key>%s</Key><Value>%s</Value></Tag>", tags[i].name,
			       tags[i].value);
	azb_buf_puts(body, "</TagSet></Tags>");
}

int azblob_set_tags(azblob_conn *conn, const char *container, const char *blob,
		    const struct azblob_pair *tags, size_t count, const struct azblob_access *given,
		    struct azblob_error *error)
{
	struct azblob_access access;
	struct azc_request request;
	struct azb_buf body = { 0 };
	int status;

	if (azc_check_call(container, blob, given, AZC_ACCESS_LEASE, &access, error) ||
	    azc_check_tags(tags, count, error))
		return -1;
	tags_document(&body, tags, count);
	if (body.failed) {
		azb_buf_free(&body);
		return azc_fail_memory(error);
	}
	azc_begin_change(&request, "PUT", conn, container, blob, "tags", &access);
	azc_request_field(&request, "Content-Type", "application/xml");
	request.content_length = body.length;
	azc_put_carry(&request, conn, body.data, body.length,
		      azc_put_sum(conn, body.data, body.length));
	status = azc_perform_simple(conn, &request, error);
	azb_buf_free(&body);
	return status;
}
