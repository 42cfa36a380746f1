/* SPDX-License-Identifier: MIT */
/* One request while svc_start() runs, and what is read from its headers. */
#ifndef AZBLOB_BLOB_REQUEST_H
#define AZBLOB_BLOB_REQUEST_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../store/store.h"
#include "accounts.h"
#include "answer.h"
#include "cors.h"
#include "credentials.h"
#include "error.h"
#include "fetch.h"
#include "service.h"
#include "target.h"
#include "../store/tagexpr.h"

/**
 * struct svc - the service
 * @lock: protects @accounts and @tokens, which are replaced when keys are read again.
 */
struct svc {
	struct store *store;
	pthread_mutex_t lock;
	struct accounts *accounts;
	int64_t retain_containers_ns;
	struct settings *settings;
	struct tokens *tokens;
	struct fetch_rules sources; /* other hosts that copies may come from */
};

/* The tokens that are accepted, tokens_put() gives them back; or NULL. */
struct tokens *svc_tokens(struct svc *svc);

/* The accounts of this moment; accounts_put() gives them back. */
struct accounts *svc_accounts(struct svc *svc);

/* Two dates in an x-ms-version compare as texts do. */
#define VERSION_OLDEST "2018-11-09"
#define VERSION_CRC64 "2019-02-02"     /* x-ms-content-crc64 in answers */
#define VERSION_LARGE "2019-12-12"     /* Put Blob 5,000 MiB, Put Block 4,000 MiB */
#define VERSION_APPEND "2022-11-02"    /* Append Block 100 MiB */
#define VERSION_CHALLENGE "2019-12-12" /* 401 for who should say who they are */

/**
 * struct rq - a request
 * @accounts: those of this moment, and what @account points into.
 * @account: whose resource it is; set once its credentials have been checked.
 * @auth: what they open.
 * @props: of the account, for requests that need them; else NULL.
 * @cors: what is to be said to a page of another origin.
 * @snapshot, @version: of the parameters, see struct store_ref.
 * @has_lease, @lease: x-ms-lease-id.
 * @sub: it is part of a batch, which has said the version.
 * @if_tags: x-ms-if-tags; svc_start() frees it unless an upload has taken it over.
 */
struct rq {
	struct svc *svc;
	const struct head *head;
	const struct svc_caller *caller;
	struct answer_to to;
	struct target target;
	struct accounts *accounts;
	const struct account *account;
	struct auth auth;
	struct props *props;
	struct cors cors;
	int64_t snapshot;
	int64_t version;
	bool sub;
	bool has_lease;
	uint8_t lease[16];
	struct tagexpr *if_tags;
};

/**
 * struct sub - what the requests of a batch have in common
 * @container: NULL for any.
 */
struct sub {
	const char *version;
	const char *account;
	const char *container;
};

/*
 * service.c: does one request of a batch, with credentials of its own.  @head has a Host, and
 * nothing but that is taken from it for granted.
 */
struct svc_answer *service_sub(struct svc *svc, const struct head *head,
			       const struct svc_caller *caller, const struct sub *sub);

/* The resource as the store wants it. */
struct store_ref rq_ref(const struct rq *rq);
/* A zero-terminated header value in @out, or NULL when absent or longer than @room allows. */
const char *rq_header(const struct rq *rq, const char *name, char *out, size_t room);
/* At least 10 characters: a date that is served. */
bool version_good(const char *version);
/* The request's version is at least @version. */
bool rq_since(const struct rq *rq, const char *version);

/* Answers with an error; the others name what it is about. */
struct svc_answer *rq_fail(const struct rq *rq, enum err err);
struct svc_answer *rq_fail_store(const struct rq *rq, enum store_error error);
struct svc_answer *rq_fail_header(const struct rq *rq, enum err err, const char *name);
struct svc_answer *rq_fail_param(const struct rq *rq, enum err err, const char *name);
/* NotImplemented, with the name of the header, parameter or operation. */
struct svc_answer *rq_unsupported(const struct rq *rq, const char *what);

/* -------------------------------------------------------------- conditions */

#define CONDITIONS_MAX_ETAGS 16u

/**
 * struct conditions - the conditional headers
 * @store: as the store wants them; points into this struct: don't copy it.
 * @any: there is at least one.
 */
