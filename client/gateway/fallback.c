// SPDX-License-Identifier: MIT
#include "fallback.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "blob/accounts.h"
#include "blob/service.h"
#include "blob/target.h"
#include "store/azure/azure.h"
#include "store/stores.h"

/**
 * struct way - one account
 * @pass: the relay that leaves credentials as they are.
 * @own: the one that signs with the account's key; NULL without key-file.
 */
struct way {
	struct az *pass;
	struct az *own;
};

struct gw_fallback {
	unsigned int count;
	struct way way[];
};

bool gw_repeats(const struct head *head, const struct target *target)
{
	return az_operation_repeats(az_operation_find(head, target), head);
}

/* ------------------------------------------------------------------ opening */

/* What would have the gateway ask in its own name, or is not about asking at all. */
static const char *const not_here[] = { "sas-file", "identity",   "client-id",
					"imds",     "trust-link", "copy-from" };

static bool is_option(const char *pair, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(pair, name, n) && pair[n] == '=';
}

/* @spec without its key-file.  False: one line in @error. */
static bool split_spec(const char *spec, struct azb_buf *pass, bool *has_key, char *error,
		       size_t error_size)
{
	char *copy = strdup(spec), *at = copy, *pair;
	bool good = copy;

	*has_key = false;
	if (!copy)
		snprintf(error, error_size, "out of memory");
	while (good && (pair = strsep(&at, ","))) {
		for (size_t i = 0; i < sizeof(not_here) / sizeof(*not_here); i++) {
			if (is_option(pair, not_here[i])) {
				snprintf(error, error_size,
					 "'%.60s': the fallback asks in its callers' names; "
					 "account, endpoint, key-file, ca, proxy and what is about "
					 "time and connections is accepted",
					 pair);
				good = false;
			}
		}
		if (is_option(pair, "key-file")) {
			*has_key = true;
			continue;
		}
		if (pass->length)
			azb_buf_puts(pass, ",");
		azb_buf_puts(pass, pair);
	}
	azb_buf_puts(pass, "");
	if (good && pass->failed) {
		snprintf(error, error_size, "out of memory");
		good = false;
	}
	free(copy);
	return good;
}

static struct az *open_one(const char *spec, char *error, size_t error_size)
{
	return (struct az *)store_azure_open(spec, error, error_size);
}

static void close_one(struct az *az)
{
	if (az)
		store_close(&az->store);
}

static struct way *find(struct gw_fallback *fallback, const char *account)
{
	for (unsigned int i = 0; fallback && i < fallback->count; i++)
		if (!strcmp(fallback->way[i].pass->config.account, account))
			return &fallback->way[i];
	return NULL;
}

static bool add(struct gw_fallback *fallback, const char *spec, char *error, size_t error_size)
{
	struct way way = { .pass = NULL };
	struct azb_buf pass = { 0 };
	bool has_key, good;

	/* as --store has it, too */
	if (!strncmp(spec, "azure,", 6))
		spec += 6;
	good = split_spec(spec, &pass, &has_key, error, error_size);
	if (good) {
		way.pass = open_one(pass.data, error, error_size);
		if (way.pass && has_key)
			way.own = open_one(spec, error, error_size);
		good = way.pass && (way.own || !has_key);
	}
	azb_buf_free(&pass);
	if (good && find(fallback, way.pass->config.account)) {
		snprintf(error, error_size, "there are two for the account %s",
			 way.pass->config.account);
		good = false;
	}
	if (good) {
		fallback->way[fallback->count++] = way;
		return true;
	}
	close_one(way.own);
	close_one(way.pass);
	return false;
}

