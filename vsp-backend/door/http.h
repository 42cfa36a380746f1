/* SPDX-License-Identifier: MIT */
/*
 * The HTTP door: HTTP/1.1 on TCP, nothing of it but what a Blob service needs.
 *
 * One epoll loop for each core reads heads and sends bodies from their files (sendfile); worker
 * threads do whatever touches the store, and take bodies in.  A connection stays with
 * its loop and is owned by one thread at a time.
 */
#ifndef AZBLOB_DOOR_HTTP_H
#define AZBLOB_DOOR_HTTP_H

#include <stddef.h>

#include "../blob/service.h"
#include "http_tls.h"

struct http_door;

/**
 * struct http_door_config - zero is the default of each number
 * @loops: epoll loops; default: one for each CPU, at most 16.
 * @readers: the most threads that look blobs up; default: two for each CPU.
 * @writers: the most threads that change the store at once; default 64.
 * @max_connections: more are answered 503 and closed; default 4096.
 * @head_ms: from the first byte of a head to its last; default 30 s.
 * @idle_ms: between requests; default 120 s.
 * @progress_ms: for each 64 KiB of a body, in or out; default 60 s.
 * @stay_ms: how long a worker waits itself for what its connection does next, before it hands it
 *	back to its loop; default 0, never.  That saves two wake-ups for each request, and costs a
 *	thread for each connection that is busy: for a store where a request waits for somebody
 *else.
 * @stayers: the most workers that wait so at once; fewer than there are, or nobody takes what is
 *new.
 */
struct http_door_config {
	unsigned int loops;
	unsigned int readers;
	unsigned int writers;
	unsigned int max_connections;
	unsigned int head_ms;
	unsigned int idle_ms;
	unsigned int progress_ms;
	unsigned int stay_ms;
	unsigned int stayers;
};

/* @svc is borrowed and outlives the door.  NULL when memory is short. */
struct http_door *http_door_new(const struct http_door_config *config, struct svc *svc);

#define HTTP_LISTEN_TLS (1u << 0)     /* encrypted; there has to be a certificate then */
#define HTTP_LISTEN_WEBSITE (1u << 1) /* static websites, and nothing else */

/* Room for the text of a bound address: "[IPv6]:port", or the path of a unix socket. */
#define HTTP_ADDRESS_ROOM 120u

/*
 * Listens on "ADDR:PORT" ("[ADDR]:PORT" for IPv6, a host name is looked up; port 0 takes a free
 * one), or on a path with a slash in it, for whoever may enter its folder.  Any number of times,
 * before http_door_start().  Returns 0 with the bound address in @bound; or -errno and one line in
 * @error.
 */
int http_door_listen(struct http_door *door, const char *address, unsigned int flags,
		     char bound[HTTP_ADDRESS_ROOM], char *error, size_t error_size);

/* For connections that come from now on; it takes a reference.  Any thread. */
void http_door_set_tls(struct http_door *door, struct http_tls *tls);

/* Serves from now on.  0 or -errno. */
int http_door_start(struct http_door *door);

/*
 * The beginning of http_door_close(), with the same @grace_ms: takes nothing new any more, and does
 * not wait.  NULL is allowed.
 */
void http_door_drain(struct http_door *door, unsigned int grace_ms);

/*
 * Stops listening, lets requests that have begun end for up to @grace_ms, then cuts them off, and
 * frees the door.  Blocks.  NULL is allowed.
 */
void http_door_close(struct http_door *door, unsigned int grace_ms);

#endif /* AZBLOB_DOOR_HTTP_H */
