/* SPDX-License-Identifier: MIT */
/*
 * Messages of the link on a Unix stream socket: a reader that hands out whole
 * messages with the file descriptor that came with them, and a writer with a queue
 * for a peer that does not read.  Nothing here blocks: the socket is non-blocking.
 */
#ifndef AZBLOB_DOOR_LINK_STREAM_H
#define AZBLOB_DOOR_LINK_STREAM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "azblob/vsp_link.h"

/* Descriptors of one read that are kept until their message is whole. */
#define LINK_IN_FDS 4u
/* Every small message of a burst in one read; larger messages get memory of their own. */
#define LINK_IN_BUFFER (64u * 1024u)

/**
 * struct link_in - the reader; used by the event loop's thread only
 *
 * A file descriptor belongs to a message that begins in the read that brought it,
 * since the kernel ends a read after the bytes that carry descriptors.
 */
struct link_in {
	int fd;
	uint8_t *buffer;
	size_t start, end; /* what is read and not handed out */
	uint8_t *large;    /* a message that is longer than the buffer */
	size_t large_have, large_length;
	uint8_t *done;     /* such a message, handed out, until the next call */
	uint64_t position; /* of @start in the stream */
	struct {
		int fd;
		uint64_t from, to; /* positions of the read that brought it */
	} fds[LINK_IN_FDS];
	unsigned int fd_count;
};

/**
 * struct link_message - one whole message
 * @header: aligned to 8.  Points into memory of the reader, valid until the next call.
 * @fd: a descriptor that came with it, or -1; the caller closes it.
 * @owned: the memory at @header may be taken over with link_in_take().
 */
struct link_message {
	const struct azl_header *header;
	int fd;
	bool owned;
};

int link_in_init(struct link_in *in, int fd);
void link_in_free(struct link_in *in);

/**
 * link_in_fill() - read once from the socket
 * Return: bytes read; 0 at the end of the stream; -EAGAIN; -EPROTO when more descriptors
 * came than any message has; another negative errno.
 */
int link_in_fill(struct link_in *in);

enum link_in_state {
	LINK_IN_MORE,
	LINK_IN_MESSAGE,
	LINK_IN_BAD,
	LINK_IN_NOMEM
};

/**
 * link_in_next() - the next whole message of what was read
 * @welcomed: for link_check_header().
 * @message: set with LINK_IN_MESSAGE.
 * @why: set with LINK_IN_BAD: one line for a person.
 */
enum link_in_state link_in_next(struct link_in *in, bool welcomed, struct link_message *message,
				const char **why);

/* A copy of the message in malloc()ed memory; the message itself where it has its own. */
struct azl_header *link_in_take(struct link_in *in, const struct link_message *message);

/* A piece of what is to be sent; in malloc()ed memory, freed when sent or dropped. */
struct link_out_block {
	struct link_out_block *next;
	size_t length;
	size_t sent;
	size_t held; /* of the reader's budget, given back when the block is sent or dropped */
	uint8_t bytes[];
};

struct link_out_block *link_out_block_new(size_t length);

/**
 * struct link_out - the writer; any thread, locked by @lock
 * @queued: bytes that the socket did not take yet.
 * @failed: a negative errno once the peer is gone; all is dropped from then on.
 * @released: sum of the held of blocks that are gone, until link_out_released().
 * @sending: somebody sends, without the lock, and goes on until all is sent or the socket is full.
 */
struct link_out {
	pthread_mutex_t lock;
	int fd;
	struct link_out_block *first, **last;
	size_t queued;
	size_t released;
	int failed;
	bool sending;
};

int link_out_init(struct link_out *out, int fd);
void link_out_free(struct link_out *out);

/**
 * link_out_send() - send a chain of blocks after what is queued
 * @attach: a file descriptor for the first byte, or -1; only when nothing is queued.
 * Takes the blocks over.  Return: true when something stays queued: wait for EPOLLOUT.
 */
bool link_out_send(struct link_out *out, struct link_out_block *blocks, int attach);
/* The socket has room again.  Returns as link_out_send(). */
bool link_out_flush(struct link_out *out);
size_t link_out_queued(struct link_out *out);
/* Does something wait for room in the socket?  Not while somebody sends, who will tell. */
bool link_out_stuck(struct link_out *out);
/* Budget given back since the last call. */
size_t link_out_released(struct link_out *out);

#endif /* AZBLOB_DOOR_LINK_STREAM_H */
