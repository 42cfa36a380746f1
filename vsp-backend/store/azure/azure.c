// SPDX-License-Identifier: MIT
/* The store "azure": a storage account elsewhere, by whole requests (rest.h). */
#include "azure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../base/log.h"
#include "../../blob/target.h"
#include "../stores.h"

static struct az *az_of(struct store *store)
{
	return (struct az *)store;
}

static bool azure_vouches(struct store *store)
{
	return az_of(store)->config.credential != AZ_PASS;
}

static enum rest_auth azure_auth(struct store *store, const struct rest_request *request)
{
	const struct az_config *c = &az_of(store)->config;

	if (strcmp(request->target->account, c->account) != 0)
		return REST_AUTH_NO_ACCOUNT;
	if (request->link && c->trust_link)
		return REST_AUTH_TRUST;
	/* a user delegation key is the account's own secret: only it can check what is signed so */
	if (c->credential == AZ_PASS || target_param(request->target, "skoid"))
		return REST_AUTH_NONE;
	return REST_AUTH_CHECK;
}

static struct rest_answer *azure_request(struct store *store, const struct rest_request *request,
					 struct rest_upload **upload, struct rest_error *error)
{
	struct az_plan *plan = az_plan_make(az_of(store), request, error);

	if (!plan)
		return NULL;
	if (plan->resent && !plan->repeats) {
		az_unknown(error);
		az_plan_free(plan);
		return NULL;
	}
	if (plan->body_length > 0) {
		*upload = az_upload_begin(plan, request->link, error);
		return NULL;
	}
	return az_send(plan, NULL, error);
}

static bool azure_acl(struct store *store, const char *container, struct azb_buf *xml,
		      struct rest_error *error)
{
	struct az_plan *plan = az_plan_acl(az_of(store), container, error);
	struct rest_answer *answer = plan ? az_send(plan, NULL, error) : NULL;
	bool fine = answer && answer->status == 200 && !answer->read;

	if (answer && !fine)
		az_error(error, 403, "AuthenticationFailed",
			 "The container's stored access policies can't be read: the storage "
			 "account answered %u.",
			 answer->status);
	if (fine) {
		*xml = answer->body;
		answer->body = (struct azb_buf){ 0 };
	}
	if (answer)
		answer->close(answer);
	return fine;
}

static bool azure_reload(struct store *store, char *error, size_t error_size)
{
	struct az *az = az_of(store);
	struct az_secret fresh, old = { .key_length = 0 };
	bool fine =
		az_secret_read(&fresh, az->config.key_file, az->config.sas_file, error, error_size);

	if (fine) {
		pthread_rwlock_wrlock(&az->secret_lock);
		old = az->secret;
		az->secret = fresh;
		pthread_rwlock_unlock(&az->secret_lock);
	} else {
		az_secret_free(&fresh);
	}
	az_secret_free(&old);
	return fine;
}

static void azure_keep(struct store *store, const uint8_t session[16], uint64_t request,
		       const void *bytes, size_t length)
{
	az_effects_keep(az_of(store)->effects, session, request, bytes, length);
}

static enum store_error azure_effect_lookup(struct store *store, const uint8_t session[16],
					    uint64_t request, void **bytes, size_t *length)
{
	return az_effects_lookup(az_of(store)->effects, session, request, bytes, length);
}

static void azure_effect_forget(struct store *store, const uint8_t session[16], uint64_t request)
{
	az_effects_forget(az_of(store)->effects, session, request);
}

static void azure_effect_forget_session(struct store *store, const uint8_t session[16])
{
	az_effects_forget(az_of(store)->effects, session, 0);
}

static void azure_close(struct store *store)
{
	struct az *az = az_of(store);

	az_token_free(az->token);
	up_pool_free(az->pool);
	az_effects_free(az->effects);
	az_config_free(&az->config);
	az_secret_free(&az->secret);
	pthread_rwlock_destroy(&az->secret_lock);
	free(az);
}

static const struct rest_ops rest_ops = {
	.vouches = azure_vouches,
	.auth = azure_auth,
	.request = azure_request,
	.acl = azure_acl,
	.reload = azure_reload,
	.keep = azure_keep,
};

static const struct store_ops azure_ops = {
	.name = "azure",
	.rest = &rest_ops,
	.close = azure_close,
	.effect_lookup = azure_effect_lookup,
	.effect_forget = azure_effect_forget,
	.effect_forget_session = azure_effect_forget_session,
};

static void say_what(const struct az_config *c)
{
	static const char *const names[] = {
		[AZ_PASS] = "its callers' own credentials",
		[AZ_KEY] = "the account's key",
		[AZ_SAS] = "a shared access signature",
		[AZ_IDENTITY] = "a managed identity",
	};

	azb_log(AZB_LOG_INFO, "azure: relaying %s to %s%s with %s", c->account, c->base, c->prefix,
		names[c->credential]);
	if (c->trust_link)
		azb_log(AZB_LOG_WARNING,
			"azure: trust-link=on: every virtual machine on the link may do what the "
			"relay may, without credentials");
	if (c->up.plain)
		azb_log(AZB_LOG_WARNING, "azure: unsafe-plain-http=on: requests and credentials "
					 "travel unprotected");
}

struct store *store_azure_open(const char *options, char *error, size_t error_size)
{
	struct az *az = calloc(1, sizeof(*az));

	if (!az) {
		snprintf(error, error_size, "azure: out of memory");
		return NULL;
	}
	az->store.ops = &azure_ops;
	atomic_init(&az->held, 0);
	atomic_init(&az->retry_tokens, AZ_RETRY_TOKENS);
	pthread_rwlock_init(&az->secret_lock, NULL);
	if (!az_config_parse(&az->config, options, error, error_size) ||
	    !az_secret_read(&az->secret, az->config.key_file, az->config.sas_file, error,
			    error_size)) {
		azure_close(&az->store);
		return NULL;
	}
	/* before any thread */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
		az->pool = up_pool_new(&az->config.up);
		az->effects = az_effects_new();
		if (az->config.credential == AZ_IDENTITY)
			az->token = az_token_new(&az->config);
	}
	if (!az->pool || !az->effects || (az->config.credential == AZ_IDENTITY && !az->token)) {
		snprintf(error, error_size, "azure: libcurl can't be set up, or out of memory");
		azure_close(&az->store);
		return NULL;
	}
	say_what(&az->config);
	return &az->store;
}
