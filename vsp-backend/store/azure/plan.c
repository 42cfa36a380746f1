// SPDX-License-Identifier: MIT
/* What goes upstream: the client's request in the form that the endpoint has, signed anew where
 * the relay asks in its own name.
 */
#include "azure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#include "../../base/sharedkey.h"
#include "../../blob/httpdate.h"
#include "../../blob/target.h"
#include "../../door/head.h"
#include "copysource.h"

#define DEFAULT_VERSION "2021-12-02"

void az_error(struct rest_error *error, unsigned int status, const char *code, const char *format,
	      ...)
{
	va_list list;

	error->status = status;
	error->code = code;
	va_start(list, format);
	vsnprintf(error->message, sizeof(error->message), format, list);
	va_end(list);
}

/* ------------------------------------------------------------------- making */

static bool is_one_of(const char *const *names, const char *name, size_t length)
{
	for (; *names; names++) {
		size_t n = strlen(*names);

		if ((*names)[n - 1] == '*' ? length >= n - 1 && !strncasecmp(name, *names, n - 1)
					   : length == n && !strncasecmp(name, *names, n))
			return true;
	}
	return false;
}

/* Of the connection to the client, or made again. */
static const char *const never_sent[] = { "Host",    "Connection",        "Keep-Alive",
					  "Expect",  "Transfer-Encoding", "Content-Length",
					  "TE",      "Trailer",           "Upgrade",
					  "Proxy-*", "Azblob-*",          NULL };
/* The caller's proof, where the relay gives its own. */
static const char *const own_instead[] = { "Authorization", "Date", "x-ms-date", NULL };

static bool keep_field(struct az_plan *plan, const struct head_field *field)
{
	struct az_field *to = &plan->field[plan->field_count];

	to->name = strndup(field->name.at, field->name.length);
	to->value = strndup(field->value.at, field->value.length);
	plan->field_count++;
	return to->name && to->value;
}

static bool keep_fields(struct az_plan *plan, const struct head *head)
{
	/* more: x-ms-proposed-lease-id, x-ms-version, If-None-Match */
	plan->field = calloc(head->field_count + 3, sizeof(*plan->field));
	if (!plan->field)
		return false;
	for (size_t i = 0; i < head->field_count; i++) {
		const struct head_str *name = &head->field[i].name;

		if (is_one_of(never_sent, name->at, name->length) ||
		    (plan->own && is_one_of(own_instead, name->at, name->length)))
			continue;
		if (!keep_field(plan, &head->field[i]))
			return false;
	}
	return true;
}

static bool add_field(struct az_plan *plan, const char *name, const char *value)
{
	struct az_field *to = &plan->field[plan->field_count++];

	to->name = strdup(name);
	to->value = strdup(value);
	return to->name && to->value;
}

static struct az_field *find_field(const struct az_plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->field_count; i++)
		if (plan->field[i].name && !strcasecmp(plan->field[i].name, name))
			return &plan->field[i];
	return NULL;
}

/* The parameters of a SAS, as blob/sas.c reads them; no operation has one that is called so. */
static const char *const sas_names[] = { "sv",    "ss",   "srt",  "sp",      "st",     "se",
					 "spr",   "sip",  "sr",   "si",      "sig",    "skoid",
					 "sktid", "skt",  "ske",  "sks",     "skv",    "saoid",
					 "suoid", "scid", "sdd",  "ses",     "rscc",   "rscd",
					 "rsce",  "rscl", "rsct", "skdutid", "sduoid", "srh",
					 "srq",   NULL };

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character that begins at *@at, decoded; *@at moves behind it. */
static char next_char(const char **at, const char *end)
{
	const char *s = *at;

	if (*s == '%' && end - s >= 3 && hex(s[1]) >= 0 && hex(s[2]) >= 0) {
		*at = s + 3;
		return (char)(hex(s[1]) * 16 + hex(s[2]));
	}
	*at = s + 1;
	return *s;
}

/* The names above are short and written in letters, but a client may write them as "s%69g". */
static bool is_of_sas(const char *at, size_t length)
{
	const char *end = at + length;
	char name[16];
	size_t n = 0;

	while (at < end) {
		if (n == sizeof(name))
			return false;
		name[n++] = next_char(&at, end);
	}
	return is_one_of(sas_names, name, n);
}