struct conditions {
	struct store_conditions store;
	bool any;
	uint64_t match[CONDITIONS_MAX_ETAGS];
	uint64_t none_match[CONDITIONS_MAX_ETAGS];
	uint8_t lease[16];
};

/*
 * Reads them, x-ms-lease-id and x-ms-if-tags too.  NULL, or the answer that refuses them.  The
 * expression in x-ms-if-tags stays @rq's.
 */
struct svc_answer *conditions_parse(const struct rq *rq, struct conditions *conditions);
/* The same for operations on containers: they have only the two dates, or the first of them. */
struct svc_answer *conditions_of_container(const struct rq *rq, struct conditions *conditions,
					   bool unmodified_too);
/* For operations that have none: NULL, or the answer that refuses them. */
struct svc_answer *conditions_refuse(const struct rq *rq);
/* x-ms-lease-id alone. */
void conditions_lease(const struct rq *rq, struct conditions *conditions);
/* The lease id of a read that has no other conditions.  NULL, or the answer that refuses it. */
struct svc_answer *rq_check_lease(const struct rq *rq, const struct store_lease *lease);

/* ------------------------------------------------------- headers and metadata */

/**
 * struct headers - content headers of a blob
 * @store: points into @text.
 */
struct headers {
	struct store_headers store;
	char *text[5];
};

/*
 * x-ms-blob-content-*, x-ms-blob-cache-control; with @plain also Content-Type and so on where the
 * former is absent (Put Blob).  NULL, or the answer that refuses them.  headers_free() ends it.
 */
struct svc_answer *headers_parse(const struct rq *rq, bool plain, struct headers *headers);
void headers_free(struct headers *headers);

/* Azure: names and values of one resource. */
#define METADATA_MAX_BYTES 8192u

/* x-ms-meta-*.  NULL, or the answer that refuses them.  @out is the caller's to free. */
struct svc_answer *metadata_parse(const struct rq *rq, struct azb_buf *out);

/* x-ms-blob-public-access.  NULL, or the answer that refuses it. */
struct svc_answer *public_access_parse(const struct rq *rq, enum store_public *access);
/* As the header says it; NULL for none. */
const char *public_access_name(enum store_public access);

/* ---------------------------------------------------------------- checksums */

/**
 * struct checksums - what the request says about its body
 * @md5: from Content-MD5.  @crc64: from x-ms-content-crc64.
 */
struct checksums {
	bool has_md5;
	bool has_crc64;
	uint8_t md5[16];
	uint64_t crc64;
};

struct svc_answer *checksums_parse(const struct rq *rq, struct checksums *sums);
/* 16 bytes in base64. */
bool checksums_md5(const struct head_str *text, uint8_t md5[16]);

/* ------------------------------------------------------------------- ranges */

/**
 * struct range - what part of a blob is wanted
 * @given: there is a usable Range or x-ms-range; the latter wins.
 * @last: UINT64_MAX for "to the end".
 */
struct range {
	bool given;
	uint64_t first;
	uint64_t last;
};

/* One range "bytes=A-B" or "bytes=A-".  False: it is no such thing. */
bool range_parse(const char *text, size_t length, struct range *range);
/* Reads the headers.  NULL, or the answer that refuses them. */
struct svc_answer *range_of(const struct rq *rq, struct range *range);

/* ------------------------------------------------------------------ changes */

/*
 * Makes the answer of a change that succeeded.  Called while the store commits: no store
 * verbs, no blocking.
 */
typedef struct svc_answer *change_answer(const struct answer_to *to,
					 const struct store_result *result, void *context);

/*
 * Does @change, recording the answer with it when @caller has a session.  Gives the answer of
 * @make, or NULL and *@error.
 */
struct svc_answer *change_run(struct svc *svc, const struct answer_to *to,
			      const struct svc_caller *caller, struct store_change *change,
			      change_answer *make, void *context, enum store_error *error);

/* Fills @change->keep with what the account keeps, as change_run() does. */
enum store_error account_keep(struct svc *svc, struct store_change *change);

/* An answer with ETag and Last-Modified; *@context is its status (unsigned int). */
struct svc_answer *change_answer_state(const struct answer_to *to,
				       const struct store_result *result, void *context);

#endif /* AZBLOB_BLOB_REQUEST_H */
