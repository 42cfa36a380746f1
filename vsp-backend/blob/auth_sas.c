// SPDX-License-Identifier: MIT
/* Shared access signatures: is it one of ours, is it its time, and what does it open. */
#include "auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../base/sharedkey.h"
#include "httpdate.h"
#include "isotime.h"
#include "relay.h"
#include "sas.h"

static struct svc_answer *bad_signature(const struct rq *rq, const struct azb_buf *string)
{
	struct svc_answer *answer;
	struct azb_buf detail = { 0 };

	azb_buf_puts(&detail, "Signature did not match. String to sign used was ");
	azb_buf_add(&detail, string->data, string->length);
	answer = auth_refuse(rq, detail.failed ? "Signature did not match." : detail.data);
	azb_buf_free(&detail);
	return answer;
}

/* By the keys that each of the account's keys makes of who and when. */
static bool delegation_fits(const struct account *account, const struct sas *sas,
			    const struct azb_buf *string)
{
	char signature[AZB_SHAREDKEY_SIGNATURE + 1];
	uint8_t key[SAS_DELEGATION_KEY];
	bool fits = false;

	for (unsigned int i = 0; i < account->key_count; i++)
		if (sas_delegation_key(account->key[i], account->key_length[i], sas, key) &&
		    azb_sharedkey_sign(key, sizeof(key), string->data, string->length, signature))
			fits |= azb_sharedkey_same(signature, sas->sig, strlen(sas->sig));
	explicit_bzero(key, sizeof(key));
	return fits;
}

static struct svc_answer *check_signature(const struct rq *rq, const struct account *account,
					  const struct sas *sas)
{
	struct azb_buf string = { 0 };
	struct svc_answer *answer = NULL;

	if (!sas_string(sas, &rq->target, rq->head, &string))
		answer = auth_refuse(rq,
				     "A header or parameter that srh or srq names is not there.");
	else if (string.failed)
		answer = rq_fail(rq, ERR_SERVER_BUSY);
	else if (sas->kind == SAS_USER ? !delegation_fits(account, sas, &string)
				       : !auth_fits(account, &string, sas->sig, strlen(sas->sig)))
		answer = bad_signature(rq, &string);
	azb_buf_free(&string);
	return answer;
}

/* ------------------------------------------------------------- stored policy */

/* What a policy and the token say together; the strings of a policy are copied to @text. */
struct terms {
	const char *start;
	const char *expiry;
	const char *permissions;
	char text[3][64];
};

static bool merge(const char **value, const char *policy, char text[64])
{
	if (!*policy)
		return true;
	if (**value || strlen(policy) >= 64)
		return false;
	memcpy(text, policy, strlen(policy) + 1);
	*value = text;
	return true;
}

static struct svc_answer *merge_policy(const struct rq *rq, const struct store_acl *acl,
				       const char *id, struct terms *terms)
{
	struct store_policy policy;
	bool found = false;
	size_t at = 0;

	while (!found && store_acl_next(acl, &at, &policy))
		found = !strcmp(policy.id, id);
	if (!found)
		return auth_refuse(rq, "Signed identifier is not one of the container's stored "
				       "access policies.");
	if (!merge(&terms->start, policy.start, terms->text[0]) ||
	    !merge(&terms->expiry, policy.expiry, terms->text[1]) ||
	    !merge(&terms->permissions, policy.permissions, terms->text[2]))
		return auth_refuse(rq, "Access policy fields can be associated with signature or "
				       "SAS identifier but not both.");
	return NULL;
}

/* The policies are where the container is. */
static struct svc_answer *read_relayed_policy(const struct rq *rq, const char *id,
					      struct terms *terms)
{
	struct azb_buf bytes = { 0 };
	struct svc_answer *answer = relay_policies(rq, &bytes);
	struct store_acl acl = { bytes.data, bytes.length };

	if (!answer)
		answer = merge_policy(rq, &acl, id, terms);
	azb_buf_free(&bytes);
	return answer;
}

static struct svc_answer *read_policy(const struct rq *rq, const char *id, struct terms *terms)
{
	struct store_ref ref = rq_ref(rq);
	struct store_container_info info;
	struct svc_answer *answer;
	enum store_error error;

	if (rq->svc->store->ops->rest)
		return read_relayed_policy(rq, id, terms);
	ref.blob = NULL;
	error = store_container_stat(rq->svc->store, &ref, &info);
	if (error == STORE_CONTAINER_NOT_FOUND || error == STORE_CONTAINER_BEING_DELETED)
		return auth_refuse(rq, "The container of the stored access policy is not there.");
	if (error != STORE_OK)
		return rq_fail_store(rq, error);
	answer = merge_policy(rq, &info.acl, id, terms);
	store_container_info_clear(&info);
	return answer;
}

/* -------------------------------------------------------------- restrictions */

static void show_time(char out[HTTPDATE_ROOM], int64_t ns)
{
	httpdate_format(out, httpdate_seconds(ns));
}

/* @start may be "". */
static struct svc_answer *check_time(const struct rq *rq, const char *what, const char *start,
				     const char *expiry)
{
	char from_text[HTTPDATE_ROOM] = "", to_text[HTTPDATE_ROOM], now_text[HTTPDATE_ROOM];
	int64_t from = INT64_MIN, to, now = isotime_now();
	char detail[256];

	if ((*start && !isotime_parse(start, &from)) || !isotime_parse(expiry, &to))
		return auth_refuse(rq,
				   "Signature fields not well formed: a time is not in ISO 8601 "
				   "form.");
	if (from <= now && now < to)
		return NULL;
	if (*start)
		show_time(from_text, from);
	show_time(to_text, to);
	show_time(now_text, now);
	snprintf(detail, sizeof(detail),
		 "%s not valid in the specified time frame: Start [%s] - Expiry [%s] - Current "
		 "[%s]",
		 what, from_text, to_text, now_text);
	return auth_refuse(rq, detail);
}

