// SPDX-License-Identifier: MIT
#include "list.h"

#include <stdlib.h>
#include <string.h>

#include "xml.h"

size_t list_room(const struct rq *rq)
{
	size_t room = rq->caller->body_room ? rq->caller->body_room : LIST_MAX_BYTES;

	if (room > LIST_MAX_BYTES)
		room = LIST_MAX_BYTES;
	return room > LIST_TAIL_BYTES ? room - LIST_TAIL_BYTES : 1;
}

struct svc_answer *list_max(const struct rq *rq, size_t *out, bool *given)
{
	const char *max = target_param(&rq->target, "maxresults");
	unsigned long value;
	char *end;

	*out = LIST_MAX_RESULTS;
	if (given)
		*given = max;
	if (!max)
		return NULL;
	value = strtoul(max, &end, 10);
	if (*end || *max < '0' || *max > '9')
		return rq_fail_param(rq, ERR_INVALID_QUERY_PARAMETER_VALUE, "maxresults");
	if (!value)
		return rq_fail_param(rq, ERR_OUT_OF_RANGE_QUERY_PARAMETER_VALUE, "maxresults");
	if (value < LIST_MAX_RESULTS)
		*out = value;
	return NULL;
}

void list_open(const struct rq *rq, struct azb_buf *xml)
{
	const struct head_str *host = head_get(rq->head, "Host");
	struct azb_buf endpoint = { 0 };

	azb_buf_puts(&endpoint, rq->caller->secure ? "https://" : "http://");
	if (host && target_is_utf8(host->at, host->length))
		azb_buf_add(&endpoint, host->at, host->length);
	azb_buf_puts(&endpoint, "/");
	if (rq->target.path_style)
		azb_buf_printf(&endpoint, "%s%s", rq->target.account,
			       rq->target.secondary ? "-secondary" : "");
	xml_start(xml);
	azb_buf_puts(xml, "<EnumerationResults");
	if (endpoint.failed)
		xml->failed = true;
	else
		xml_attribute(xml, "ServiceEndpoint", endpoint.data, endpoint.length);
	azb_buf_free(&endpoint);
}

void list_add_name(struct azb_buf *xml, const char *element, const char *name)
{
	static const char plain[] = "-._~/";
	size_t n = strlen(name);

	if (xml_can_hold(name, n)) {
		xml_element(xml, element, name, n);
		return;
	}
	azb_buf_printf(xml, "<%s Encoded=\"true\">", element);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)name[i];

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    strchr(plain, c))
			azb_buf_add(xml, name + i, 1);
		else
			azb_buf_printf(xml, "%%%02X", c);
	}
	xml_close(xml, element);
}
