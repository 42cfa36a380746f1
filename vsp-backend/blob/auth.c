// SPDX-License-Identifier: MIT
#include "auth.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "../base/sharedkey.h"
#include "httpdate.h"

struct svc_answer *auth_refuse(const struct rq *rq, const char *detail)
{
	struct err_detail details[2] = { { "AuthenticationErrorDetail", detail }, { NULL, NULL } };

	if (!target_is_utf8(detail, strlen(detail)))
		details[0].name = NULL;
	return err_answer(&rq->to, ERR_AUTHENTICATION_FAILED, details);
}

/* A request that was recorded cannot be sent again later than this. */
static struct svc_answer *check_date(const struct rq *rq)
{
	const struct head_str *date = head_get(rq->head, "x-ms-date");
	time_t seconds, now = time(NULL);

	if (!date)
		date = head_get(rq->head, "Date");
	if (!date)
		return auth_refuse(rq, "The request has neither x-ms-date nor Date.");
	if (!httpdate_parse(date->at, date->length, &seconds))
		return auth_refuse(rq, "The date of the request is not in RFC 1123 form.");
	if (seconds < now - AUTH_MAX_SKEW_S)
		return auth_refuse(rq, "Request date header too old: more than 15 minutes.");
	if (seconds > now + AUTH_MAX_SKEW_S)
		return auth_refuse(rq,
				   "Request date header is more than 15 minutes in the future.");
	return NULL;
}

bool auth_fits(const struct account *account, const struct azb_buf *string, const char *text,
	       size_t length)
{
	char signature[AZB_SHAREDKEY_SIGNATURE + 1];
	bool fits = false;

	/* all keys, always: the time says nothing about which one it was */
	for (unsigned int i = 0; i < account->key_count; i++)
		if (azb_sharedkey_sign(account->key[i], account->key_length[i], string->data,
				       string->length, signature))
			fits |= azb_sharedkey_same(signature, text, length);
	return fits;
}

/* With one order of headers.  @string is left filled. */
static bool signature_fits(const struct azb_sk_request *sk, const struct account *account,
			   const struct head_str *sent, struct azb_buf *string)
{
	azb_buf_reset(string);
	if (!azb_sharedkey_string(sk, string) || string->failed)
		return false;
	return auth_fits(account, string, sent->at, sent->length);
}

static struct svc_answer *bad_signature(const struct rq *rq, const struct head_str *sent,
					const struct azb_buf *string)
{
	struct svc_answer *answer;
	struct azb_buf detail = { 0 };

	azb_buf_puts(&detail, "The MAC signature found in the HTTP request '");
	azb_buf_add(&detail, sent->at, sent->length);
	azb_buf_puts(&detail, "' is not the same as any computed signature. Server used following "
			      "string to sign: '");
	azb_buf_add(&detail, string->data, string->length);
	azb_buf_puts(&detail, "'.");
	answer = auth_refuse(rq, detail.failed ? "The signature does not fit." : detail.data);
	azb_buf_free(&detail);
	return answer;
}

static struct svc_answer *check_signature(const struct rq *rq, const struct account *account,
					  const struct head_str *sent, bool lite)
{
	const struct head *head = rq->head;
	struct azb_sk_field field[HEAD_MAX_HEADERS];
	struct azb_sk_request sk = {
		.method = head->method.at,
		.method_length = head->method.length,
		.account = account->name,
		.path = rq->target.path.at,
		.path_length = rq->target.path.length,
		.query = rq->target.query.at,
		.query_length = rq->target.query.length,
		.field = field,
		.field_count = head->field_count,
		.lite = lite,
		.order = AZB_SK_ORDER_BYTES,
	};
	struct azb_buf string = { 0 };
	struct svc_answer *answer = NULL;
	bool fits;

	for (size_t i = 0; i < head->field_count; i++)
		field[i] = (struct azb_sk_field){
			.name = head->field[i].name.at,
			.name_length = head->field[i].name.length,
			.value = head->field[i].value.at,
			.value_length = head->field[i].value.length,
		};
	fits = signature_fits(&sk, account, sent, &string);
	if (!fits && !string.failed) {
		sk.order = AZB_SK_ORDER_WORDS;
		fits = signature_fits(&sk, account, sent, &string);
	}
	if (!fits)
		answer = string.failed ? rq_fail(rq, ERR_SERVER_BUSY)
				       : bad_signature(rq, sent, &string);
	azb_buf_free(&string);
	return answer;
}

/* "SharedKey NAME:SIGNATURE".  False: another scheme. */
static bool take_apart(const struct head_str *value, const char *scheme, struct head_str *name,
		       struct head_str *signature)
{
	size_t n = strlen(scheme);
	const char *colon;

	if (value->length <= n || strncasecmp(value->at, scheme, n) != 0 || value->at[n] != ' ')
		return false;
	name->at = value->at + n + 1;
	colon = memchr(name->at, ':', value->length - n - 1);
	if (!colon)
		return false;
	name->length = (size_t)(colon - name->at);
	signature->at = colon + 1;
	signature->length = value->length - n - 1 - name->length - 1;
	return true;
}

static struct svc_answer *check_key(struct rq *rq, const struct head_str *value)
{
	const struct account *account;
	struct head_str name, signature;
	struct svc_answer *answer;
	bool lite = false;

	if (!take_apart(value, "SharedKey", &name, &signature)) {
		if (!take_apart(value, "SharedKeyLite", &name, &signature))
			return auth_refuse(rq, "Only SharedKey and SharedKeyLite are supported "
					       "here, as 'SharedKey ACCOUNT:SIGNATURE'.");
		lite = true;
	}
	answer = check_date(rq);
	if (answer)
		return answer;
	account = accounts_find(rq->accounts, rq->target.account);
	if (!account)
		return auth_refuse(rq, "The account is not known to this server.");
	if (!head_str_is(&name, account->name))
		return auth_refuse(rq, "The account of the Authorization header is not the one of "
				       "the URL.");
	answer = check_signature(rq, account, &signature, lite);
	if (answer)
		return answer;
	rq->account = account;
	rq->auth.kind = AUTH_KEY;
	return NULL;
}

/* "Bearer TOKEN".  False: another scheme. */
static bool take_token(const struct head_str *value, struct head_str *token)
{
	static const char scheme[] = "Bearer ";
	const size_t n = sizeof(scheme) - 1;

	if (value->length <= n || strncasecmp(value->at, scheme, n) != 0)
		return false;
	token->at = value->at + n;
	token->length = value->length - n;
	return true;
}

struct svc_answer *auth_check(struct rq *rq)
{
	const struct head_str *value = head_get(rq->head, "Authorization");
	struct svc_answer *answer;
	struct head_str token;

	if (head_count(rq->head, "Authorization") > 1)
		return rq_fail(rq, ERR_INVALID_HEADER_VALUE);
	if (value && take_token(value, &token)) {
		/* a SAS that is for one user comes with that user's token */
		answer = auth_check_token(rq, &token);
		if (!answer && target_param(&rq->target, "sig") &&
		    target_param(&rq->target, "sduoid"))
			answer = auth_check_sas(rq);
		return answer;
	}
	if (value)
		return check_key(rq, value);
	if (target_param(&rq->target, "sig"))
		return auth_check_sas(rq);
	rq->account = accounts_find(rq->accounts, rq->target.account);
	return NULL;
}