static struct svc_answer *check_where(const struct rq *rq, const struct sas *sas)
{
	const struct svc_caller *caller = rq->caller;

	if (*sas->spr && strcmp(sas->spr, "https,http") != 0 &&
	    strcmp(sas->spr, "http,https") != 0) {
		if (strcmp(sas->spr, "https") != 0)
			return auth_refuse(rq, "spr is not valid: https and https,http are "
					       "accepted.");
		if (!caller->secure)
			return rq_fail(rq, ERR_AUTHORIZATION_PROTOCOL_MISMATCH);
	}
	if (*sas->sip && (!caller->address || !sas_address_fits(sas->sip, caller->address))) {
		struct err_detail details[2] = { { "SourceIP", caller->address }, { NULL, NULL } };

		return err_answer(&rq->to, ERR_AUTHORIZATION_SOURCE_IP_MISMATCH,
				  caller->address ? details : NULL);
	}
	return NULL;
}

static struct svc_answer *check_account_fields(const struct rq *rq, const struct sas *sas)
{
	if (strspn(sas->ss, "bqtf") != strlen(sas->ss))
		return auth_refuse(rq, "ss is not valid: b, q, t and f are accepted.");
	if (strspn(sas->srt, "sco") != strlen(sas->srt))
		return auth_refuse(rq, "srt is not valid: s, c and o are accepted.");
	if (!strchr(sas->ss, 'b'))
		return rq_fail(rq, ERR_AUTHORIZATION_SERVICE_MISMATCH);
	return NULL;
}

static struct svc_answer *check_delegation(const struct rq *rq, const struct sas *sas)
{
	struct svc_answer *answer = check_time(rq, "Key", sas->skt, sas->ske);

	if (answer)
		return answer;
	if (strcmp(sas->sks, "b") != 0)
		return rq_fail(rq, ERR_AUTHORIZATION_SERVICE_MISMATCH);
	/* auth_check() has taken the token's */
	if (*sas->sduoid && (strcmp(sas->sduoid, rq->auth.oid) != 0 ||
			     (*sas->skdutid && strcmp(sas->skdutid, rq->auth.tid) != 0)))
		return auth_refuse(rq, "The signature is for another user than the request's "
				       "token.");
	return NULL;
}

/* What "b" and its kin are for, and nothing else of the container. */
static struct svc_answer *check_resource(const struct rq *rq, const struct sas *sas)
{
	const struct target *t = &rq->target;

	if (!t->container || (*sas->sr != 'c' && !t->blob))
		return rq_fail(rq, ERR_AUTHORIZATION_FAILURE);
	/* the time is signed with "" when it is absent, and that would be the blob itself */
	if ((!strcmp(sas->sr, "bs") && !target_param(t, "snapshot")) ||
	    (!strcmp(sas->sr, "bv") && !target_param(t, "versionid")))
		return rq_fail(rq, ERR_AUTHORIZATION_RESOURCE_TYPE_MISMATCH);
	return NULL;
}

/* False: a value that would be more than a header's. */
static bool take_overrides(struct auth *auth, const struct sas *sas)
{
	const char *const values[AUTH_OVERRIDES] = { sas->rscc, sas->rscd, sas->rsce, sas->rscl,
						     sas->rsct };

	for (unsigned int i = 0; i < AUTH_OVERRIDES; i++) {
		for (const char *c = values[i]; *c; c++)
			if ((unsigned char)*c < 0x20 || *c == 0x7f)
				return false;
		auth->override[i] = *values[i] ? values[i] : NULL;
	}
	return true;
}

struct svc_answer *auth_check_sas(struct rq *rq)
{
	const struct account *account = accounts_find(rq->accounts, rq->target.account);
	struct terms terms;
	struct svc_answer *answer = NULL;
	const char *wrong;
	struct sas sas;

	wrong = sas_read(&sas, &rq->target);
	if (wrong)
		return auth_refuse(rq, wrong);
	if (!account)
		return auth_refuse(rq, "The account is not known to this server.");
	if (sas.kind != SAS_ACCOUNT)
		answer = check_resource(rq, &sas);
	if (!answer)
		answer = check_signature(rq, account, &sas);
	if (answer)
		return answer;
	terms.start = sas.st;
	terms.expiry = sas.se;
	terms.permissions = sas.sp;
	if (sas.kind == SAS_SERVICE && sas.si)
		answer = read_policy(rq, sas.si, &terms);
	if (!answer && (!*terms.expiry || !*terms.permissions))
		answer = auth_refuse(rq, "Signature fields not well formed: sp and se are needed, "
					 "there or in the stored access policy.");
	if (!answer)
		answer = check_time(rq, "Signature", terms.start, terms.expiry);
	if (!answer && sas.kind == SAS_ACCOUNT)
		answer = check_account_fields(rq, &sas);
	if (!answer && sas.kind == SAS_USER)
		answer = check_delegation(rq, &sas);
	if (!answer)
		answer = check_where(rq, &sas);
	if (answer)
		return answer;
	rq->account = account;
	rq->auth.kind = sas.kind == SAS_ACCOUNT ? AUTH_ACCOUNT_SAS : AUTH_SERVICE_SAS;
	rq->auth.permissions = sas_bits(terms.permissions);
	rq->auth.types = sas.srt;
	rq->auth.scope = *sas.ses != 0;
	if (sas.kind != SAS_ACCOUNT && !take_overrides(&rq->auth, &sas))
		return auth_refuse(rq, "A response header is not valid: it has a control "
				       "character.");
	return NULL;
}
