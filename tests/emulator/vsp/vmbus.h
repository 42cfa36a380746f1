/* SPDX-License-Identifier: MIT */
/*
 * VMBus as the smallest guest needs it: one channel, polled.  vmbus.c has the
 * bus's messages, ring.c the rings and the packets of azure-blob-vsp.
 */
#ifndef VSP_GUEST_VMBUS_H
#define VSP_GUEST_VMBUS_H

#include "guest.h"

#define VERSION(major, minor) ((major) << 16 | (minor))

enum {
	MSG_OFFER = 1,
	MSG_RESCIND = 2,
	MSG_REQUEST_OFFERS = 3,
	MSG_ALL_OFFERS = 4,
	MSG_OPEN = 5,
	MSG_OPEN_RESULT = 6,
	MSG_CLOSE = 7,
	MSG_GPADL_HEADER = 8,
	MSG_GPADL_BODY = 9,
	MSG_GPADL_CREATED = 10,
	MSG_GPADL_TEARDOWN = 11,
	MSG_GPADL_TORNDOWN = 12,
	MSG_RELID_RELEASED = 13,
	MSG_INITIATE_CONTACT = 14,
	MSG_VERSION_RESPONSE = 15,
	MSG_UNLOAD = 16,
	MSG_UNLOAD_RESPONSE = 17,
	MSG_MODIFY_CHANNEL = 22,
	MSG_MODIFY_RESPONSE = 24,
};

/* The last message taken, and what the bus told about our device */
extern uint32_t message[60];
extern uint32_t relid, connection, version, message_connection;

/* Posts @words 32-bit words and insists on success. */
void post_words(const uint32_t *words, int count);
/* Waits for a message and takes it; it has to be of this type. */
void expect(uint32_t type);
/* Whether a message is there to be taken */
bool message_waits(void);

/* SynIC, hypercalls, INITIATE_CONTACT; returns whether @version is supported. */
bool connect_bus(uint32_t wanted);
/* REQUESTOFFERS; leaves relid and connection of azure-blob-vsp, or fails. */
void take_offers(void);
/* Takes an OFFER that has come by itself. */
void take_offer(void);

/* A GPADL of consecutive pages from @first; waits for CREATED. */
void create_gpadl(uint32_t id, uint32_t first, int pages);
/* The same without waiting, page numbers from an array */
void send_gpadl(uint32_t id, const uint64_t *pfns, int pages);
void teardown_gpadl(uint32_t id);
/* Status of OPENCHANNEL_RESULT */
uint32_t open_channel(uint32_t gpadl, uint32_t offset);
void close_channel(void);

/* Both rings have a header page and RING_PAGES of data. */
#define RING_PAGES 8
#define RING_BYTES (RING_PAGES * 4096u)
#define RING_GPADL 0x1e1

struct ring {
	volatile uint32_t write, read, mask, pending;
	uint32_t reserved[12];
	volatile uint32_t features;
	uint8_t unused[4096 - 68];
	uint8_t data[RING_BYTES];
};
extern struct ring to_host, from_host;

/* Contact with 5.3, offers, GPADL, open */
void set_up_channel(void);
/* GPADL and open only */
void open_rings(void);

/* struct vsp_wire_request, and what stands around it */
struct packet {
	uint32_t version, timeout;
	uint32_t data_offset, data_length, data_valid, operation;
	uint32_t request_offset, request_length, response_offset, response_length;
	uint8_t guid[16];
	/* of the packet */
	uint16_t type, flags;
	uint16_t length; /* bytes of the structure that are sent */
	uint32_t ranges, range_offset, range_bytes;
	int pages;
	uint64_t pfn[40];
};

#define TYPE_INBAND 6
#define TYPE_GPA_DIRECT 9
#define TYPE_COMPLETION 11
#define WANT_COMPLETION 1

/* Request, response and, with bytes, data: one page each, two of data */
extern uint8_t head_page[4096], response_page[4096], data_pages[2 * 4096];
#define HEAD_LENGTH 100

/* A packet that is right: no data, or data that comes or goes */
struct packet good_packet(void);
struct packet reading_packet(uint32_t bytes);
struct packet writing_packet(uint32_t bytes);

/* Puts it into the ring as it is, and signals. */
void send_packet(const struct packet *packet, uint64_t transaction);
/* The same with another payload, of packet->length bytes */
void send_payload(const struct packet *packet, const void *payload, uint64_t transaction);
/* Puts bytes into the ring, a multiple of 8, and moves the index. */
void send_raw(const void *bytes, uint32_t count);
void signal_host(void);
uint32_t free_bytes(void);

struct completion {
	uint64_t transaction;
	uint32_t length, status, response_length;
};
/* Whether one is in the ring; take_completion() waits for it. */
bool completion_waits(void);
struct completion take_completion(void);
/* Waits for the completion of @transaction and checks its status. */
struct completion expect_completion(uint64_t transaction, uint32_t status);

extern const struct test_case packet_cases[];
extern const struct test_case buffer_cases[];
extern const struct test_case bus_cases[];
extern const struct test_case fence_cases[];
extern const struct test_case fault_cases[];
extern const struct test_case fuzz_cases[];
extern const struct test_case audit_cases[];

#endif
