/* SPDX-License-Identifier: MIT */
/* What the calls that make one request each have in common. */
#ifndef AZC_OPS_H
#define AZC_OPS_H

#include "transport.h"

/* One request without progress or data, from start to end; frees it. */
int azc_perform_alone(azblob_conn *conn, struct azc_request *request, struct azc_answer *answer,
		      struct azblob_error *error);
/* The same, where only success matters. */
int azc_perform_simple(azblob_conn *conn, struct azc_request *request, struct azblob_error *error);
/* The same, with what became of the blob; @result may be NULL. */
int azc_perform_change(azblob_conn *conn, struct azc_request *request,
		       struct azblob_change_result *result, struct azblob_error *error);
/*
 * What was asked for was done, but the answer does not say what a caller has to know: for who would
 * do it once more that is an unknown outcome.  -1.
 */
int azc_fail_mute(struct azblob_error *error, const char *message);
/* Copies a header's value into a field of a result, cut to fit. */
void azc_take_text(char *to, size_t room, const struct azc_answer *answer, const char *name);

/* What the caller's conditions may hold, besides those on ETag, time and tags. */
enum azc_access_use {
	AZC_ACCESS_STATE = 1, /* a snapshot or a version */
	AZC_ACCESS_LEASE = 2,
};

/* Checks what the caller gave, which may be NULL, and copies it. */
int azc_access_take(const struct azblob_access *given, unsigned int use,
		    struct azblob_access *access, struct azblob_error *error);
/* Adds it to the request. */
void azc_access_apply(struct azc_request *request, const struct azblob_access *access);

/* The names and the conditions of a call at once. */
int azc_check_call(const char *container, const char *blob, const struct azblob_access *given,
		   unsigned int use, struct azblob_access *access, struct azblob_error *error);
/* A request about a blob with conditions that changes something; @comp may be NULL. */
void azc_begin_change(struct azc_request *request, const char *method, const azblob_conn *conn,
		      const char *container, const char *blob, const char *comp,
		      const struct azblob_access *access);

int azc_check_metadata(const struct azblob_pair *pair, size_t count, struct azblob_error *error);
void azc_request_metadata(struct azc_request *request, const struct azblob_pair *pair,
			  size_t count);
/* Pairs of an answer, whose strings stay the answer's; -1 when out of memory. */
int azc_answer_metadata(const struct azc_answer *answer, struct azblob_pair **pair, size_t *count);
/* Checks them as the service would, but with a clearer message. */
int azc_check_tags(const struct azblob_pair *tag, size_t count, struct azblob_error *error);
/* x-ms-tags; nothing when there are none. */
void azc_request_tags(struct azc_request *request, const struct azblob_pair *tag, size_t count);
/* Where a copy or the like comes from: its address, and conditions on it. */
int azc_check_source(const char *url, struct azblob_error *error);
void azc_source_conditions(struct azc_request *request, const struct azblob_access *source);
int azc_check_block_id(const char *id, struct azblob_error *error);
int azc_check_lease_id(const char *id, struct azblob_error *error);
int azc_check_tier(const char *tier, struct azblob_error *error);

/* ---- pages and appends, with the bytes in the request or from elsewhere ---- */

/* Checks and begins a Put Page; @write: "update" or "clear". */
int azc_page_begin(struct azc_request *request, const azblob_conn *conn, const char *container,
		   const char *blob, uint64_t offset, uint64_t length, const char *write,
		   const struct azblob_page_options *given, struct azblob_error *error);
/* Performs and frees a request that changes a page blob; @result may be NULL. */
int azc_page_finish(azblob_conn *conn, struct azc_request *request,
		    struct azblob_page_result *result, struct azblob_error *error);
/* The same for an append. */
int azc_append_finish(azblob_conn *conn, struct azc_request *request, uint64_t position,
		      uint64_t max_size, struct azblob_append_result *result,
		      struct azblob_error *error);

#endif /* AZC_OPS_H */
