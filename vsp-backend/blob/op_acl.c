// SPDX-License-Identifier: MIT
/* Get and Set Container ACL: public access and stored access policies. */
#include "op.h"

#include <string.h>

#include "upload.h"
#include "xml.h"
#include "xmltree.h"

/* Five policies of a few hundred bytes each: far more than any client sends. */
#define ACL_MAX_BYTES (64u * 1024u)
/* The reference: an id has at most 64 characters. */
#define ACL_MAX_ID 64u
/* What a service SAS of a container or blob may permit. */
#define ACL_PERMISSIONS "racwdxyltmeopif"

/* --------------------------------------------------------------------- times */

/* @pattern: 9 stands for a digit, anything else for itself. */
static bool fits(const char *text, const char *pattern)
{
	for (; *pattern; text++, pattern++)
		if (*pattern == '9' ? *text < '0' || *text > '9' : *text != *pattern)
			return false;
	return !*text;
}

/* The forms of ISO 8601 that the reference names. */
static bool time_good(const char *text)
{
	static const char whole[] = "9999-99-99T99:99:99.9999999";
	char pattern[sizeof(whole) + 1];

	if (fits(text, "9999-99-99") || fits(text, "9999-99-99T99:99Z") ||
	    fits(text, "9999-99-99T99:99:99Z"))
		return true;
	for (size_t digits = 1; digits <= 7; digits++) {
		memcpy(pattern, whole, 20 + digits);
		memcpy(pattern + 20 + digits, "Z", 2);
		if (fits(text, pattern))
			return true;
	}
	return false;
}

/* ------------------------------------------------------------------ policies */

static size_t characters(const char *utf8)
{
	size_t n = 0;

	for (; *utf8; utf8++)
		n += ((unsigned char)*utf8 & 0xc0) != 0x80;
	return n;
}

static bool id_known(const struct azb_buf *acl, const char *id)
{
	struct store_acl all = { acl->data, acl->length };
	struct store_policy policy;
	size_t at = 0;

	while (store_acl_next(&all, &at, &policy))
		if (!strcmp(policy.id, id))
			return true;
	return false;
}

static void add_string(struct azb_buf *acl, const char *text)
{
	azb_buf_add(acl, text, strlen(text) + 1);
}

/* Adds one SignedIdentifier; @wrong receives the element that is not right. */
static enum err add_policy(struct azb_buf *acl, const struct xml_node *node, const char **wrong)
{
	const struct xml_node *policy = xmltree_child(node, "AccessPolicy");
	const char *id = xmltree_text(node, "Id");
	const char *start = xmltree_text(policy, "Start");
	const char *expiry = xmltree_text(policy, "Expiry");
	const char *permissions = xmltree_text(policy, "Permission");

	*wrong = "SignedIdentifier";
	if (strcmp(node->name, "SignedIdentifier") != 0)
		return ERR_INVALID_XML_DOCUMENT;
	*wrong = "Id";
	if (!xmltree_child(node, "Id"))
		return ERR_MISSING_REQUIRED_XML_NODE;
	if (!*id || characters(id) > ACL_MAX_ID || id_known(acl, id))
		return ERR_INVALID_XML_NODE_VALUE;
	*wrong = "Start";
	if (*start && !time_good(start))
		return ERR_INVALID_XML_NODE_VALUE;
	*wrong = "Expiry";
	if (*expiry && !time_good(expiry))
		return ERR_INVALID_XML_NODE_VALUE;
	*wrong = "Permission";
	if (permissions[strspn(permissions, ACL_PERMISSIONS)])
		return ERR_INVALID_XML_NODE_VALUE;
	add_string(acl, id);
	add_string(acl, start);
	add_string(acl, expiry);
	add_string(acl, permissions);
	return acl->failed ? ERR_SERVER_BUSY : ERR_NONE;
}

enum err acl_parse(const void *xml, size_t length, struct azb_buf *acl, const char **wrong)
{
	struct xml_node *root;
	enum err err = ERR_NONE;
	unsigned int count = 0;

