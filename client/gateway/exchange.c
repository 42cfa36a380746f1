// SPDX-License-Identifier: MIT
/* One request through the device, by libazblob (client/lib/driver.c), with the client's own head.
 */
#include "gateway.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/waiting.h"
#include "driver.h"

/* -------------------------------------------------------------------- heads */

/* Between the client and us; what is not refused by the host is of no meaning to it. */
static const struct head_str never_sent[] = {
#define NAME(text)                     \
	{                              \
		text, sizeof(text) - 1 \
	}
	NAME("Connection"), NAME("Expect"),  NAME("Transfer-Encoding"),
	NAME("Keep-Alive"), NAME("Upgrade"), NAME("Proxy-Connection"),
	NAME("TE"),         NAME("Trailer"),
#undef NAME
};

static bool is_sent(const struct head_str *name)
{
	for (size_t i = 0; i < sizeof(never_sent) / sizeof(*never_sent); i++)
		if (name->length == never_sent[i].length &&
		    !strncasecmp(name->at, never_sent[i].at, name->length))
			return false;
	return true;
}

/* Fields from @first on that lie in a row, as they came; how many. */
static size_t add_row(struct azb_buf *out, const struct head *head, size_t first)
{
	const char *from = head->field[first].name.at, *end = NULL;
	size_t i;

	for (i = first; i < head->field_count; i++) {
		const struct head_field *field = &head->field[i];

		/* an empty value is nowhere */
		if (!field->value.length || !is_sent(&field->name))
			break;
		end = field->value.at + field->value.length;
	}
	if (end) {
		azb_buf_add(out, from, (size_t)(end - from));
		azb_buf_add(out, "\r\n", 2);
	}
	return i - first;
}

void gw_compose(struct azb_buf *out, const struct head *head, bool open)
{
	static const char version[] = " HTTP/1.", opened[] = "Azblob-Body: open\r\n\r\n";
	const char minor[3] = { (char)('0' + head->minor), '\r', '\n' };

	azb_buf_add(out, head->method.at, head->method.length);
	azb_buf_add(out, " ", 1);
	azb_buf_add(out, head->target.at, head->target.length);
	azb_buf_add(out, version, sizeof(version) - 1);
	azb_buf_add(out, minor, sizeof(minor));
	for (size_t i = 0; i < head->field_count; i++) {
		const struct head_str *name = &head->field[i].name;
		size_t row = add_row(out, head, i);

		if (row) {
			i += row - 1;
		} else if (is_sent(name)) {
			azb_buf_add(out, name->at, name->length);
			azb_buf_add(out, ":\r\n", 3);
		}
	}
	if (open)
		azb_buf_add(out, opened, sizeof(opened) - 1);
	else
		azb_buf_add(out, "\r\n", 2);
}

/* ------------------------------------------------------------------ answers */

static bool is_links_own(const char *name)
{
	return (*name == 'A' || *name == 'a') && !strncasecmp(name, "Azblob-", 7);
}

/* What came with status and head; false: one that makes no sense. */
static bool take_answer(struct gw_exchange *x, struct azc_answer *answer)
{
	const char *handle = azc_answer_text(answer, "Azblob-Handle");

	x->status = (unsigned int)answer->status;
	x->sent = answer->body_length;
	if (azc_answer_field(answer, "Content-Length") &&
	    !azc_answer_number(answer, "Content-Length", &x->content_length)) {
		snprintf(x->reason, sizeof(x->reason),
			 "the host's answer makes no sense: Content-Length is no number");
		return false;
	}
	x->no_handle = answer->status == 404 &&
		       !strcmp(azc_answer_text(answer, "x-ms-error-code"), "HandleNotFound");
	x->more = azc_answer_field(answer, "Azblob-Sent") && x->sent < x->content_length;
	if ((x->more || *handle) && azc_take_handle(answer, x->handle, NULL)) {
		snprintf(x->reason, sizeof(x->reason),
			 "the host's answer makes no sense: half a body and no handle");
		return false;
	}
	for (size_t i = 0; i < answer->fields.count; i++) {
		const struct azc_field *field = &answer->fields.item[i];

		if (is_links_own(field->name))
			continue;
		azb_buf_add(&x->headers, field->name, strlen(field->name) + 1);
		azb_buf_add(&x->headers, field->value, strlen(field->value) + 1);
	}
	x->text = answer->text;
	answer->text = (struct azb_buf){ 0 };
	if (x->headers.failed)
		snprintf(x->reason, sizeof(x->reason), "out of memory");
	return !x->headers.failed;
}

static enum gw_outcome outcome_of(enum azc_failure failure)
{
	switch (failure) {
	case AZC_SENT_NOTHING:
		return GW_NOTHING;
	case AZC_REFUSED:
		return GW_REFUSED;
	case AZC_UNKNOWN:
	case AZC_GONE:
		break;
	}
	return GW_UNKNOWN;
}

enum gw_outcome gw_exchange_do(struct gw_exchange *x, struct gw_port *port)
{
	bool head = x->head_length > 5 && !memcmp(x->head, "HEAD ", 5);
	struct azc_request request = { .method = head ? "HEAD" : "GET",
				       .head = x->head,
				       .head_length = x->head_length,
				       .body = x->body,
				       .body_length = x->body_length,
				       .body_pooled = x->body_length != 0,
				       .room = x->room,
				       .room_length = x->room_length,
				       .room_pooled = x->room_length != 0,
				       .response_room = x->response_room };
	struct azc_answer answer = { 0 };
	enum gw_outcome outcome = GW_ANSWERED;
	enum azc_failure failure;
	struct azblob_error error = { 0 };
	int failed;

	azb_waiting_begin();
	failed =
		azc_driver_exchange(port->conn, &request, x->timeout_ms, &answer, &failure, &error);
	azb_waiting_end();
	if (failed) {
		outcome = outcome_of(failure);
		x->lost = answer.abandoned;
		snprintf(x->reason, sizeof(x->reason), "%.*s", (int)sizeof(x->reason) - 1,
			 error.message);
		if (failure == AZC_GONE)
			gw_port_gone(port);
	} else if (!take_answer(x, &answer)) {
		outcome = GW_UNKNOWN;
		gw_exchange_reset(x);
	}
	azc_answer_reset(&answer);
	return outcome;
}

void gw_exchange_reset(struct gw_exchange *x)
{
	azb_buf_free(&x->headers);
	azb_buf_free(&x->text);
	x->status = 0;
	x->content_length = x->sent = 0;
	x->more = x->no_handle = false;
	x->handle[0] = 0;
}