/* @query without a SAS. */
static bool copy_query(struct az_plan *plan, const struct head_str *query, bool strip)
{
	struct azb_buf out = { 0 };
	const char *at = query->at, *end = at + query->length;

	azb_buf_puts(&out, "");
	while (at < end) {
		const char *amp = memchr(at, '&', (size_t)(end - at));
		const char *stop = amp ? amp : end;
		const char *equals = memchr(at, '=', (size_t)(stop - at));
		size_t name = (size_t)((equals ? equals : stop) - at);

		if (!strip || !is_of_sas(at, name)) {
			if (out.length)
				azb_buf_puts(&out, "&");
			azb_buf_add(&out, at, (size_t)(stop - at));
		}
		at = amp ? amp + 1 : end;
	}
	if (out.failed) {
		azb_buf_free(&out);
		return false;
	}
	plan->query = out.data ? out.data : strdup("");
	return plan->query != NULL;
}

static bool make_guid(char text[37])
{
	uint8_t r[16];

	if (getrandom(r, sizeof(r), 0) != sizeof(r))
		return false;
	snprintf(text, 37, "%02x%02x%02x%02x-%02x%02x-4%x%02x-a%x%02x-%02x%02x%02x%02x%02x%02x",
		 r[0], r[1], r[2], r[3], r[4], r[5], r[6] & 15, r[7], r[8] & 15, r[9], r[10], r[11],
		 r[12], r[13], r[14], r[15]);
	return true;
}

/* Without one the service would choose an id that a lost answer would take with it. */
static bool propose_lease(struct az_plan *plan)
{
	char guid[37];

	if (!(plan->operation->conditions & AZ_IF_PROPOSED) || plan->fixed ||
	    find_field(plan, "x-ms-proposed-lease-id"))
		return true;
	plan->repeats = true;
	return make_guid(guid) && add_field(plan, "x-ms-proposed-lease-id", guid);
}

/* The caller may create and not replace: so does the request, whatever it said itself. */
static bool only_create(struct az_plan *plan)
{
	size_t kept = 0;

	/* all of them: upstream would choose among several in its own way */
	for (size_t i = 0; i < plan->field_count; i++) {
		struct az_field *field = &plan->field[i];

		if (strcasecmp(field->name, "If-None-Match") != 0) {
			plan->field[kept++] = *field;
			continue;
		}
		free(field->name);
		free(field->value);
	}
	plan->field_count = kept;
	return add_field(plan, "If-None-Match", "*");
}

static bool starts_with(const struct head_str *text, const char *prefix)
{
	size_t n = strlen(prefix);

	return text && text->length >= n && !strncasecmp(text->at, prefix, n);
}

/* Who asks upstream, and may the request be changed for that?  False: @error. */
static bool choose_identity(struct az_plan *plan, const struct rest_request *request,
			    struct rest_error *error)
{
	const struct head_str *authorization = head_get(request->head, "Authorization");
	const struct az_config *c = &plan->az->config;
	bool shared = starts_with(authorization, "SharedKey");

	plan->own = c->credential != AZ_PASS && request->checked;
	plan->fixed = !plan->own && shared;
	if (plan->fixed && request->target->path_style != (*c->prefix != 0)) {
		az_error(error, 400, "InvalidUri",
			 "This account is relayed with its callers' own signatures, and the one of "
			 "this request is over another form of URL than the account's endpoint "
			 "has: use a %s URL.",
			 *c->prefix ? "path-style" : "host-style");
		return false;
	}
	return true;
}

/* Has the path a segment "." or "..", in whatever writing? */
static bool has_dots(const struct head_str *path)
{
	const char *at = path->at, *end = at + path->length;
	size_t length = 0, dots = 0;

	while (at < end) {
		char c = next_char(&at, end);

		if (c == '/' || c == '\\') {
			if (length && length == dots && dots <= 2)
				return true;
			length = dots = 0;
			continue;
		}
		length++;
		dots += c == '.';
	}
	return length && length == dots && dots <= 2;
}

/*
 * A SAS opens a part of the account, and the path says which.  It goes up as it came, so a server
 * or proxy on the way that resolves dots would look elsewhere, with the relay's rights.
 */
static bool path_is_plain(const struct az_plan *plan, const struct rest_request *request,
			  struct rest_error *error)
{
	if (!plan->own || !target_param(request->target, "sig") ||
	    !has_dots(&request->target->path))
		return true;
	az_error(error, 400, "InvalidUri",
		 "With a shared access signature, a path through this relay can't have a segment "
		 "of one or two dots.");
	return false;
}

