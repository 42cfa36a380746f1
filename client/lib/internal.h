/* SPDX-License-Identifier: MIT */
/*
 * What the files of libazblob share: errors, configuration and the connection.
 */
#ifndef AZC_INTERNAL_H
#define AZC_INTERNAL_H

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "azblob.h"
#include "base/buf.h"

/* The service version our requests ask for: the one whose lists encode odd names. */
#define AZC_SERVICE_VERSION "2021-12-02"

/* Limits of the service at that version. */
#define AZC_MAX_PUT_BLOB (UINT64_C(5000) << 20)
#define AZC_MAX_BLOCKS 50000u
/* A range that may carry a checksum of its own over HTTP. */
#define AZC_MAX_CHECKED_RANGE (4u << 20)

#define AZC_MIN_BLOCK_SIZE ((size_t)64 << 10)
#define AZC_MAX_BLOCK_SIZE ((size_t)32 << 20)
#define AZC_MAX_PARALLEL 64u

/* ---- errors ---- */

/* All return -1, so that `return azc_fail(...)` reads well.  @error may be NULL. */
int azc_fail(struct azblob_error *error, enum azblob_error_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Like azc_fail(), with ": " and the text of @sys_errno at the end. */
int azc_fail_errno(struct azblob_error *error, enum azblob_error_kind kind, int sys_errno,
		   const char *format, ...) __attribute__((format(printf, 4, 5)));
int azc_fail_memory(struct azblob_error *error);
void azc_error_clear(struct azblob_error *error);

/*
 * Copies an option struct of the caller's: shorter ones (an older header) leave the rest 0, longer
 * ones (a newer header) must be 0 beyond what is known here.  Returns 0, or -1.
 */
int azc_copy_options(void *options, size_t size, const void *given, size_t given_size);

/* ---- text ---- */

/* Percent-encodes everything but unreserved characters and those of @keep. */
void azc_escape(struct azb_buf *buf, const char *string, const char *keep);

/* ---- names and addresses ---- */

/**
 * struct azc_endpoint - an endpoint taken apart
 * @host: as the Host header has it: name or [address], with the port where one was given.
 * @path: "" or "/ACCOUNT...", without a slash at its end.
 * @base: scheme, host and path: the address without a slash at its end.
 */
struct azc_endpoint {
	bool https;
	char *host;
	char *path;
	char *base;
};

int azc_endpoint_parse(const char *url, struct azc_endpoint *endpoint, struct azblob_error *error);
void azc_endpoint_free(struct azc_endpoint *endpoint);
int azc_check_account(const char *account, struct azblob_error *error);
int azc_check_container(const char *container, struct azblob_error *error);
int azc_check_blob(const char *blob, struct azblob_error *error);
/* Decimal digits only, all @length of them; false when it does not fit. */
bool azc_parse_number(const char *text, size_t length, uint64_t *value);
/* May be NULL; no control characters, since it becomes a header's value. */
int azc_check_header(const char *value, const char *what, struct azblob_error *error);
/*
 * The same for what narrows a request: an empty one is most likely a mistake, which services take
 * for none at all, and so would do to anything what was meant for one thing.
 */
int azc_check_condition(const char *value, const char *what, struct azblob_error *error);
/* @what names the text in the message. */
int azc_check_utf8(const char *text, const char *what, struct azblob_error *error);

/* ---- configuration and connection ---- */

struct azblob_config {
	char *account;
	uint8_t *key; /* decoded; NULL: none */
	size_t key_length;
	char *sas;      /* NULL: none */
	char *endpoint; /* NULL: by the account */
	char *device;
	char *ca_file; /* NULL: the system's */
	enum azblob_transport transport;
	unsigned int timeout_ms;
	unsigned int retries;
	unsigned int parallel;
	size_t block_size;
	bool no_checksums;
};

struct azc_transport;
struct azc_pool;
struct azc_buffers;
struct azc_op;

/*
 * Immutable after azblob_open(), apart from the last three and what others lock inside.
 * @ops: the calls that are under way, under @ops_lock.
 */
struct azblob_conn {
	char *account;
	uint8_t *key;
	size_t key_length;
	char *sas; /* the credential where this is not NULL */
	struct azc_endpoint endpoint;
	unsigned int timeout_ms;
	unsigned int retries;
	unsigned int parallel;
	size_t block_size;
	bool no_checksums;
	struct azc_transport *transport;
	struct azc_pool *pool;
	struct azc_buffers *buffers;
	char note[256];
	/* The service refused to send checksums of ranges: it is not asked again. */
	atomic_bool no_range_crc;
	pthread_mutex_t ops_lock;
	struct azc_op *ops;
};

#endif /* AZC_INTERNAL_H */
