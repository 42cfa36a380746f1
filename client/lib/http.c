// SPDX-License-Identifier: MIT
/* HTTP and HTTPS with libcurl: one easy handle, hence one kept connection, per request under way.
 */
#include "transport.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc64.h"

/* Idle handles, and so connections, that are kept. */
#define MAX_IDLE ((size_t)AZC_MAX_PARALLEL)
#define CONNECT_TIMEOUT_MS 15000L
/* The largest that libcurl takes: fewer system calls. */
#define TRANSFER_BUFFER (512L * 1024)

struct http {
	struct azc_transport transport;
	const azblob_conn *conn;
	char *ca_file;
	pthread_mutex_t lock; /* protects the idle handles */
	CURL *idle[MAX_IDLE];
	size_t idle_count;
};

/* One exchange while libcurl runs it. */
struct exchange {
	const struct azc_request *request;
	struct azc_answer *answer;
	struct azc_op *op;
	size_t sent;
	bool head_bad;
	bool too_long;
	bool no_memory;
};

static size_t on_header(char *line, size_t size, size_t count, void *data)
{
	struct exchange *exchange = data;
	size_t length = size * count;

	if (length <= 2 && (length == 0 || line[0] == '\r' || line[0] == '\n'))
		return length;
	if (!azc_answer_line(exchange->answer, line, length)) {
		exchange->head_bad = true;
		return 0;
	}
	return length;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *data)
{
	struct exchange *exchange = data;
	const struct azc_request *request = exchange->request;
	struct azc_answer *answer = exchange->answer;
	size_t length = size * count;

	if (answer->status < 300 && request->room && !request->want_text) {
		if (length > request->room_length - answer->body_length) {
			exchange->too_long = true;
			return 0;
		}
		memcpy((char *)request->room + answer->body_length, bytes, length);
		/* While it is still in the cache. */
		if (request->checked)
			answer->crc = azb_crc64(answer->crc, bytes, length);
		answer->body_length += length;
		return length;
	}
	if (length > AZC_MAX_TEXT - answer->text.length) {
		exchange->too_long = true;
		return 0;
	}
	azb_buf_add(&answer->text, bytes, length);
	exchange->no_memory = answer->text.failed;
	return answer->text.failed ? 0 : length;
}

static size_t on_send(char *bytes, size_t size, size_t count, void *data)
{
	struct exchange *exchange = data;
	size_t left = exchange->request->body_length - exchange->sent;
	size_t length = size * count < left ? size * count : left;

	if (length)
		memcpy(bytes, (const char *)exchange->request->body + exchange->sent, length);
	exchange->sent += length;
	return length;
}

/* libcurl goes back to the start when a kept connection turns out to be closed. */
static int on_seek(void *data, curl_off_t offset, int origin)
{
	struct exchange *exchange = data;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > exchange->request->body_length)
		return CURL_SEEKFUNC_FAIL;
	exchange->sent = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

static int on_progress(void *data, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
		       curl_off_t up)
{
	struct exchange *exchange = data;

	(void)down_total;
	(void)down;
	(void)up_total;
	(void)up;
	return azc_op_cancelled(exchange->op);
}

static CURL *take_handle(struct http *http)
{
	CURL *curl = NULL;

	pthread_mutex_lock(&http->lock);
	if (http->idle_count)
		curl = http->idle[--http->idle_count];
	pthread_mutex_unlock(&http->lock);
	return curl ? curl : curl_easy_init();
}

static void give_handle(struct http *http, CURL *curl)
{
	/* Keeps the connection. */
	curl_easy_reset(curl);
	pthread_mutex_lock(&http->lock);
	if (http->idle_count < MAX_IDLE) {
		http->idle[http->idle_count++] = curl;
		curl = NULL;
	}
	pthread_mutex_unlock(&http->lock);
	curl_easy_cleanup(curl);
}

static struct curl_slist *add_line(struct curl_slist *list, struct azb_buf *line)
{
	struct curl_slist *longer = NULL;

	if (line->data && !line->failed)
		longer = curl_slist_append(list, line->data);
	if (!longer)
		curl_slist_free_all(list);
	azb_buf_free(line);
	return longer;
}

/* NULL when out of memory. */
static struct curl_slist *make_headers(const struct azc_request *request)
{
	struct azb_buf line = { 0 };
	struct curl_slist *list;

	/* The first writes go out unasked, so a wait for 100 would only cost a round trip. */
	azb_buf_puts(&line, "Expect:");
	list = add_line(NULL, &line);
	for (size_t i = 0; list && i < request->fields.count; i++) {
		const struct azc_field *field = &request->fields.item[i];

		/* libcurl's way to send a header without a value is a semicolon. */
		azb_buf_printf(&line, *field->value ? "%s: %s" : "%s;%s", field->name,
			       field->value);
		list = add_line(list, &line);
	}
	return list;
}

static void set_method(CURL *curl, const struct azc_request *request)
{
	if (!strcmp(request->method, "HEAD")) {
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	} else if (request->has_body) {
		curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_length);
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	} else {
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	}
}