static bool has_body(const struct head *head)
{
	return head->content_length > 0;
}

/* A write says how long its body is, even when it has none. */
static int64_t body_length(const struct head *head)
{
	if (has_body(head))
		return head->content_length;
	return head_str_is(&head->method, "PUT") || head_str_is(&head->method, "POST") ? 0 : -1;
}

static bool fill(struct az_plan *plan, const struct rest_request *request)
{
	const struct target *target = request->target;
	const char *path = target->path.at;
	size_t length = target->path.length;

	if (target->path_style) {
		const char *slash = memchr(path + 1, '/', length - 1);

		length = slash ? length - (size_t)(slash - path) : 0;
		path = slash ? slash : "";
	}
	plan->resource = strndup(path, length);
	if (!plan->resource || !copy_query(plan, &target->query, plan->own) ||
	    !keep_fields(plan, request->head) || !propose_lease(plan))
		return false;
	if (request->create_only && !only_create(plan))
		return false;
	return !plan->own || find_field(plan, "x-ms-version") ||
	       add_field(plan, "x-ms-version", DEFAULT_VERSION);
}

/* "bytes=A-B" or "bytes=A-" of the client, or none; what else there may be is for upstream to
 * judge. */
static bool read_range(struct az_plan *plan)
{
	const struct az_field *field = find_field(plan, "x-ms-range");
	const char *said;
	char *end;

	if (!field)
		field = find_field(plan, "Range");
	said = field ? field->value : NULL;
	plan->has_range = said != NULL;
	plan->last = UINT64_MAX;
	if (!said)
		return true;
	if (strncmp(said, "bytes=", 6) != 0 || said[6] < '0' || said[6] > '9')
		return false;
	errno = 0;
	plan->first = strtoull(said + 6, &end, 10);
	if (*end != '-')
		return false;
	if (end[1]) {
		if (end[1] < '0' || end[1] > '9')
			return false;
		plan->last = strtoull(end + 1, &end, 10);
	} else {
		end++;
	}
	return !*end && !errno && plan->first <= plan->last;
}

struct az_plan *az_plan_make(struct az *az, const struct rest_request *request,
			     struct rest_error *error)
{
	const struct head *head = request->head;
	struct az_plan *plan = calloc(1, sizeof(*plan));
	bool put = head_str_is(&head->method, "PUT") || head_str_is(&head->method, "POST");

	if (!plan) {
		az_error(error, 503, "ServerBusy", "The relay is out of memory.");
		return NULL;
	}
	plan->az = az;
	snprintf(plan->method, sizeof(plan->method), "%.*s", (int)head->method.length,
		 head->method.at);
	plan->operation = az_operation_find(head, request->target);
	plan->repeats = request->create_only || az_operation_repeats(plan->operation, head);
	plan->resent = request->resent;
	plan->secondary = request->target->secondary;
	plan->is_head = head_str_is(&head->method, "HEAD");
	plan->body_room = request->body_room;
	plan->body_length = body_length(head);
	if (put && head->content_length < 0) {
		az_error(error, 411, "MissingContentLengthHeader",
			 "Content-Length HTTP header is missing");
		goto fail;
	}
	if (!choose_identity(plan, request, error) || !path_is_plain(plan, request, error))
		goto fail;
	plan->ranged = !plan->fixed && !strcmp(plan->operation->name, "Get Blob");
	plan->is_list = !plan->fixed && target_param(request->target, "comp") &&
			!strcmp(target_param(request->target, "comp"), "list");
	if (!fill(plan, request)) {
		az_error(error, 503, "ServerBusy", "The relay is out of memory.");
		goto fail;
	}
	plan->later = request->later && plan->ranged && read_range(plan);
	if (plan->own &&
	    !az_copy_source(plan, request, find_field(plan, "x-ms-copy-source"), error))
		goto fail;
	return plan;
fail:
	az_plan_free(plan);
	return NULL;
}

struct az_plan *az_plan_acl(struct az *az, const char *container, struct rest_error *error)
{
	struct az_plan *plan = calloc(1, sizeof(*plan));

