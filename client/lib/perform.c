// SPDX-License-Identifier: MIT
/*
 * From a request to a good answer: signing, trying again, errors.
 *
 * What is tried again, and when:
 *   it has certainly not happened (not sent, 429, 503, a checksum refused)   always
 *   it may have happened (time-out, lost connection, 500, 502, 504)          if repeatable
 *   an answer whose bytes don't fit their checksum                           if repeatable
 *   any other answer                                                         never
 */
#include "transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "base/sharedkey.h"
#include "sas.h"
#include "xml.h"

#define FIRST_WAIT_MS 100
#define LONGEST_WAIT_MS 5000
/* How often a waiting thread asks whether it was cancelled. */
#define WAIT_SLICE_MS 50

/* ---- signing ---- */

static void http_date(char *text, size_t room)
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t now = time(NULL);
	struct tm tm;

	/* Not strftime(): its names follow the program's locale. */
	gmtime_r(&now, &tm);
	snprintf(text, room, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday,
		 months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static int add_signature(struct azc_request *request, const azblob_conn *conn,
			 const struct azb_sk_field *field, size_t field_count,
			 struct azblob_error *error)
{
	struct azb_sk_request signable = {
		.method = request->method,
		.method_length = strlen(request->method),
		.account = conn->account,
		.path = request->path.data,
		.path_length = request->path.length,
		.query = request->query.data,
		.query_length = request->query.length,
		.field = field,
		.field_count = field_count,
		.order = AZB_SK_ORDER_WORDS,
	};
	char signature[AZB_SHAREDKEY_SIGNATURE + 1];
	struct azb_buf string = { 0 };
	struct azb_buf header = { 0 };
	int result = 0;

	if (!azb_sharedkey_string(&signable, &string) || string.failed)
		result = azc_fail_memory(error);
	else if (!azb_sharedkey_sign(conn->key, conn->key_length, string.data, string.length,
				     signature))
		result = azc_fail(error, AZBLOB_RESOURCES, "the crypto library has no HMAC-SHA256");
	if (!result) {
		azb_buf_printf(&header, "SharedKey %s:%s", conn->account, signature);
		if (!header.failed)
			azc_request_field(request, "Authorization", header.data);
		if (header.failed || request->no_memory)
			result = azc_fail_memory(error);
	}
	azb_buf_free(&string);
	azb_buf_free(&header);
	return result;
}

/* Every try is signed anew: a signature lasts 15 minutes. */
static int sign(struct azc_request *request, const azblob_conn *conn, struct azblob_error *error)
{
	struct azb_sk_field *field;
	size_t count = 0;
	char length[24];
	char date[40];
	int result;

	if (!request->in_batch)
		azc_request_field(request, "x-ms-version", AZC_SERVICE_VERSION);
	if (conn->sas) {
		azc_request_sas(request, conn);
		return request->no_memory ? azc_fail_memory(error) : 0;
	}
	http_date(date, sizeof(date));
	azc_request_field(request, "x-ms-date", date);
	if (request->no_memory)
		return azc_fail_memory(error);
	field = calloc(request->fields.count + 1, sizeof(*field));
	if (!field)
		return azc_fail_memory(error);
	for (size_t i = 0; i < request->fields.count; i++) {
		const struct azc_field *from = &request->fields.item[i];

		field[count++] = (struct azb_sk_field){ from->name, strlen(from->name), from->value,
							strlen(from->value) };
	}
	if (request->has_body) {
		int n = snprintf(length, sizeof(length), "%llu",
				 (unsigned long long)request->content_length);

		field[count++] = (struct azb_sk_field){ "Content-Length", 14, length, (size_t)n };
	}
	result = add_signature(request, conn, field, count, error);
	free(field);
	return result;
}

/* ---- errors ---- */

static const char *status_text(int status)
{
	switch (status) {
	case 400:
		return "bad request";
	case 401:
		return "credentials are missing";
	case 403:
		return "access is denied";
	case 404:
		return "not found";
	case 409:
		return "conflict";
	case 412:
		return "a condition is not met";
	case 416:
		return "the range is outside the blob";
	case 429:
		return "too many requests";
	case 500:
		return "internal error of the service";
	case 503:
		return "the service is busy";
	}
	return "the service refused the request";
}

static void service_error(const struct azc_answer *answer, struct azblob_error *error)
{
	char message[400] = "";
	char code[sizeof(error->code)] = "";

	if (answer->text.length)
		azc_xml_error(answer->text.data, answer->text.length, code, sizeof(code), message,
			      sizeof(message));
	if (azc_answer_field(answer, "x-ms-error-code"))
		snprintf(code, sizeof(code), "%s", azc_answer_text(answer, "x-ms-error-code"));
	azc_fail(error, AZBLOB_SERVICE, "%s (%d%s%s)",
		 *message ? message : status_text(answer->status), answer->status, *code ? " " : "",
		 code);
	error->http_status = answer->status;
	memcpy(error->code, code, sizeof(error->code));
}

static bool is_checksum_refusal(const struct azblob_error *error)
{
	return !strcmp(error->code, "Crc64Mismatch") || !strcmp(error->code, "Md5Mismatch");
}

bool azc_is_unsupported(const struct azblob_error *error)
{
	return !strcmp(error->code, "FeatureNotSupported");
}

static void append_text(struct azblob_error *error, const char *text)
{
	size_t used = strlen(error->message);

	snprintf(error->message + used, sizeof(error->message) - used, "%s", text);
}

/* ---- checksums ---- */

/* The header that carries the checksum of an answer's bytes. */
static const char *crc_field(const azblob_conn *conn)
{
	return conn->transport->link ? "Azblob-Crc64" : "x-ms-content-crc64";
}

static int check_crc(const azblob_conn *conn, const struct azc_answer *answer,
		     struct azblob_error *error)
{
	const char *text = azc_answer_field(answer, crc_field(conn));
	uint64_t value = 0;
	uint8_t bytes[8];

	if (!text)
		return 0;
	if (azb_base64_decode(bytes, sizeof(bytes), text, strlen(text)) != sizeof(bytes))
		return azc_fail(error, AZBLOB_CHECKSUM,
				"the answer's checksum header is malformed");
	for (size_t i = sizeof(bytes); i-- > 0;)
		value = value << 8 | bytes[i];
	if (value == answer->crc)
		return 0;
	return azc_fail(error, AZBLOB_CHECKSUM,
			"the bytes that arrived do not have the checksum that was sent with them "
			"(%016llx, not %016llx)",
			(unsigned long long)answer->crc, (unsigned long long)value);
}

bool azc_answer_has_crc(const azblob_conn *conn, const struct azc_answer *answer)
{
	return azc_answer_field(answer, crc_field(conn));
}

/* ---- what may be repeated ---- */

static const char *field_of(const struct azc_request *request, const char *name)
{
	for (size_t i = 0; i < request->fields.count; i++)
		if (!strcasecmp(request->fields.item[i].name, name))
			return request->fields.item[i].value;
	return NULL;
}

void azc_request_guarded(struct azc_request *request, unsigned int guards)
{
	const char *match = field_of(request, "If-Match");
	const char *none = field_of(request, "If-None-Match");

	/* "*" and several would let a second time through. */
	if ((guards & AZC_GUARD_MATCH && match && strcmp(match, "*") != 0 && !strchr(match, ',')) ||
	    (guards & AZC_GUARD_NEW && none && !strcmp(none, "*")) ||
	    (guards & AZC_GUARD_LEASE && field_of(request, "x-ms-lease-id")) ||
	    (guards & AZC_GUARD_POSITION && field_of(request, "x-ms-blob-condition-appendpos")))
		request->repeatable = true;
}

/* ---- trying ---- */

/* Waits before try number @try (1: the first repetition); false when cancelled. */
static bool wait_for_try(struct azc_op *op, unsigned int try)
{
	long wait = FIRST_WAIT_MS;
	struct timespec now;

	while (--try && wait < LONGEST_WAIT_MS)
		wait *= 2;
	if (wait > LONGEST_WAIT_MS)
		wait = LONGEST_WAIT_MS;
	/* Up to a quarter less, so that parallel parts don't come back in step. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	wait -= now.tv_nsec / 1000 % (wait / 4);
	while (wait > 0) {
		long slice = wait < WAIT_SLICE_MS ? wait : WAIT_SLICE_MS;
		struct timespec pause = { 0, slice * 1000000 };

		if (azc_op_cancelled(op))
			return false;
		nanosleep(&pause, NULL);
		wait -= slice;
	}
	return !azc_op_cancelled(op);
}

int azc_prepare(struct azc_op *op, struct azc_request *request, struct azblob_error *error)
{
	if (request->sign && sign(request, op->conn, error))
		return -1;
	return request->no_memory ? azc_fail_memory(error) : 0;
}

enum azc_verdict azc_judge(const struct azc_op *op, const struct azc_request *request,
			   const struct azc_answer *answer, bool answered, enum azc_failure failure,
			   struct azblob_error *error)
{
	if (!answered) {
		bool unknown = failure == AZC_UNKNOWN || failure == AZC_GONE;

		error->outcome_unknown = unknown && request->effect;
		return failure == AZC_SENT_NOTHING ||
				       (failure == AZC_UNKNOWN && request->repeatable)
			       ? AZC_AGAIN
			       : AZC_FINAL;
	}
	if (answer->status < 300) {
		if (!request->checked || !check_crc(op->conn, answer, error))
			return AZC_GOOD;
		return request->repeatable ? AZC_AGAIN : AZC_FINAL;
	}
	service_error(answer, error);
	switch (answer->status) {
	case 429:
	case 503:
		return AZC_AGAIN;
	case 500:
	case 502:
	case 504:
		/* What Azurite says to things that it does not do. */
		if (azc_is_unsupported(error))
			return AZC_FINAL;
		error->outcome_unknown = request->effect;
		return request->repeatable ? AZC_AGAIN : AZC_FINAL;
	}
	return is_checksum_refusal(error) ? AZC_AGAIN : AZC_FINAL;
}

