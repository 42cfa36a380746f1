/* SPDX-License-Identifier: MIT */
/* An operation that brings a body, from svc_start() to svc_finish().  Inside the service only. */
#ifndef AZBLOB_BLOB_UPLOAD_H
#define AZBLOB_BLOB_UPLOAD_H

#include <pthread.h>

#include "request.h"
#include "xsm.h"

/* Where a part of a body in memory is. */
struct upload_part {
	uint64_t offset;
	uint64_t length;
};

/* Parts of a body in memory; more have no use for so small a body. */
#define UPLOAD_MAX_PARTS 4096u

/*
 * What an operation does with a body that is in memory and whole; it answers.  The body is
 * upload->memory, upload->length bytes.
 */
typedef struct svc_answer *upload_end(struct svc_upload *upload, const struct svc_caller *caller);

/**
 * struct svc_upload - what svc_start() read from the head, and where the bytes go
 * @kind: PUT_BLOB, PUT_BLOCK or PUT_BLOCK_LIST.
 * @store: data of a blob or block; NULL for a block list, whose body is in @memory.
 * @place, @offset: of Append Block and Put Page.
 * @length: of the body; @size: of the data in it, which is the same unless it is framed.
 * @framed: the body is a structured message.  By HTTP it comes in a row and is taken apart by
 *	@xsm as it comes; by the link its parts go to @raw as they are, until the end.
 * @end: of an operation whose body is in memory, other than Put Block List.
 * @lock: protects @part and @part_count (of @memory).
 * @rest: a body that is relayed (relay.c); everything below is unused then.
 * @want_md5: the answer says Content-MD5.
 * @create_only: a blob that is there must not be replaced.
 * @cors: for the answer.
 * @state: an operation's own, freed with free().
 * @sums: what the request says about the body.
 * The strings are the upload's own: the head is gone when the body comes.
 */
struct svc_upload {
	struct svc *svc;
	struct answer_to to;
	enum store_change_kind kind;
	upload_end *end;
	uint64_t length;
	uint64_t size;
	bool link;
	struct rest_upload *rest;
	bool want_md5;
	bool want_crc64;
	bool create_only;
	struct cors cors;
	void *state;
	char *account;
	char *container;
	char *blob;
	struct conditions conditions;
	struct headers headers;
	struct azb_buf meta;
	struct azb_buf tags;
	enum store_tier tier;
	struct store_protection protect;
	struct tagexpr *if_tags;
	struct checksums sums;
	struct store_block_id block;
	struct store_place place;
	uint64_t offset;
	enum store_public public_access;
	bool framed;
	struct xsm xsm;
	struct store_upload *raw;
	struct store_upload *store;
	uint8_t *memory;
	pthread_mutex_t lock;
	struct upload_part *part;
	size_t part_count;
};

/*
 * Begins an operation whose body of at most @max bytes is kept in memory until @end is called.
 * Conditions, account, container and blob are read and kept too; other headers are @rq's.
 * NULL and *@answer when the request is refused.
 */
struct svc_upload *upload_memory(struct rq *rq, uint64_t max, upload_end *end,
				 struct svc_answer **answer);
/* As rq_fail_store(), later. */
struct svc_answer *upload_fail_store(const struct svc_upload *upload, enum store_error error);
/* The resource that the request named. */
struct store_ref upload_ref(const struct svc_upload *upload);

#endif /* AZBLOB_BLOB_UPLOAD_H */