	if (plan) {
		plan->az = az;
		plan->operation = az_operation_named("Get Container ACL");
		plan->own = plan->repeats = true;
		plan->body_length = -1;
		snprintf(plan->method, sizeof(plan->method), "GET");
		plan->query = strdup("restype=container&comp=acl");
		/* a container's name has no character that would be written in another way */
		if (asprintf(&plan->resource, "/%s", container) < 0)
			plan->resource = NULL;
		plan->field = calloc(1, sizeof(*plan->field));
		if (plan->field && plan->query && plan->resource &&
		    add_field(plan, "x-ms-version", DEFAULT_VERSION))
			return plan;
	}
	az_plan_free(plan);
	az_error(error, 503, "ServerBusy", "The relay is out of memory.");
	return NULL;
}

void az_plan_free(struct az_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; plan->field && i < plan->field_count; i++) {
		free(plan->field[i].name);
		free(plan->field[i].value);
	}
	free(plan->field);
	free(plan->resource);
	free(plan->query);
	free(plan);
}

/* ------------------------------------------------------------------ signing */

#define MAX_FIELDS (HEAD_MAX_HEADERS + 12u)

/**
 * struct draft - one attempt's target and headers
 * @field: points to the plan's and the extra's strings, and to @date, @authorization, @length.
 */
struct draft {
	struct azb_buf target;
	struct azb_buf authorization;
	struct az_field field[MAX_FIELDS];
	size_t count;
	char date[HTTPDATE_ROOM];
	char length[24];
};

static void put(struct draft *draft, const char *name, const char *value)
{
	if (draft->count < MAX_FIELDS)
		draft->field[draft->count++] = (struct az_field){ (char *)name, (char *)value };
}

/* Headers that an extra condition or range stands in for. */
static bool replaced(const struct az_extra *extra, const char *name)
{
	if (!extra)
		return false;
	if (extra->range && (!strcasecmp(name, "Range") || !strcasecmp(name, "x-ms-range") ||
			     !strncasecmp(name, "x-ms-range-get-", 15)))
		return true;
	/* the conditions were met when the first bytes came; now it must be the same blob */
	return extra->etag && (!strncasecmp(name, "If-", 3) || !strcasecmp(name, "x-ms-if-tags"));
}

static void put_fields(struct draft *draft, const struct az_plan *plan,
		       const struct az_extra *extra)
{
	for (size_t i = 0; i < plan->field_count; i++)
		if (!replaced(extra, plan->field[i].name))
			put(draft, plan->field[i].name, plan->field[i].value);
	if (extra && extra->range)
		put(draft, "x-ms-range", extra->range);
	if (extra && extra->etag)
		put(draft, "If-Match", extra->etag);
}

static void put_target(struct draft *draft, const struct az_plan *plan,
		       const struct az_extra *extra)
{
	const struct az_config *c = &plan->az->config;
	struct azb_buf *t = &draft->target;
	const char *separator = "?", *at = plan->query;

	azb_buf_puts(t, plan->secondary ? c->secondary_prefix : c->prefix);
	azb_buf_puts(t, *plan->resource ? plan->resource : t->length ? "" : "/");
	while (*at) {
		size_t n = strcspn(at, "&");

		if (!extra || !extra->max_results || strncasecmp(at, "maxresults=", 11) != 0) {
			azb_buf_puts(t, separator);
			azb_buf_add(t, at, n);
			separator = "&";
		}
		at += at[n] ? n + 1 : n;
	}
	if (extra && extra->max_results) {
		azb_buf_printf(t, "%smaxresults=%u", separator, extra->max_results);
		separator = "&";
	}
	if (plan->own && c->credential == AZ_SAS) {
		pthread_rwlock_rdlock(&plan->az->secret_lock);
		azb_buf_printf(t, "%s%s", separator, plan->az->secret.sas);
		pthread_rwlock_unlock(&plan->az->secret_lock);
	}
}

static bool sign_key(struct draft *draft, const struct az_plan *plan)
{
	const struct az_config *c = &plan->az->config;
	struct azb_sk_field field[MAX_FIELDS];
	const char *query = strchr(draft->target.data, '?');
	struct azb_sk_request sk = {
		.method = plan->method,
		.method_length = strlen(plan->method),
		.account = c->account,
		.path = draft->target.data,
		.path_length = query ? (size_t)(query - draft->target.data) : draft->target.length,
		.query = query ? query + 1 : NULL,
		.query_length = query ? strlen(query + 1) : 0,
		.field = field,
		.field_count = draft->count,
		.order = AZB_SK_ORDER_BYTES,
	};
	char signature[AZB_SHAREDKEY_SIGNATURE + 1];
	struct azb_buf string = { 0 };
	bool fine;

	for (size_t i = 0; i < draft->count; i++)
		field[i] =
			(struct azb_sk_field){ draft->field[i].name, strlen(draft->field[i].name),
					       draft->field[i].value,
					       strlen(draft->field[i].value) };
	fine = azb_sharedkey_string(&sk, &string) && !string.failed;
	if (fine) {
		const struct az_secret *secret = &plan->az->secret;

		pthread_rwlock_rdlock(&plan->az->secret_lock);
		fine = azb_sharedkey_sign(secret->key, secret->key_length, string.data,
					  string.length, signature);
		pthread_rwlock_unlock(&plan->az->secret_lock);
	}
	azb_buf_free(&string);
	if (fine)
		azb_buf_printf(&draft->authorization, "SharedKey %s:%s", c->account, signature);
	return fine;
}

