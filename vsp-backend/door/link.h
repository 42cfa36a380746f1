/* SPDX-License-Identifier: MIT */
/*
 * The VSP link door: a Unix socket on which emulators bring their guests' requests
 * (include/azblob/vsp_link.h), as heads and bodies in the payload of docs/payload.md.
 *
 * One thread serves all links and never blocks; requests run on worker threads.
 */
#ifndef AZBLOB_DOOR_LINK_H
#define AZBLOB_DOOR_LINK_H

#include <stdint.h>

#include "../blob/handle.h"
#include "../blob/service.h"

struct link_door;

/**
 * struct link_door_config - zero is the default of each number
 * @path: of the socket; made here, a stale one is replaced.
 * @address: of the guests, as struct svc_caller has it; may be NULL.
 * @threads: the most worker threads.
 * @max_inflight: requests on one link, told to the emulator; at most AZL_MAX_INFLIGHT.
 * @budget: bytes of requests and unread answers that one link may hold in memory
 *	before its socket is read no further.
 * @handles: for large bodies.
 */
struct link_door_config {
	const char *path;
	const char *address;
	unsigned int threads;
	unsigned int max_inflight;
	uint64_t budget;
	struct handles_config handles;
};

/**
 * link_door_open() - listen and serve
 * @svc: borrowed; outlives the door.
 *
 * Return: 0 with *@door set; or a negative errno, and one line was logged.
 */
int link_door_open(const struct link_door_config *config, struct svc *svc, struct link_door **door);

/*
 * The beginning of link_door_close(), with the same @grace_ms: takes nothing new any more, and does
 * not wait.  NULL is allowed.
 */
void link_door_drain(struct link_door *door, unsigned int grace_ms);

/**
 * link_door_close() - end all links and free the door
 * @grace_ms: how long requests that run may go on to their end.  After that they are stopped
 *	between two steps; one that waits for the disk is waited for.
 *
 * Nothing new is taken.  Each link ends with GOODBYE after its last input and output.
 * Blocks; not for an event loop's thread.  NULL is allowed.
 */
void link_door_close(struct link_door *door, unsigned int grace_ms);

#endif /* AZBLOB_DOOR_LINK_H */
