// SPDX-License-Identifier: MIT
/* Get and Set Blob Service Properties, Get Blob Service Stats, Get Account Information. */
#include "op.h"

#include <time.h>

#include "httpdate.h"
#include "settings.h"
#include "upload.h"
#include "xml.h"

struct svc_answer *op_service_properties(struct rq *rq, struct svc_upload **upload)
{
	struct azb_buf xml = { 0 };
	struct svc_answer *answer;
	enum store_error error;
	struct props *props;
	struct answer *a;

	(void)upload;
	answer = conditions_refuse(rq);
	if (answer)
		return answer;
	error = settings_props(rq->svc->settings, rq->target.account, &props);
	if (error != STORE_OK)
		return rq_fail_store(rq, error);
	props_write(props, &xml);
	props_put(props);
	a = answer_new(&rq->to, 200);
	if (a && xml.failed)
		a->headers.failed = true;
	answer_set_body(a, &xml, "application/xml");
	return answer_done(a, &rq->to);
}

static enum err err_of_props(enum props_status status)
{
	switch (status) {
	case PROPS_OK:
		return ERR_NONE;
	case PROPS_BAD_XML:
		return ERR_INVALID_XML_DOCUMENT;
	case PROPS_BAD_VALUE:
		return ERR_INVALID_XML_NODE_VALUE;
	case PROPS_MISSING:
		return ERR_MISSING_REQUIRED_XML_NODE;
	case PROPS_NO_MEMORY:
		break;
	}
	return ERR_SERVER_BUSY;
}

static struct svc_answer *accepted(const struct answer_to *to, const struct store_result *result,
				   void *context)
{
	(void)result;
	(void)context;
	return answer_done(answer_new(to, 202), to);
}

/* What the body leaves out stays as it is. */
static struct svc_answer *merge(struct svc_upload *u, struct azb_buf *xml)
{
	struct err_detail details[2] = { { "XmlNodeName", NULL }, { NULL, NULL } };
	enum store_error error;
	enum props_status status;
	struct props *old, *now;

	error = settings_props(u->svc->settings, u->account, &old);
	if (error != STORE_OK)
		return upload_fail_store(u, error);
	now = props_copy(old);
	props_put(old);
	if (!now)
		return err_answer(&u->to, ERR_SERVER_BUSY, NULL);
	status = props_read(now, u->memory, u->length, &details[0].value);
	if (status == PROPS_OK)
		props_write(now, xml);
	props_put(now);
	if (status != PROPS_OK)
		return err_answer(&u->to, err_of_props(status), details);
	return xml->failed ? err_answer(&u->to, ERR_SERVER_BUSY, NULL) : NULL;
}

static struct svc_answer *set_properties(struct svc_upload *u, const struct svc_caller *caller)
{
	struct store_change change = { .kind = STORE_ACCOUNT_UPDATE, .ref = upload_ref(u) };
	struct azb_buf xml = { 0 };
	struct svc_answer *answer;
	enum store_error error;

	/* two requests that each set another element must not undo each other */
	settings_begin(u->svc->settings);
	answer = merge(u, &xml);
	if (!answer) {
		change.settings = (struct store_settings){ xml.data, xml.length };
		answer = change_run(u->svc, &u->to, caller, &change, accepted, NULL, &error);
		/* also after a failure: nobody knows better than the store */
		settings_forget(u->svc->settings, u->account);
		if (!answer)
			answer = upload_fail_store(u, error);
	}
	settings_end(u->svc->settings);
	azb_buf_free(&xml);
	return answer;
}

struct svc_answer *op_service_set_properties(struct rq *rq, struct svc_upload **upload)
{
	struct svc_answer *answer = conditions_refuse(rq);

	if (!answer)
		*upload = upload_memory(rq, PROPS_MAX_BYTES, set_properties, &answer);
	return answer;
}

struct svc_answer *op_service_stats(struct rq *rq, struct svc_upload **upload)
{
	struct azb_buf xml = { 0 };
	char now[HTTPDATE_ROOM];
	struct svc_answer *answer;
	struct answer *a;

	(void)upload;
	answer = conditions_refuse(rq);
	if (answer)
		return answer;
	/* the reference: only the secondary has it */
	if (!rq->target.secondary)
		return rq_fail_param(rq, ERR_INVALID_QUERY_PARAMETER_VALUE, "comp");
	/* it is the same store, so nothing is ever behind */
	httpdate_format(now, time(NULL));
	xml_start(&xml);
	azb_buf_puts(&xml, "<StorageServiceStats><GeoReplication><Status>live</Status>");
	xml_element_z(&xml, "LastSyncTime", now);
	azb_buf_puts(&xml, "</GeoReplication></StorageServiceStats>");
	a = answer_new(&rq->to, 200);
	if (a && xml.failed)
		a->headers.failed = true;
	answer_set_body(a, &xml, "application/xml");
	return answer_done(a, &rq->to);
}

struct svc_answer *op_account_info(struct rq *rq, struct svc_upload **upload)
{
	struct svc_answer *answer = conditions_refuse(rq);
	struct answer *a;

	(void)upload;
	if (answer)
		return answer;
	a = answer_new(&rq->to, 200);
	answer_add(a, "x-ms-sku-name", "Standard_RAGRS");
	answer_add(a, "x-ms-account-kind", "StorageV2");
	answer_add(a, "x-ms-is-hns-enabled", "false");
	return answer_done(a, &rq->to);
}