/* 0, or -errno with @error. */
static int authorize(struct draft *draft, const struct az_plan *plan, char **token,
		     struct rest_error *error)
{
	char why[200];

	if (!plan->own)
		return 0;
	httpdate_format(draft->date, time(NULL));
	put(draft, "x-ms-date", draft->date);
	switch (plan->az->config.credential) {
	case AZ_KEY:
		/* part of what is signed; libcurl sends it by itself */
		if (plan->body_length > 0) {
			snprintf(draft->length, sizeof(draft->length), "%lld",
				 (long long)plan->body_length);
			put(draft, "Content-Length", draft->length);
		}
		if (!sign_key(draft, plan)) {
			az_error(error, 400, "InvalidUri", "The request can't be signed.");
			return -EINVAL;
		}
		break;
	case AZ_IDENTITY:
		if (!az_token_get(plan->az->token, token, why, sizeof(why))) {
			az_error(error, 503, "ServerBusy",
				 "The relay has no token for its identity: %s", why);
			return -EAGAIN;
		}
		azb_buf_printf(&draft->authorization, "Bearer %s", *token);
		break;
	case AZ_SAS:
	case AZ_PASS:
		return 0;
	}
	if (!draft->authorization.failed)
		put(draft, "Authorization", draft->authorization.data);
	return 0;
}

/* libcurl's list; a header without a value has ";" there, one that is not wanted ":" alone. */
static struct curl_slist *lines_of(const struct draft *draft)
{
	struct curl_slist *list = curl_slist_append(NULL, "Expect:"), *more;
	struct azb_buf line = { 0 };
	bool accept = false, type = false;

	for (size_t i = 0; list && i < draft->count; i++) {
		const struct az_field *f = &draft->field[i];

		accept |= !strcasecmp(f->name, "Accept");
		type |= !strcasecmp(f->name, "Content-Type");
		if (!strcasecmp(f->name, "Content-Length"))
			continue;
		azb_buf_reset(&line);
		azb_buf_printf(&line, *f->value ? "%s: %s" : "%s;", f->name, f->value);
		more = line.failed ? NULL : curl_slist_append(list, line.data);
		if (!more) {
			curl_slist_free_all(list);
			list = NULL;
		}
		list = more;
	}
	azb_buf_free(&line);
	if (list && !accept && (more = curl_slist_append(list, "Accept:")))
		list = more;
	if (list && !type && (more = curl_slist_append(list, "Content-Type:")))
		list = more;
	return list;
}

int az_plan_start(const struct az_plan *plan, const struct az_extra *extra, struct up_call **call,
		  char **token, struct rest_error *error)
{
	const struct az_config *c = &plan->az->config;
	struct draft *draft = calloc(1, sizeof(*draft));
	struct up_request request = { .method = plan->method,
				      .url = plan->secondary ? c->secondary_base : c->base,
				      .body_length = plan->body_length,
				      .wait_ms = c->up.idle_ms };
	int result = -ENOMEM;

	*call = NULL;
	*token = NULL;
	az_error(error, 503, "ServerBusy", "The relay is out of memory.");
	if (!draft)
		return -ENOMEM;
	put_fields(draft, plan, extra);
	put_target(draft, plan, extra);
	if (!draft->target.failed)
		result = authorize(draft, plan, token, error);
	if (!result) {
		request.target = draft->target.data;
		request.headers = lines_of(draft);
		result = request.headers ? up_start(plan->az->pool, &request, call) : -ENOMEM;
		if (result == -EBUSY)
			az_error(error, 503, "ServerBusy",
				 "All connections to the account are in use.");
	}
	azb_buf_free(&draft->target);
	azb_buf_free(&draft->authorization);
	free(draft);
	return result;
}
