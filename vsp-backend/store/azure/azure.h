/* SPDX-License-Identifier: MIT */
/*
 * Inside the store "azure": requests are relayed to a storage account (docs/relay.md).
 *
 *   config.c    --store azure,...           plan.c    what goes upstream, signed
 *   token.c     a managed identity's token  send.c    attempts, back-off, what a failure means
 *   answer.c    bodies that come back       upload.c  bodies that go
 *   upstream.c  one exchange (upstream.h)   operations.c  what may be repeated
 *   effect.c    answers kept for the link   spool.c   bytes that are out of order
 */
#ifndef AZB_AZURE_H
#define AZB_AZURE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "../rest.h"
#include "../store.h"
#include "operations.h"
#include "secret.h"
#include "upstream.h"

#define AZ_MAX_ACCOUNT 24u

/* By what right the relay asks upstream. */
enum az_credential {
	AZ_PASS, /* the caller's, as they are */
	AZ_KEY,
	AZ_SAS,
	AZ_IDENTITY,
};

/**
 * struct az_config - what --store azure,... said
 * @endpoint: as given, or Azure's.
 * @base: scheme and authority of the endpoint; @prefix: its path, "" or "/account".
 * @secondary_base, @secondary_prefix: the same of the read-only copy.
 * @key_file, @sas_file: where the secret is; NULL for none.
 * @imds: scheme and authority of the instance metadata service.
 * @client_id: of a user-assigned identity; NULL for the machine's own.
 * @sources: hosts that copies may come from, with ";" between; NULL for none.
 * @spool: folder for bytes that come out of order.
 * @hold_max: the largest body that is kept in memory so that it can be sent again.
 * @hold_total: bytes of all such bodies.
 * @retries: further attempts; @retry_ms, @retry_max_ms: the first and the longest pause.
 * @budget_ms: no further attempt later than this after the first one began.
 */
struct az_config {
	char account[AZ_MAX_ACCOUNT + 1];
	char *endpoint;
	char *base, *prefix;
	char *secondary_base, *secondary_prefix;
	enum az_credential credential;
	char *key_file, *sas_file;
	char *imds;
	char *client_id;
	char *sources;
	char *spool;
	bool trust_link;
	struct up_config up;
	size_t hold_max, hold_total;
	unsigned int retries, retry_ms, retry_max_ms, budget_ms;
};

/* False: @error has one line.  az_config_free() in both cases. */
bool az_config_parse(struct az_config *config, const char *options, char *error, size_t error_size);
void az_config_free(struct az_config *config);

struct az_token;
struct az_effects;

/**
 * struct az - the store
 * @secret: protected by @secret_lock, as it may be read again at any time.
 * @held: bytes of bodies in memory.
 * @retry_tokens: shared by all requests: each further attempt takes AZ_RETRY_COST, each success
 *	gives one back, so that a server in trouble gets only a few more requests than usual.
 */
struct az {
	struct store store;
	struct az_config config;
	struct up_pool *pool;
	struct az_token *token;
	struct az_effects *effects;
	pthread_rwlock_t secret_lock;
	struct az_secret secret;
	atomic_size_t held;
	atomic_int retry_tokens;
};

#define AZ_RETRY_COST 10
#define AZ_RETRY_TOKENS 1000

void az_error(struct rest_error *error, unsigned int status, const char *code, const char *format,
	      ...) __attribute__((format(printf, 4, 5)));

/* ------------------------------------------------------------------- token.c */

struct az_token *az_token_new(const struct az_config *config);
void az_token_free(struct az_token *token);
/*
 * A token that is good now; a refresh is begun before it ends, by one caller at a time.  False:
 * @error says why there is none.  @out is the caller's to free().
 */
bool az_token_get(struct az_token *token, char **out, char *error, size_t error_size);
/* Upstream refused @bad: the next az_token_get() gives another one. */
void az_token_refused(struct az_token *token, const char *bad);

/* -------------------------------------------------------------------- plan.c */

struct az_field {
	char *name;
	char *value;
};

/**
 * struct az_plan - one request, ready to be sent as often as it may
 * @own: signed with the relay's credentials; otherwise as the client made it.
 * @fixed: nothing may be added: the caller's signature is over headers and target.
 * @resource: the path without prefix and account, as the client encoded it.
 * @query: without what was for the relay only; "" for none.
 * @ranged: a read of blob bytes, of which pieces may be asked for.
 * @later: such a read of which the body is perhaps never wanted: one byte is asked for, for the
 *	sake of the head.
 * @has_range, @first, @last: of the client, with @later; @last UINT64_MAX: to the end.
 */
