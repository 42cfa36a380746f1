// SPDX-License-Identifier: MIT
/* Get User Delegation Key. */
#include "op.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../base/base64.h"
#include "auth.h"
#include "isotime.h"
#include "sas.h"
#include "upload.h"
#include "xml.h"
#include "xmltree.h"

/* Two times and an id. */
#define KEY_INFO_MAX_BYTES (16u * 1024u)
/* The reference: a key is good for 7 days. */
#define MAX_LIFE_NS (INT64_C(7) * 86400 * 1000000000)

/* Who asks: of the token that came with the head. */
struct asker {
	char oid[AUTH_MAX_ID + 1];
	char tid[AUTH_MAX_ID + 1];
};

/**
 * struct wanted - what the body asks for
 * @start, @expiry: as they are signed: whole seconds in UTC.
 * @user_tid: "" for a key that anybody's SAS may be made with.
 */
struct wanted {
	char start[ISOTIME_ROOM];
	char expiry[ISOTIME_ROOM];
	char user_tid[AUTH_MAX_ID + 1];
};

/* @wrong receives the name of the element that is not right. */
static enum err read_times(const struct xml_node *root, struct wanted *w, const char **wrong)
{
	const char *start_text = xmltree_text(root, "Start");
	const char *expiry_text = xmltree_text(root, "Expiry");
	int64_t now = isotime_now(), start = now, expiry;

	*wrong = "Expiry";
	if (!xmltree_child(root, "Expiry"))
		return ERR_MISSING_REQUIRED_XML_NODE;
	if (!isotime_parse(expiry_text, &expiry) || expiry <= now || expiry > now + MAX_LIFE_NS)
		return ERR_INVALID_XML_NODE_VALUE;
	*wrong = "Start";
	if (*start_text && (!isotime_parse(start_text, &start) || start > now + MAX_LIFE_NS))
		return ERR_INVALID_XML_NODE_VALUE;
	if (start >= expiry || expiry - start > MAX_LIFE_NS)
		return ERR_INVALID_XML_NODE_VALUE;
	isotime_format(w->start, start);
	isotime_format(w->expiry, expiry);
	return ERR_NONE;
}

static enum err read_body(const struct svc_upload *u, struct wanted *w, const char **wrong)
{
	struct xml_node *root;
	const char *tid;
	enum err err;

	memset(w, 0, sizeof(*w));
	*wrong = "KeyInfo";
	switch (xmltree_parse(u->memory, u->length, &root)) {
	case XMLTREE_OK:
		break;
	case XMLTREE_BAD:
		return ERR_INVALID_XML_DOCUMENT;
	case XMLTREE_NO_MEMORY:
		return ERR_SERVER_BUSY;
	}
	tid = xmltree_text(root, "DelegatedUserTid");
	err = strcmp(root->name, "KeyInfo") ? ERR_INVALID_XML_DOCUMENT : read_times(root, w, wrong);
	if (!err && (strlen(tid) > AUTH_MAX_ID || strpbrk(tid, "\r\n"))) {
		*wrong = "DelegatedUserTid";
		err = ERR_INVALID_XML_NODE_VALUE;
	}
	if (!err)
		memcpy(w->user_tid, tid, strlen(tid) + 1);
	xmltree_free(root);
	return err;
}

/* The account's first key makes it; it is good until that key is replaced. */
static bool make_key(const struct svc_upload *u, const struct sas *sas,
		     char text[AZB_BASE64_LENGTH(SAS_DELEGATION_KEY) + 1])
{
	struct accounts *accounts = svc_accounts(u->svc);
	const struct account *account = accounts_find(accounts, u->account);
	uint8_t key[SAS_DELEGATION_KEY];
	bool good;

	good = account && sas_delegation_key(account->key[0], account->key_length[0], sas, key);
	if (good)
		azb_base64_encode(text, key, sizeof(key));
	explicit_bzero(key, sizeof(key));
	accounts_put(accounts);
	return good;
}

static struct svc_answer *give_key(struct svc_upload *u, const struct svc_caller *caller)
{
	char value[AZB_BASE64_LENGTH(SAS_DELEGATION_KEY) + 1];
	struct err_detail details[2] = { { "XmlNodeName", NULL }, { NULL, NULL } };
	const struct asker *asker = u->state;
	struct azb_buf xml = { 0 };
	struct wanted wanted;
	struct answer *a;
	struct sas sas;
	enum err err;

	(void)caller;
	err = read_body(u, &wanted, &details[0].value);
	if (err)
		return err_answer(&u->to, err, details);
	sas = (struct sas){ .skoid = asker->oid,
			    .sktid = asker->tid,
			    .skt = wanted.start,
			    .ske = wanted.expiry,
			    .sks = "b",
			    .skv = u->to.version,
			    .skdutid = wanted.user_tid };
	if (!make_key(u, &sas, value))
		return err_answer(&u->to, ERR_SERVER_BUSY, NULL);
	xml_start(&xml);
	xml_open(&xml, "UserDelegationKey");
	xml_element_z(&xml, "SignedOid", sas.skoid);
	xml_element_z(&xml, "SignedTid", sas.sktid);
	xml_element_z(&xml, "SignedStart", sas.skt);
	xml_element_z(&xml, "SignedExpiry", sas.ske);
	xml_element_z(&xml, "SignedService", sas.sks);
	xml_element_z(&xml, "SignedVersion", sas.skv);
	if (*sas.skdutid)
		xml_element_z(&xml, "SignedDelegatedUserTid", sas.skdutid);
	xml_element_z(&xml, "Value", value);
	xml_close(&xml, "UserDelegationKey");
	explicit_bzero(value, sizeof(value));
	a = answer_new(&u->to, 200);
	if (a && xml.failed)
		a->headers.failed = true;
	answer_set_body(a, &xml, "application/xml");
	return answer_done(a, &u->to);
}

struct svc_answer *op_delegation_key(struct rq *rq, struct svc_upload **upload)
{
	struct svc_answer *answer;
	struct asker *asker;

	if (rq->auth.kind != AUTH_TOKEN)
		return auth_refuse(rq, "Only authentication scheme Bearer is supported");
	/* a key names who it is for */
	if (!*rq->auth.tid)
		return auth_refuse(rq, "The token has no tid.");
	answer = conditions_refuse(rq);
	if (answer)
		return answer;
	asker = calloc(1, sizeof(*asker));
	if (!asker)
		return rq_fail(rq, ERR_SERVER_BUSY);
	memcpy(asker->oid, rq->auth.oid, sizeof(asker->oid));
	memcpy(asker->tid, rq->auth.tid, sizeof(asker->tid));
	*upload = upload_memory(rq, KEY_INFO_MAX_BYTES, give_key, &answer);
	if (*upload)
		(*upload)->state = asker;
	else
		free(asker);
	return answer;
}
