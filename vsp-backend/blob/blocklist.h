/* SPDX-License-Identifier: MIT */
/* The body of Put Block List. */
#ifndef AZBLOB_BLOB_BLOCKLIST_H
#define AZBLOB_BLOB_BLOCKLIST_H

#include <stddef.h>

#include "../store/store.h"

/* 50,000 entries with the longest id and the longest tag, and room for blanks between. */
#define BLOCKLIST_MAX_BYTES (8u * 1024u * 1024u)

enum blocklist_status {
	BLOCKLIST_OK,
	BLOCKLIST_BAD_XML,  /* no XML, another document, a DTD, too deep */
	BLOCKLIST_BAD_ID,   /* an id that is not base64 of 1 to 64 bytes */
	BLOCKLIST_TOO_LONG, /* more than STORE_MAX_BLOCKS entries */
	BLOCKLIST_NO_MEMORY,
};

/* *@blocks is the caller's to free(); NULL with *@count 0 for an empty list. */
enum blocklist_status blocklist_parse(const void *xml, size_t length,
				      struct store_block_ref **blocks, size_t *count);

/* A block id as text: base64 of 1 to 64 bytes. */
bool blocklist_id(const char *text, size_t length, struct store_block_id *id);

#endif /* AZBLOB_BLOB_BLOCKLIST_H */
