/* SPDX-License-Identifier: MIT */
#include "service_help.h"

#include <time.h>

#include "base/base64.h"
#include "base/sharedkey.h"
#include "blob/httpdate.h"

const uint8_t service_session[16] = "session of tests";

struct svc_caller service_caller(uint64_t request)
{
	return (struct svc_caller){ .link = true,
				    .secure = true,
				    .peer = "test",
				    .session = request ? service_session : NULL,
				    .request = request };
}

int service_setup(void **state)
{
	struct service *s = calloc(1, sizeof(*s));
	struct svc_answer *answer;
	char error[200];

	assert_non_null(s);
	fixture_directory(&s->store);
	s->store.store = fixture_open(&s->store, "");
	s->accounts = accounts_new();
	assert_non_null(s->accounts);
	assert_true(accounts_add(s->accounts, ACCOUNTS_DEV_NAME ":" ACCOUNTS_DEV_KEY, error,
				 sizeof(error)));
	s->svc = svc_new(s->store.store, s->accounts);
	s->parser = head_parser_new();
	assert_non_null(s->svc);
	assert_non_null(s->parser);
	answer = service_do(s, "PUT", "/cont?restype=container", "", 0);
	assert_int_equal(answer->status, 201);
	svc_answer_put(answer);
	*state = s;
	return 0;
}

int service_teardown(void **state)
{
	struct service *s = *state;

	svc_free(s->svc);
	accounts_put(s->accounts);
	head_parser_free(s->parser);
	store_close(s->store.store);
	fixture_remove(&s->store);
	free(s);
	return 0;
}

static const struct head *parse(struct service *s)
{
	const char *reason = "";
	size_t taken;

	head_parser_reset(s->parser);
	if (head_parser_feed(s->parser, s->text, strlen(s->text), &taken) != HEAD_DONE) {
		head_parser_error(s->parser, &reason);
		fail_msg("not a head: %s\n%s", reason, s->text);
	}
	return head_parser_head(s->parser);
}

const struct head *service_head(struct service *s, const char *method, const char *target,
				const char *lines)
{
	struct azb_sk_field field[HEAD_MAX_HEADERS];
	char date[HTTPDATE_ROOM], signature[AZB_SHAREDKEY_SIGNATURE + 1];
	uint8_t key[ACCOUNTS_MAX_KEY];
	struct azb_buf string = { 0 };
	struct azb_sk_request sk = { .account = ACCOUNTS_DEV_NAME, .field = field };
	const char *question = strchr(target, '?');
	const struct head *head;
	ssize_t key_length;
	int n;

	httpdate_format(date, time(NULL));
	n = snprintf(s->text, sizeof(s->text),
		     "%s " ACCOUNT_PATH "%s HTTP/1.1\r\nHost: h\r\nx-ms-date: %s\r\n"
		     "x-ms-version: 2023-11-03\r\n%s",
		     method, target, date, lines);
	assert_in_range(n, 1, sizeof(s->text) - 200);
	strcpy(s->text + n, "\r\n");
	head = parse(s);
	for (size_t i = 0; i < head->field_count; i++)
		field[i] =
			(struct azb_sk_field){ head->field[i].name.at, head->field[i].name.length,
					       head->field[i].value.at,
					       head->field[i].value.length };
	sk.field_count = head->field_count;
	sk.method = method;
	sk.method_length = strlen(method);
	sk.path = head->target.at;
	sk.path_length = head->target.length;
	if (question) {
		sk.query = question + 1;
		sk.query_length = strlen(sk.query);
		sk.path_length -= sk.query_length + 1;
	}
	assert_true(azb_sharedkey_string(&sk, &string));
	key_length =
		azb_base64_decode(key, sizeof(key), ACCOUNTS_DEV_KEY, strlen(ACCOUNTS_DEV_KEY));
	assert_true(
		azb_sharedkey_sign(key, (size_t)key_length, string.data, string.length, signature));
	azb_buf_free(&string);
	snprintf(s->text + n, sizeof(s->text) - (size_t)n,
		 "Authorization: SharedKey " ACCOUNTS_DEV_NAME ":%s\r\n\r\n", signature);
	return parse(s);
}

struct svc_answer *service_do(struct service *s, const char *method, const char *target,
			      const char *lines, uint64_t request)
{
	struct svc_caller caller = service_caller(request);
	struct svc_answer *answer;
	struct svc_upload *upload;

	assert_int_equal(svc_start(s->svc, service_head(s, method, target, lines), &caller, &answer,
				   &upload),
			 SVC_ANSWER);
	assert_null(upload);
	assert_non_null(answer);
	return answer;
}

struct svc_upload *service_upload(struct service *s, const char *target, const char *lines)
{
	struct svc_caller caller = service_caller(0);
	struct svc_answer *answer;
	struct svc_upload *upload;

	assert_int_equal(
		svc_start(s->svc, service_head(s, "PUT", target, lines), &caller, &answer, &upload),
		SVC_BODY);
	assert_null(answer);
	assert_non_null(upload);
	return upload;
}