struct gw_fallback *gw_fallback_open(const char *const *specs, unsigned int count, char *error,
				     size_t error_size)
{
	struct gw_fallback *fallback =
		calloc(1, sizeof(*fallback) + count * sizeof(fallback->way[0]));

	if (!fallback) {
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	for (unsigned int i = 0; i < count; i++) {
		if (add(fallback, specs[i], error, error_size))
			continue;
		gw_fallback_free(fallback);
		return NULL;
	}
	return fallback;
}

void gw_fallback_free(struct gw_fallback *fallback)
{
	for (unsigned int i = 0; fallback && i < fallback->count; i++) {
		close_one(fallback->way[i].own);
		close_one(fallback->way[i].pass);
	}
	free(fallback);
}

bool gw_fallback_reload(struct gw_fallback *fallback, char *error, size_t error_size)
{
	for (unsigned int i = 0; fallback && i < fallback->count; i++) {
		struct az *own = fallback->way[i].own;

		if (own && !own->store.ops->rest->reload(&own->store, error, error_size))
			return false;
	}
	return true;
}

bool gw_fallback_accounts(struct gw_fallback *fallback, struct accounts *accounts, char *error,
			  size_t error_size)
{
	bool good = true;

	for (unsigned int i = 0; fallback && i < fallback->count && good; i++) {
		struct az *own = fallback->way[i].own;
		char text[AZ_MAX_ACCOUNT + 2 + AZB_BASE64_LENGTH(ACCOUNTS_MAX_KEY)];
		size_t n;

		if (!own)
			continue;
		n = (size_t)snprintf(text, sizeof(text), "%s:", own->config.account);
		pthread_rwlock_rdlock(&own->secret_lock);
		good = own->secret.key_length <= ACCOUNTS_MAX_KEY;
		if (good)
			azb_base64_encode(text + n, own->secret.key, own->secret.key_length);
		pthread_rwlock_unlock(&own->secret_lock);
		if (good)
			good = accounts_add(accounts, text, error, error_size);
		else
			snprintf(error, error_size, "the key of %s is too long",
				 own->config.account);
		explicit_bzero(text, sizeof(text));
	}
	return good;
}

/* ----------------------------------------------------------------- requests */

/* A signature of SharedKey is over the form of the URL, and the endpoint may have the other one. */
static bool must_sign(const struct way *way, const struct head *head, const struct target *target)
{
	const struct head_str *by = head_get(head, "Authorization");

	return by && by->length >= 9 && !strncasecmp(by->at, "SharedKey", 9) &&
	       target->path_style != (*way->pass->config.prefix != 0);
}

enum rest_auth gw_fallback_auth(struct gw *gw, const struct rest_request *request)
{
	struct way *way = find(gw->fallback, request->target->account);

	return way && way->own && must_sign(way, request->head, request->target) ? REST_AUTH_CHECK
										 : REST_AUTH_NONE;
}

static void refuse_signature(const struct way *way, struct rest_error *error)
{
	gw_error(
		error, 403, "FallbackNeedsKey",
		"The device is not there, and this SharedKey signature is over another form of URL "
		"than %s has. A SAS or a token would do, or a %s URL, or the account's key: "
		"--fallback account=%s,key-file=FILE.",
		way->pass->config.endpoint, *way->pass->config.prefix ? "path-style" : "host-style",
		way->pass->config.account);
}

struct rest_answer *gw_fallback_request(struct gw *gw, const struct rest_request *request,
					bool unknown, struct rest_upload **upload,
					struct rest_error *error)
{
	struct way *way = find(gw->fallback, request->target->account);
	struct rest_request again = *request;
	struct az *az;

	if (!way)
		return NULL;
	az = way->pass;
	if (must_sign(way, request->head, request->target)) {
		/* the device went after the check was decided upon: the next try finds it so */
		if (way->own && !request->checked) {
			if (!unknown)
				gw_error(error, 503, "ServerBusy",
					 "The device could not take the request, and nothing has "
					 "happened: try again.");
			return NULL;
		}
		if (!way->own) {
			if (!unknown)
				refuse_signature(way, error);
			return NULL;
		}
		az = way->own;
	} else {
		again.checked = false;
	}
	again.resent = unknown;
	atomic_fetch_add(&gw->by_fallback, 1);
	return az->store.ops->rest->request(&az->store, &again, upload, error);
}

/* The whole body at once. */
static struct rest_answer *bring(struct rest_upload *upload, const void *body, size_t length,
				 struct rest_error *error)
{
	struct iovec iov = { (void *)(uintptr_t)body, length };
	struct rest_answer *answer = NULL;
	bool incomplete = false;
	int failed = upload->ops->write(upload, 0, &iov, 1, SVC_WRITE_PRIVATE, NULL, NULL);

	if (!failed)
		answer = upload->ops->finish(upload, error, &incomplete);
	else if (failed == -EIO)
		answer = upload->ops->fail(upload, error);
	else
		gw_error(error, 503, "ServerBusy", "The body could not be sent on.");
	if (incomplete)
		gw_error(error, 500, "InternalError", "The body was not complete.");
	if (failed || incomplete)
		upload->ops->abort(upload);
	return answer;
}

struct rest_answer *gw_fallback_body(struct gw *gw, const struct azb_buf *text, bool unknown,
				     const void *body, size_t length, bool *tried,
				     struct rest_error *error)
{
	struct head_parser *parser = gw->fallback ? head_parser_new() : NULL;
	struct rest_upload *upload = NULL;
	struct rest_answer *answer = NULL;
	struct target target;
	const struct head *head;
	struct way *way;
	size_t taken;

	*tried = false;
	if (!parser)
		return NULL;
	if (head_parser_feed(parser, text->data, text->length, &taken) == HEAD_DONE) {
		head = head_parser_head(parser);
		if (target_parse(&target, head) == TARGET_OK) {
			way = find(gw->fallback, target.account);
			/* what is to be signed anew was not checked: at the next try it is */
			*tried = way && !must_sign(way, head, &target);
			if (*tried) {
				struct rest_request request = { .head = head, .target = &target };

				answer = gw_fallback_request(gw, &request, unknown, &upload, error);
				if (upload)
					answer = bring(upload, body, length, error);
			}
			target_free(&target);
		}
	}
	head_parser_free(parser);
	return answer;
}