static enum azc_verdict try_once(struct azc_op *op, struct azc_request *request,
				 struct azc_answer *answer, struct azblob_error *error)
{
	struct azc_transport *transport = op->conn->transport;
	enum azc_failure failure = AZC_REFUSED;
	int result;

	azc_answer_reset(answer);
	if (azc_prepare(op, request, error))
		return AZC_FINAL;
	result = transport->ops->exchange(transport, request, answer, op, &failure, error);
	return azc_judge(op, request, answer, !result, failure, error);
}

int azc_perform_again(struct azc_op *op, struct azc_request *request, struct azc_answer *answer,
		      unsigned int tries, struct azblob_error *error)
{
	bool unknown = error->outcome_unknown;

	while (!azc_op_cancelled(op)) {
		enum azc_verdict verdict;

		if (tries && (tries > op->conn->retries || !wait_for_try(op, tries)))
			break;
		verdict = try_once(op, request, answer, error);
		azc_op_count(op, tries++ > 0);
		if (verdict == AZC_GOOD)
			return 0;
		/* What was unknown once stays so, whatever a repetition says. */
		unknown |= error->outcome_unknown;
		if (verdict == AZC_FINAL)
			break;
	}
	error->outcome_unknown = unknown;
	azc_final_error(op, error);
	return -1;
}

void azc_final_error(struct azc_op *op, struct azblob_error *error)
{
	bool unknown = error->outcome_unknown;
	uint32_t status = error->link_status;

	if (azc_op_cancelled(op)) {
		azc_fail(error, AZBLOB_CANCELLED, "cancelled");
		error->link_status = status;
	} else if (is_checksum_refusal(error)) {
		error->kind = AZBLOB_CHECKSUM;
	}
	error->outcome_unknown = unknown;
	if (unknown)
		append_text(error, "; whether it took effect is unknown");
}

int azc_perform(struct azc_op *op, struct azc_request *request, struct azc_answer *answer,
		struct azblob_error *error)
{
	struct azblob_error mine;

	memset(answer, 0, sizeof(*answer));
	azc_error_clear(&mine);
	if (!azc_perform_again(op, request, answer, 0, &mine))
		return 0;
	if (error)
		*error = mine;
	return -1;
}
