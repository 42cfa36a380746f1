/* SPDX-License-Identifier: MIT */
/* What Put Blob and Put Block List have in common. */
#ifndef AZC_PUT_H
#define AZC_PUT_H

#include "transport.h"

/* Checks the caller's options, @given may be NULL, and copies them; @access is part of the copy. */
int azc_put_options(const struct azblob_put_options *given, struct azblob_put_options *options,
		    struct azblob_access *access, struct azblob_error *error);
/* The headers of the request that makes the blob. */
void azc_put_headers(struct azc_request *request, const struct azblob_put_options *options);
/*
 * The bytes that this request carries, and their checksum under the transport's name for it, unless
 * the connection has none.
 */
void azc_put_carry(struct azc_request *request, const azblob_conn *conn, const void *data,
		   size_t length, uint64_t crc);
/* The checksum for that; 0 where the connection has none. */
uint64_t azc_put_sum(const azblob_conn *conn, const void *data, size_t length);
/*
 * The same for a document: not every operation takes a checksum of it by HTTP, where TCP and the
 * document's own form have to do.
 */
void azc_put_document(struct azc_request *request, const azblob_conn *conn, const void *data,
		      size_t length);
/* Performs and frees the request; fills @result (may be NULL) on success. */
int azc_put_finish(struct azc_op *op, struct azc_request *request, uint64_t size,
		   struct azblob_put_result *result, struct azblob_error *error);
/* Put Block, checked and built; on failure there is nothing to free. */
int azc_put_block_request(struct azc_request *request, const azblob_conn *conn,
			  const char *container, const char *blob, const char *id, const void *data,
			  size_t size, struct azblob_error *error);
/* Put Block List; @body is the whole document, azc_put_begin_list() its start. */
int azc_put_block_list(struct azc_op *op, const char *container, const char *blob,
		       const struct azblob_put_options *options, const struct azb_buf *body,
		       uint64_t size, struct azblob_put_result *result, struct azblob_error *error);
void azc_put_begin_list(struct azb_buf *body);

#endif /* AZC_PUT_H */
