// SPDX-License-Identifier: MIT
#include "website.h"

#include <stdlib.h>
#include <string.h>

#include "op.h"
#include "settings.h"

#define WEB_CONTAINER "$web"

/* A page that a person reads, as a browser gets no use of XML. */
static struct svc_answer *plain(const struct rq *rq, unsigned int status, const char *code,
				const char *text)
{
	struct answer *a = answer_new(&rq->to, status);
	struct azb_buf body = { 0 };

	answer_add(a, "x-ms-error-code", code);
	if (status == 405)
		answer_add(a, "Allow", "GET, HEAD");
	azb_buf_printf(&body, "%u %s\n", status, text);
	if (a && body.failed)
		a->headers.failed = true;
	answer_set_body(a, &body, "text/plain; charset=utf-8");
	return answer_done(a, &rq->to);
}

static struct svc_answer *not_there(const struct rq *rq)
{
	return plain(rq, 404, "WebContentNotFound", "The requested content does not exist.");
}

/* The blob of this name, or NULL when there is none.  Nothing of @rq's own target is used. */
static struct svc_answer *read_blob(struct rq *rq, const char *name, size_t length)
{
	struct target asked = rq->target;
	struct svc_upload *none = NULL;
	struct svc_answer *answer;

	if (!target_blob_name_good(name, length))
		return NULL;
	rq->target.container = WEB_CONTAINER;
	rq->target.blob = name;
	rq->target.blob_length = length;
	rq->target.param_count = 0;
	answer = rq->to.is_head ? op_blob_properties(rq, &none) : op_get_blob(rq, &none);
	rq->target = asked;
	if (answer->status != 404)
		return answer;
	svc_answer_put(answer);
	return NULL;
}

/* The page for what is not there: whole, whatever range or condition was asked for. */
static struct svc_answer *read_error_page(struct rq *rq, const char *name)
{
	const struct head *head = rq->head;
	struct head *bare = malloc(sizeof(*bare));
	struct svc_answer *answer = NULL;

	if (!bare)
		return rq_fail(rq, ERR_SERVER_BUSY);
	*bare = *head;
	bare->field_count = 0;
	rq->head = bare;
	while (*name == '/')
		name++;
	answer = read_blob(rq, name, strlen(name));
	rq->head = head;
	free(bare);
	/* nobody else has it yet */
	if (answer && answer->status == 200)
		answer->status = 404;
	return answer;
}

/* A folder's index, or the one page of a site that has no others. */
static struct svc_answer *read_index(struct rq *rq, const struct props *props)
{
	const struct target *t = &rq->target;
	struct svc_answer *answer = NULL;
	struct azb_buf name = { 0 };

	if (props->website.index) {
		azb_buf_add(&name, t->blob, t->blob_length);
		azb_buf_puts(&name, props->website.index);
	} else if (props->website.default_index) {
		azb_buf_puts(&name, props->website.default_index +
					    strspn(props->website.default_index, "/"));
	}
	if (name.failed)
		answer = rq_fail(rq, ERR_SERVER_BUSY);
	else if (name.length)
		answer = read_blob(rq, name.data, name.length);
	azb_buf_free(&name);
	return answer;
}

static struct svc_answer *serve(struct rq *rq, const struct props *props)
{
	const struct target *t = &rq->target;
	bool folder = !t->blob_length || t->blob[t->blob_length - 1] == '/';
	struct svc_answer *answer;

	if (!props->website.enabled)
		return plain(rq, 404, "WebsiteDisabled",
			     "The account has no static website, or it is switched off.");
	answer = folder ? read_index(rq, props) : read_blob(rq, t->blob, t->blob_length);
	if (!answer && props->website.not_found)
		answer = read_error_page(rq, props->website.not_found);
	return answer ? answer : not_there(rq);
}

struct svc_answer *website_answer(struct rq *rq)
{
	const struct head_str *method = &rq->head->method;
	const struct account *account;
	struct svc_answer *answer;
	enum store_error error;
	struct props *props;

	memcpy(rq->to.version, VERSION_OLDEST, sizeof(VERSION_OLDEST));
	if (rq->svc->store->ops->rest)
		return plain(rq, 501, "NotImplemented",
			     "A store that relays has no static websites.");
	if (!head_str_is(method, "GET") && !head_str_is(method, "HEAD"))
		return plain(rq, 405, "UnsupportedHttpVerb",
			     "The resource doesn't support the specified HTTP verb.");
	if (target_parse_web(&rq->target, rq->head) != TARGET_OK)
		return plain(rq, 400, "InvalidUri", "The address is not well formed.");
	/* the host may be any name when there is only one it can mean */
	account = rq->target.account ? accounts_find(rq->accounts, rq->target.account)
				     : accounts_only(rq->accounts);
	if (account) {
		rq->target.account = account->name;
		error = settings_props(rq->svc->settings, account->name, &props);
		answer = error == STORE_OK ? serve(rq, props) : rq_fail_store(rq, error);
		if (error == STORE_OK)
			props_put(props);
	} else {
		answer = plain(rq, 404, "ResourceNotFound",
			       "The host names no account: ACCOUNT.web.ANYTHING does.");
	}
	target_free(&rq->target);
	return answer;
}
