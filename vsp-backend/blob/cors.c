// SPDX-License-Identifier: MIT
#include "cors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "request.h"

/* Of one preflight request; each is compared with every item of a rule. */
#define MAX_WANTED_HEADERS 128u

/* "*", a text, or a text with one "*" for any characters. */
static bool fits(const char *pattern, size_t n, const char *text, size_t length, bool nocase)
{
	int (*compare)(const char *, const char *, size_t) = nocase ? strncasecmp : strncmp;
	const char *star = memchr(pattern, '*', n);
	size_t before, after;

	if (!star)
		return n == length && !compare(pattern, text, n);
	before = (size_t)(star - pattern);
	after = n - before - 1;
	return length >= before + after && !compare(pattern, text, before) &&
	       !compare(star + 1, text + length - after, after);
}

/* One of the items of @list fits. */
static bool listed(const char *list, const char *text, size_t length, bool nocase)
{
	while (*list) {
		size_t n = strcspn(list, ",");

		if (n && fits(list, n, text, length, nocase))
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

/* Is one of the origins "*"? */
static bool everybody(const struct props_cors *rule)
{
	const char *list = rule->origins;

	while (*list) {
		size_t n = strcspn(list, ",");

		if (n == 1 && *list == '*')
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

void cors_begin(struct cors *cors, const struct head *head, struct props *props)
{
	const struct head_str *origin = head_get(head, "Origin");
	bool reads = head_str_is(&head->method, "GET") || head_str_is(&head->method, "HEAD");

	memset(cors, 0, sizeof(*cors));
	if (!props->cors_count)
		return;
	/* a cache must not give one origin's answer to another */
	cors->vary = reads;
	for (unsigned int i = 0; origin && i < props->cors_count && !cors->rule; i++) {
		const struct props_cors *rule = &props->cors[i];

		if (listed(rule->methods, head->method.at, head->method.length, false) &&
		    listed(rule->origins, origin->at, origin->length, false))
			cors->rule = rule;
	}
	if (cors->rule && everybody(cors->rule))
		cors->vary = false;
	if (!cors->rule && !cors->vary)
		return;
	cors->props = props_get(props);
	if (cors->rule && origin)
		cors->origin = strndup(origin->at, origin->length);
}

/* The names that are asked for as they are, and for each prefix those that the answer has. */
static void expose(const struct props_cors *rule, const struct answer *a, struct azb_buf *out)
{
	const char *list = rule->exposed;

	while (*list) {
		size_t n = strcspn(list, ",");

		if (n && !memchr(list, '*', n)) {
			azb_buf_puts(out, out->length ? "," : "");
			azb_buf_add(out, list, n);
		}
		for (size_t at = 0; n && memchr(list, '*', n) && at < a->headers.length;) {
			const char *name = a->headers.data + at;
			size_t length = strlen(name);

			if (fits(list, n, name, length, true)) {
				azb_buf_puts(out, out->length ? "," : "");
				azb_buf_add(out, name, length);
			}
			at += length + 1;
			at += strlen(a->headers.data + at) + 1;
		}
		list += n + (list[n] == ',');
	}
}

struct svc_answer *cors_apply(const struct cors *cors, struct svc_answer *answer)
{
	struct azb_buf exposed = { 0 };
	bool all;

	if (!cors->props)
		return answer;
	if (cors->vary)
		answer = answer_replace(answer, "Vary", "Origin");
	if (!cors->rule || !cors->origin || answer->status >= 500)
		return answer;
	all = everybody(cors->rule);
	expose(cors->rule, (const struct answer *)answer, &exposed);
	answer = answer_replace(answer, "Access-Control-Allow-Origin", all ? "*" : cors->origin);
	if (exposed.length && !exposed.failed)
		answer = answer_replace(answer, "Access-Control-Expose-Headers", exposed.data);
	if (!all)
		answer = answer_replace(answer, "Access-Control-Allow-Credentials", "true");
	azb_buf_free(&exposed);
	return answer;
}

void cors_end(struct cors *cors)
{
	props_put(cors->props);
	free(cors->origin);
	memset(cors, 0, sizeof(*cors));
}

/* ---------------------------------------------------------------- preflight */

/* Each of the headers that the page wants to send; nobody has had to say who they are yet. */
static bool headers_listed(const char *list, const struct head_str *wanted)
{
	const char *at = wanted->at, *end = wanted->at + wanted->length;
	unsigned int count = 0;

	while (at < end) {
		if (++count > MAX_WANTED_HEADERS)
			return false;

		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma ? comma : end, *next = comma ? comma + 1 : end;

		while (at < stop && *at == ' ')
			at++;
		while (stop > at && stop[-1] == ' ')
			stop--;
		if (stop > at && !listed(list, at, (size_t)(stop - at), true))
			return false;
		at = next;
	}
	return true;
}

static void add_str(struct answer *a, const char *name, const struct head_str *value)
{
	char *text = strndup(value->at, value->length);

	if (text)
		answer_add(a, name, text);
	else if (a)
		a->headers.failed = true;
	free(text);
}

static struct svc_answer *allow(const struct rq *rq, const struct props_cors *rule,
				const struct head_str *origin, const struct head_str *method,
				const struct head_str *headers)
{
	struct answer *a = answer_new(&rq->to, 200);
	bool all = everybody(rule);

	if (all)
		answer_add(a, "Access-Control-Allow-Origin", "*");
	else
		add_str(a, "Access-Control-Allow-Origin", origin);
	add_str(a, "Access-Control-Allow-Methods", method);
	if (headers)
		add_str(a, "Access-Control-Allow-Headers", headers);
	answer_add_u64(a, "Access-Control-Max-Age", rule->max_age);
	if (!all)
		answer_add(a, "Access-Control-Allow-Credentials", "true");
	return answer_done(a, &rq->to);
}

struct svc_answer *cors_preflight(const struct rq *rq, const struct props *props)
{
	const struct head_str *origin = head_get(rq->head, "Origin");
	const struct head_str *method = head_get(rq->head, "Access-Control-Request-Method");
	const struct head_str *headers = head_get(rq->head, "Access-Control-Request-Headers");

	if (!origin)
		return rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, "Origin");
	if (!method)
		return rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER,
				      "Access-Control-Request-Method");
	for (unsigned int i = 0; props && i < props->cors_count; i++) {
		const struct props_cors *rule = &props->cors[i];

		if (listed(rule->origins, origin->at, origin->length, false) &&
		    listed(rule->methods, method->at, method->length, false) &&
		    (!headers || headers_listed(rule->headers, headers)))
			return allow(rq, rule, origin, method, headers);
	}
	return rq_fail(rq, ERR_CORS_PREFLIGHT_FAILURE);
}