static void set_common(CURL *curl, const struct http *http, struct exchange *exchange)
{
	unsigned int timeout_ms = exchange->op->timeout_ms;
	long seconds = (long)(timeout_ms + 999) / 1000;

	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "libazblob/" AZBLOB_VERSION);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
			 timeout_ms < CONNECT_TIMEOUT_MS ? (long)timeout_ms : CONNECT_TIMEOUT_MS);
	/* A large body may take long as long as it moves. */
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, seconds);
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, TRANSFER_BUFFER);
	curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, TRANSFER_BUFFER);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_send);
	curl_easy_setopt(curl, CURLOPT_READDATA, exchange);
	curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(curl, CURLOPT_SEEKDATA, exchange);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, exchange);
	if (http->ca_file) {
		curl_easy_setopt(curl, CURLOPT_CAINFO, http->ca_file);
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	}
}

/* Whether a failed transfer had begun to reach the service. */
static enum azc_failure failure_of(CURL *curl, CURLcode code)
{
	curl_off_t begun = 0;

	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
		return AZC_SENT_NOTHING;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_OUT_OF_MEMORY:
	case CURLE_NOT_BUILT_IN:
		return AZC_REFUSED;
	default:
		break;
	}
	/* The time at which the connection was there and the request could go out. */
	curl_easy_getinfo(curl, CURLINFO_PRETRANSFER_TIME_T, &begun);
	return begun ? AZC_UNKNOWN : AZC_SENT_NOTHING;
}

static int describe(const struct http *http, const struct exchange *exchange, CURLcode code,
		    const char *detail, enum azc_failure *failure, struct azblob_error *error)
{
	if (exchange->no_memory)
		return azc_fail_memory(error);
	if (exchange->too_long)
		return azc_fail(error, AZBLOB_TRANSPORT,
				"%s: the answer is longer than what was asked for",
				http->conn->endpoint.base);
	if (exchange->head_bad)
		return azc_fail(error, AZBLOB_TRANSPORT, "%s: the answer's head is malformed",
				http->conn->endpoint.base);
	if (code == CURLE_OPERATION_TIMEDOUT && *failure == AZC_UNKNOWN)
		azc_fail(error, AZBLOB_TRANSPORT, "%s: no progress for %u ms",
			 http->conn->endpoint.base, exchange->op->timeout_ms);
	else
		azc_fail(error, AZBLOB_TRANSPORT, "%s: %s", http->conn->endpoint.base,
			 *detail ? detail : curl_easy_strerror(code));
	if (code == CURLE_OPERATION_TIMEDOUT && error)
		error->sys_errno = ETIMEDOUT;
	return -1;
}

static int run(struct http *http, CURL *curl, struct exchange *exchange, const char *url,
	       struct curl_slist *headers, enum azc_failure *failure, struct azblob_error *error)
{
	char detail[CURL_ERROR_SIZE] = "";
	CURLcode code;

	set_common(curl, http, exchange);
	set_method(curl, exchange->request);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
	code = curl_easy_perform(curl);
	if (code == CURLE_OK && exchange->answer->status >= 200)
		return 0;
	if (code == CURLE_OK)
		code = CURLE_WEIRD_SERVER_REPLY;
	*failure = failure_of(curl, code);
	return describe(http, exchange, code, detail, failure, error);
}

static int http_exchange(struct azc_transport *transport, const struct azc_request *request,
			 struct azc_answer *answer, struct azc_op *op, enum azc_failure *failure,
			 struct azblob_error *error)
{
	struct http *http = (struct http *)transport;
	struct exchange exchange = { .request = request, .answer = answer, .op = op };
	struct curl_slist *headers = make_headers(request);
	struct azb_buf url = { 0 };
	CURL *curl = take_handle(http);
	int result;

	azb_buf_printf(&url, "%s://%s%s%s%s", http->conn->endpoint.https ? "https" : "http",
		       http->conn->endpoint.host, request->path.data,
		       request->query.length ? "?" : "",
		       request->query.length ? request->query.data : "");
	*failure = AZC_REFUSED;
	if (curl && headers && !url.failed)
		result = run(http, curl, &exchange, url.data, headers, failure, error);
	else
		result = azc_fail_memory(error);
	if (curl)
		give_handle(http, curl);
	curl_slist_free_all(headers);
	azb_buf_free(&url);
	return result;
}

static void http_close(struct azc_transport *transport)
{
	struct http *http = (struct http *)transport;

	while (http->idle_count)
		curl_easy_cleanup(http->idle[--http->idle_count]);
	pthread_mutex_destroy(&http->lock);
	free(http->ca_file);
	free(http);
}

static const struct azc_transport_ops http_ops = {
	.exchange = http_exchange,
	.close = http_close,
};

static void init_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct azc_transport *azc_http_open(const azblob_conn *conn, const char *ca_file,
				    struct azblob_error *error)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct http *http = calloc(1, sizeof(*http));

	pthread_once(&once, init_curl);
	if (http && ca_file) {
		http->ca_file = strdup(ca_file);
		if (!http->ca_file) {
			free(http);
			http = NULL;
		}
	}
	if (!http) {
		azc_fail_memory(error);
		return NULL;
	}
	http->transport.ops = &http_ops;
	http->transport.kind = AZBLOB_TRANSPORT_HTTP;
	http->transport.part_max = AZC_MAX_BLOCK_SIZE;
	http->conn = conn;
	pthread_mutex_init(&http->lock, NULL);
	return &http->transport;
}
