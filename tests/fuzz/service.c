// SPDX-License-Identifier: MIT
/*
 * The whole service on a store of its own: requests with a right signature and anything else in
 * them, so that what is behind the check of credentials is reached too, batches among it.
 *
 *	METHOD TARGET
 *	header lines
 *
 *	body
 *
 * Lines end with a line feed.  TARGET is without the account; Host, date, version and the signature
 * are added.  The store is in a new directory in $TMPDIR, which tests/fuzz/run clears.
 */
#include "fuzz.h"

#include <time.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/log.h"
#include "base/sharedkey.h"
#include "blob/accounts.h"
#include "blob/httpdate.h"
#include "blob/service.h"
#include "store/store.h"

static struct svc *svc;
static struct head_parser *parser;

static struct svc *make_service(void)
{
	const char *tmp = getenv("TMPDIR");
	struct accounts *accounts = accounts_new();
	char directory[256], spec[320], error[400] = "";
	struct store *store;

	azb_log_set_level(AZB_LOG_ERROR);
	snprintf(directory, sizeof(directory), "%s/azblob-fuzz-XXXXXX", tmp ? tmp : "/tmp");
	must(mkdtemp(directory));
	snprintf(spec, sizeof(spec), "local,path=%s,unsafe-no-sync=on", directory);
	store = store_open(spec, error, sizeof(error));
	must(store && accounts);
	must(accounts_add(accounts, ACCOUNTS_DEV_NAME ":" ACCOUNTS_DEV_KEY, error, sizeof(error)));
	parser = head_parser_new();
	return svc_new(store, accounts);
}

static bool parse(const struct azb_buf *text)
{
	size_t taken = 0;

	head_parser_reset(parser);
	return !text->failed &&
	       head_parser_feed(parser, text->data, text->length, &taken) == HEAD_DONE &&
	       taken == text->length;
}

/* Adds the signature of what @text says so far, and the end. */
static bool sign(struct azb_buf *text)
{
	static struct azb_sk_field field[HEAD_MAX_HEADERS];
	char signature[AZB_SHAREDKEY_SIGNATURE + 1];
	uint8_t key[ACCOUNTS_MAX_KEY];
	struct azb_buf end = { 0 }, string = { 0 };
	struct azb_sk_request sk = { .account = ACCOUNTS_DEV_NAME, .field = field };
	const struct head *head;
	const char *question;
	ssize_t length;
	bool good;

	azb_buf_add(&end, text->data, text->length);
	azb_buf_puts(&end, "\r\n");
	good = parse(&end);
	if (good) {
		head = head_parser_head(parser);
		for (size_t i = 0; i < head->field_count; i++)
			field[i] = (struct azb_sk_field){ head->field[i].name.at,
							  head->field[i].name.length,
							  head->field[i].value.at,
							  head->field[i].value.length };
		sk.field_count = head->field_count;
		sk.method = head->method.at;
		sk.method_length = head->method.length;
		sk.path = head->target.at;
		sk.path_length = head->target.length;
		question = memchr(head->target.at, '?', head->target.length);
		if (question) {
			sk.path_length = (size_t)(question - head->target.at);
			sk.query = question + 1;
			sk.query_length = head->target.length - sk.path_length - 1;
		}
		length = azb_base64_decode(key, sizeof(key), ACCOUNTS_DEV_KEY,
					   strlen(ACCOUNTS_DEV_KEY));
		good = azb_sharedkey_string(&sk, &string) && !string.failed &&
		       azb_sharedkey_sign(key, (size_t)length, string.data, string.length,
					  signature);
	}
	if (good)
		azb_buf_printf(text, "Authorization: SharedKey " ACCOUNTS_DEV_NAME ":%s\r\n\r\n",
			       signature);
	azb_buf_free(&end);
	azb_buf_free(&string);
	return good;
}

/* All of an answer is made, as a door would; its head is one. */
static void use_answer(struct svc_answer *answer)
{
	uint8_t bytes[4096];
	uint64_t done = 0;
	size_t length = svc_answer_head(answer, NULL, 0, NULL, 0);
	struct azb_buf head = { 0 };
	char *text = malloc(length);

	must(text && answer->status >= 100 && answer->status < 600);
	must(svc_answer_head(answer, NULL, 0, text, length) == length);
	azb_buf_add(&head, text, length);
	must(length > 4 && !memcmp(text + length - 4, "\r\n\r\n", 4));
	must(memmem(text, length, "\r\n\r\n", 4) == text + length - 4);
	while (done < answer->body_length && done < 1u << 20) {
		struct iovec iov = { bytes, sizeof(bytes) };
		ssize_t got = svc_answer_read(answer, done, &iov, 1);

		must(got > 0);
		done += (uint64_t)got;
	}
	azb_buf_free(&head);
	free(text);
	svc_answer_put(answer);
}

static void bring(struct svc_upload *upload, const struct svc_caller *caller, const char *body,
		  size_t size)
{
	struct svc_answer *answer = NULL;
	uint64_t length = svc_upload_length(upload);
	struct iovec iov = { (void *)(uintptr_t)body, size < length ? size : (size_t)length };
	int error = iov.iov_len ? svc_write(upload, 0, &iov, 1, SVC_WRITE_PRIVATE, NULL, NULL) : 0;

	if (error)
		use_answer(svc_upload_fail(upload, error));
	if (error || svc_finish(upload, caller, &answer))
		svc_abort(upload);
	else
		use_answer(answer);
}

static void request(const char *text, size_t size)
{
	struct svc_caller caller = { .link = true,
				     .secure = true,
				     .peer = "fuzz",
				     .address = "10.0.0.1",
				     .body_room = 1u << 20 };
	const char *end = memmem(text, size, "\n\n", 2), *line = memchr(text, '\n', size);
	const char *space = memchr(text, ' ', size);
	struct azb_buf head = { 0 };
	struct svc_answer *answer = NULL;
	struct svc_upload *upload = NULL;
	char date[HTTPDATE_ROOM];

	if (!end || !space || space > line)
		return;
	azb_buf_printf(&head, "%.*s /" ACCOUNTS_DEV_NAME "%.*s HTTP/1.1\r\nHost: h\r\n",
		       (int)(space - text), text, (int)(line - space - 1), space + 1);
	httpdate_format(date, time(NULL));
	azb_buf_printf(&head, "x-ms-date: %s\r\nx-ms-version: 2023-11-03\r\n", date);
	while (line < end) {
		const char *next = memchr(line + 1, '\n', (size_t)(end + 1 - line - 1));

		azb_buf_add(&head, line + 1, (size_t)(next - line - 1));
		azb_buf_puts(&head, "\r\n");
		line = next;
	}
	if (sign(&head) && parse(&head)) {
		if (svc_start(svc, head_parser_head(parser), &caller, &answer, &upload) == SVC_BODY)
			bring(upload, &caller, end + 2, (size_t)(text + size - end - 2));
		else
			use_answer(answer);
	}
	azb_buf_free(&head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char container[] = "PUT /cont?restype=container\nContent-Length: 0\n\n";
	static const char blob[] =
		"PUT /cont/b\nContent-Length: 5\nx-ms-blob-type: BlockBlob\n\nbytes";
	char *text = fuzz_string(data, size);

	if (!svc)
		svc = make_service();
	/* what an earlier input did has no part in this one, as far as that can be had */
	request(container, sizeof(container) - 1);
	request(blob, sizeof(blob) - 1);
	request(text, size);
	free(text);
	return 0;
}