struct az_plan {
	struct az *az;
	const struct az_operation *operation;
	char method[16];
	bool own, fixed, secondary, repeats, resent, is_list, ranged, is_head;
	bool later, has_range;
	uint64_t first, last;
	size_t body_room;
	char *resource, *query;
	struct az_field *field;
	size_t field_count;
	int64_t body_length;
};

/* NULL: @error is set. */
struct az_plan *az_plan_make(struct az *az, const struct rest_request *request,
			     struct rest_error *error);
/* Get Container ACL in the relay's name; the same. */
struct az_plan *az_plan_acl(struct az *az, const char *container, struct rest_error *error);
void az_plan_free(struct az_plan *plan);

/**
 * struct az_extra - what one attempt has besides
 * @range: of x-ms-range, or NULL; @etag: of If-Match, or NULL: both replace the client's.
 * @max_results: 0 for the client's.
 */
struct az_extra {
	const char *range;
	const char *etag;
	unsigned int max_results;
};

/*
 * Signs and starts.  0 and *@call; or -errno with @error set.  @token: set to the bearer token that
 * was used, for az_token_refused(); the caller's to free().
 */
int az_plan_start(const struct az_plan *plan, const struct az_extra *extra, struct up_call **call,
		  char **token, struct rest_error *error);

/* -------------------------------------------------------------------- send.c */

/**
 * struct az_attempts - what has been tried
 * @maybe: an earlier attempt may have been done.
 */
struct az_attempts {
	unsigned int count;
	bool maybe;
	uint64_t began_ms;
};

void az_attempts_begin(struct az_attempts *attempts);

enum az_verdict {
	AZ_TAKE,  /* this is the answer */
	AZ_AGAIN, /* the pause is over: once more */
	AZ_FAIL,  /* @error is the answer */
};

/**
 * az_judge() - decide after an attempt, and wait where it is to be made again
 * @call: NULL when it could not be started (@start says why: -errno).
 * @whole: the body can be brought again, or there is none.
 * @error: for AZ_FAIL; what az_plan_start() left there.
 */
enum az_verdict az_judge(const struct az_plan *plan, struct az_attempts *attempts,
			 struct up_call *call, int start, bool whole, const char *token,
			 struct rest_error *error);

/*
 * May there be another attempt?  Then the pause is over when this returns.  @least_ms: what the
 * server asked for, or -1.
 */
bool az_attempts_pause(const struct az_plan *plan, struct az_attempts *attempts, long least_ms);

/* The request may have been done, and nobody knows. */
void az_unknown(struct rest_error *error);
/* An answer's head came, and not all of its body. */
void az_broken_off(const struct az_plan *plan, struct rest_error *error);
/* An answer came, and there is no memory for it. */
void az_no_memory(const struct az_plan *plan, struct rest_error *error);

/*
 * A whole request without a body, or with one in memory: plan->body_length bytes at @body.  NULL:
 * @error is set.  Takes @plan over.
 */
struct rest_answer *az_send(struct az_plan *plan, const void *body, struct rest_error *error);

/* ------------------------------------------------------------------ answer.c */

/*
 * Makes an answer of a call whose head is here.  Takes @call over in every case, and @plan with an
 * answer that has @read: its close() frees the plan.  NULL: the body broke off, or @error is set
 * because it is too long or memory is short.
 */
struct rest_answer *az_answer_make(struct az_plan *plan, struct up_call *call,
				   struct rest_error *error);

/*
 * The answer that the client's own request would have had, made of the head for its first byte,
 * with a body that comes when it is read.  @fits: false when @call's answer is not that of such a
 * byte; then nothing is taken over.  NULL without @error set: the byte did not come.
 */
struct rest_answer *az_answer_later(struct az_plan *plan, struct up_call *call, bool *fits,
				    struct rest_error *error);

/* ------------------------------------------------------------------ upload.c */

struct rest_upload *az_upload_begin(struct az_plan *plan, bool link, struct rest_error *error);

/* ------------------------------------------------------------------- spool.c */

/* A file without a name in config.spool; -errno. */
int az_spool_open(const struct az *az);

/* ------------------------------------------------------------------ effect.c */

struct az_effects *az_effects_new(void);
void az_effects_free(struct az_effects *effects);
void az_effects_keep(struct az_effects *effects, const uint8_t session[16], uint64_t request,
		     const void *bytes, size_t length);
enum store_error az_effects_lookup(struct az_effects *effects, const uint8_t session[16],
				   uint64_t request, void **bytes, size_t *length);
/* @request 0: all of the session. */
void az_effects_forget(struct az_effects *effects, const uint8_t session[16], uint64_t request);

#endif
