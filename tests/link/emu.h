/* SPDX-License-Identifier: MIT */
/*
 * A fake emulator: plays QEMU's side of the link, with memfd memory in the place of a
 * guest.  For tests and benchmarks of the backend.  It says what it is told to say,
 * also what vsp_link.h forbids.
 *
 * One thread at a time for each struct emu.
 */
#ifndef AZBLOB_TESTS_LINK_EMU_H
#define AZBLOB_TESTS_LINK_EMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "azblob/vsp_link.h"
#include "azblob/vsp_wire.h"

/* Generous: a deadline for what must happen, never a time that is waited out. */
#define EMU_DEADLINE_MS 60000

/* Guest memory. */
struct emu_memory {
	int fd;
	uint8_t *base;
	size_t size;
};

/* @seals: F_SEAL_*, usually F_SEAL_SHRINK.  Aborts when the machine has no memory. */
struct emu_memory emu_memory_new(size_t size, unsigned int seals);
void emu_memory_free(struct emu_memory *memory);

struct emu_message {
	struct emu_message *next;
	int fd; /* that came with it, or -1 */
	union {
		struct azl_header header;
		struct azl_welcome welcome;
		struct azl_refuse refuse;
		struct azl_region_status region_status;
		struct azl_complete complete;
	};
	/* the rest of the message follows the union's member */
};

struct emu {
	int fd;
	int pidfd; /* from WELCOME */
	uint8_t session[16];
	uint64_t next_id;
	uint64_t features; /* granted */
	uint32_t max_inflight;
	bool no_ack;      /* keep the ACKs back */
	bool closed;      /* the backend has closed the link */
	bool goodbye;     /* and said so before */
	uint32_t refused; /* errno of REFUSE */
	char refusal[257];
	struct emu_message *first, **last; /* read and not asked for yet */
};

/* A random session. */
void emu_init(struct emu *emu);
/* Opens the socket; no message is sent.  0 or a negative errno. */
int emu_open(struct emu *emu, const char *path);
/* HELLO and WELCOME.  0; -ECONNREFUSED after REFUSE; -ECONNRESET when it was just closed. */
int emu_hello(struct emu *emu, uint64_t features);
/* Both. */
int emu_connect(struct emu *emu, const char *path, uint64_t features);
/* Closes the socket, as a crash would. */
void emu_drop(struct emu *emu);
/* GOODBYE, and waits for the backend's; false when it did not come. */
bool emu_goodbye(struct emu *emu);

/* Sends bytes as they are, with descriptors. */
void emu_send(struct emu *emu, const void *bytes, size_t length, const int *fds,
	      unsigned int count);
/* The next message; NULL at the end of the stream or the deadline (see emu->closed). */
struct emu_message *emu_receive(struct emu *emu, int deadline_ms);
/* The next message of a type (and id, unless 0), whatever else came before it. */
struct emu_message *emu_receive_type(struct emu *emu, uint16_t type, uint64_t id, int deadline_ms);
/* Waits until the backend has read all that was sent, or closed. */
void emu_await_read(struct emu *emu);
/* Waits until the backend closes; false at the deadline. */
bool emu_wait_closed(struct emu *emu);

/* REGION_ADD; returns the error in REGION_STATUS, or -1 when the link ended. */
int emu_region(struct emu *emu, uint32_t id, const struct emu_memory *memory, uint64_t offset,
	       uint64_t size, uint16_t flags);

/* A range of a region, in pieces of @piece bytes (0: one piece). */
struct emu_span {
	uint32_t region;
	uint64_t offset;
	uint64_t length;
	uint64_t piece;
};

/**
 * struct emu_request - what a driver would have sent
 * @flags: AZL_REQUEST_*.  With AZL_REQUEST_INLINE only the lengths of the spans count,
 *	and @body has the data_valid bytes.
 * @id: 0: the next one is chosen.
 */
struct emu_request {
	const char *head;
	size_t head_length; /* 0: strlen(head) */
	uint32_t operation; /* 0: VSP_WIRE_OP_USER_REQUEST */
	uint32_t timeout_ms;
	uint16_t flags;
	uint64_t id;
	struct emu_span response;
	struct emu_span data;
	uint32_t data_valid;
	const void *body;
};

/* Sends it; returns its id. */
uint64_t emu_submit(struct emu *emu, const struct emu_request *request);
void emu_cancel(struct emu *emu, uint64_t id, uint16_t flags);
/* The COMPLETE of a request, ACKed unless no_ack; NULL when the link ended.  free() it. */
struct emu_message *emu_complete(struct emu *emu, uint64_t id);
/* Inline bytes of a COMPLETE. */
const char *emu_inline_response(const struct emu_message *message);
const uint8_t *emu_inline_data(const struct emu_message *message);

/* ------------------------------------------------------------ answers' heads */

/* The status of a head, or 0. */
unsigned int emu_status(const char *head, size_t length);
/* A header's value (any case) into @value; false when it is absent or too long. */
bool emu_header(const char *head, size_t length, const char *name, char *value, size_t room);

#endif /* AZBLOB_TESTS_LINK_EMU_H */