	*wrong = "SignedIdentifiers";
	/* no body at all means no policies */
	if (!length)
		return ERR_NONE;
	switch (xmltree_parse(xml, length, &root)) {
	case XMLTREE_NO_MEMORY:
		return ERR_SERVER_BUSY;
	case XMLTREE_BAD:
		return ERR_INVALID_XML_DOCUMENT;
	case XMLTREE_OK:
		break;
	}
	if (strcmp(root->name, "SignedIdentifiers") != 0)
		err = ERR_INVALID_XML_DOCUMENT;
	for (const struct xml_node *node = root->first; node && !err; node = node->next) {
		if (count++ == STORE_MAX_POLICIES) {
			*wrong = "SignedIdentifiers: at most 5";
			err = ERR_INVALID_XML_DOCUMENT;
		} else {
			err = add_policy(acl, node, wrong);
		}
	}
	xmltree_free(root);
	return err;
}

/* ---------------------------------------------------------------- operations */

static struct svc_answer *set_acl(struct svc_upload *u, const struct svc_caller *caller)
{
	struct store_change change = { .kind = STORE_CONTAINER_UPDATE,
				       .ref = upload_ref(u),
				       .conditions = &u->conditions.store,
				       .set = STORE_SET_ACL,
				       .public_access = u->public_access };
	unsigned int status = 200;
	struct err_detail details[2] = { { "XmlNodeName", NULL }, { NULL, NULL } };
	struct azb_buf acl = { 0 };
	struct svc_answer *answer;
	enum store_error error;
	enum err err;

	err = acl_parse(u->memory, u->length, &acl, &details[0].value);
	if (err) {
		azb_buf_free(&acl);
		return err_answer(&u->to, err, details);
	}
	change.acl = (struct store_acl){ acl.data, acl.length };
	answer = change_run(u->svc, &u->to, caller, &change, change_answer_state, &status, &error);
	azb_buf_free(&acl);
	return answer ? answer : upload_fail_store(u, error);
}

struct svc_answer *op_container_set_acl(struct rq *rq, struct svc_upload **upload)
{
	struct conditions conditions;
	enum store_public access;
	struct svc_answer *answer;

	answer = conditions_of_container(rq, &conditions, true);
	if (!answer)
		answer = public_access_parse(rq, &access);
	if (answer)
		return answer;
	*upload = upload_memory(rq, ACL_MAX_BYTES, set_acl, &answer);
	if (*upload)
		(*upload)->public_access = access;
	return answer;
}

static void add_policies(struct azb_buf *xml, const struct store_acl *acl)
{
	struct store_policy policy;
	size_t at = 0;

	while (store_acl_next(acl, &at, &policy)) {
		azb_buf_puts(xml, "<SignedIdentifier>");
		xml_element_z(xml, "Id", policy.id);
		azb_buf_puts(xml, "<AccessPolicy>");
		if (*policy.start)
			xml_element_z(xml, "Start", policy.start);
		if (*policy.expiry)
			xml_element_z(xml, "Expiry", policy.expiry);
		if (*policy.permissions)
			xml_element_z(xml, "Permission", policy.permissions);
		azb_buf_puts(xml, "</AccessPolicy></SignedIdentifier>");
	}
}

struct svc_answer *op_container_get_acl(struct rq *rq, struct svc_upload **upload)
{
	struct store_container_info info;
	struct azb_buf xml = { 0 };
	struct svc_answer *answer;
	struct answer *a;

	(void)upload;
	answer = container_look(rq, &info);
	if (answer)
		return answer;
	xml_start(&xml);
	xml_open(&xml, "SignedIdentifiers");
	add_policies(&xml, &info.acl);
	xml_close(&xml, "SignedIdentifiers");
	a = answer_new(&rq->to, 200);
	answer_add_etag(a, info.etag);
	answer_add_time(a, "Last-Modified", info.modified_ns);
	if (info.public_access != STORE_PUBLIC_NONE)
		answer_add(a, "x-ms-blob-public-access", public_access_name(info.public_access));
	store_container_info_clear(&info);
	answer_set_body(a, &xml, "application/xml");
	return answer_done(a, &rq->to);
}
