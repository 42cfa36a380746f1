// SPDX-License-Identifier: MIT
/* The rings, and the packets of azure-blob-vsp. */
#include "vmbus.h"

struct ring to_host __attribute__((aligned(4096)));
struct ring from_host __attribute__((aligned(4096)));
uint8_t head_page[4096] __attribute__((aligned(4096)));
uint8_t response_page[4096] __attribute__((aligned(4096)));
uint8_t data_pages[2 * 4096] __attribute__((aligned(4096)));

const struct test_case *const all_cases[] = { packet_cases, buffer_cases, bus_cases,   fence_cases,
					      fault_cases,  fuzz_cases,   audit_cases, 0 };

static void clear_ring(struct ring *ring)
{
	ring->write = 0;
	ring->read = 0;
	ring->mask = 0;
	ring->pending = 0;
	ring->features = 1;
}

void open_rings(void)
{
	/* one GPADL over both, which lie behind each other */
	static uint64_t pfns[2 * (RING_PAGES + 1)];

	clear_ring(&to_host);
	clear_ring(&from_host);
	for (int i = 0; i <= RING_PAGES; i++) {
		pfns[i] = ((uint32_t)&to_host >> 12) + i;
		pfns[RING_PAGES + 1 + i] = ((uint32_t)&from_host >> 12) + i;
	}
	send_gpadl(RING_GPADL, pfns, 2 * (RING_PAGES + 1));
	expect(MSG_GPADL_CREATED);
	CHECK(open_channel(RING_GPADL, RING_PAGES + 1) == 0);
}

void set_up_channel(void)
{
	CHECK(connect_bus(VERSION(5, 3)));
	take_offers();
	open_rings();
}

/* --- to the host --- */

void signal_host(void)
{
	CHECK(hypercall(HV_SIGNAL_EVENT | HV_FAST, connection) == HV_SUCCESS);
}

uint32_t free_bytes(void)
{
	/* one word stays free, so that full is not empty */
	return (to_host.read + RING_BYTES - to_host.write - 1) % RING_BYTES;
}

static void copy_in(uint32_t at, const void *bytes, uint32_t count)
{
	const uint8_t *p = bytes;

	for (uint32_t i = 0; i < count; i++)
		to_host.data[(at + i) % RING_BYTES] = p[i];
}

void send_raw(const void *bytes, uint32_t count)
{
	copy_in(to_host.write, bytes, count);
	__sync_synchronize();
	to_host.write = (to_host.write + count) % RING_BYTES;
	__sync_synchronize();
}

static void send_bytes(const struct packet *p, const uint8_t *payload, uint32_t size,
		       uint64_t transaction)
{
	static uint8_t bytes[2048];
	uint32_t desc = p->type == TYPE_GPA_DIRECT ? 8 + 8 * (p->ranges ? 1 : 0) + 8 * p->pages : 0;
	uint32_t length = (p->length + 7) & ~7;
	uint32_t at = 0;

#define PUT(type, value)                         \
	do {                                     \
		*(type *)(bytes + at) = (value); \
		at += sizeof(type);              \
	} while (0)
	PUT(uint16_t, p->type);
	PUT(uint16_t, (16 + desc) / 8);
	PUT(uint16_t, (16 + desc + length) / 8);
	PUT(uint16_t, p->flags);
	PUT(uint64_t, transaction);
	if (desc) {
		PUT(uint32_t, 0);
		PUT(uint32_t, p->ranges);
		if (p->ranges) {
			PUT(uint32_t, p->range_bytes);
			PUT(uint32_t, p->range_offset);
		}
		for (int i = 0; i < p->pages; i++)
			PUT(uint64_t, p->pfn[i]);
	}
	for (uint32_t i = 0; i < length; i++)
		PUT(uint8_t, i < p->length && i < size ? payload[i] : 0);
	PUT(uint64_t, 0); /* trailer */
#undef PUT
	CHECK(EVENTUALLY(free_bytes() >= at));
	send_raw(bytes, at);
	signal_host();
}

void send_packet(const struct packet *p, uint64_t transaction)
{
	send_bytes(p, (const uint8_t *)p, 56, transaction);
}

void send_payload(const struct packet *p, const void *payload, uint64_t transaction)
{
	send_bytes(p, payload, p->length, transaction);
}

static uint64_t pfn_of(const void *p)
{
	return (uint32_t)p >> 12;
}

struct packet good_packet(void)
{
	struct packet p = {
		.operation = 0x100,
		.request_length = HEAD_LENGTH,
		.response_offset = 4096,
		.response_length = 4096,
		.type = TYPE_GPA_DIRECT,
		.flags = WANT_COMPLETION,
		.length = 56,
		.ranges = 1,
		.range_bytes = 2 * 4096,
		.pages = 2,
		.pfn = { pfn_of(head_page), pfn_of(response_page) },
	};

	return p;
}

struct packet reading_packet(uint32_t bytes)
{
	struct packet p = good_packet();

	p.data_offset = 16;
	p.data_length = bytes;
	p.request_offset += 2 * 4096;
	p.response_offset += 2 * 4096;
	p.range_bytes = 4 * 4096;
	p.pages = 4;
	p.pfn[0] = pfn_of(data_pages);
	p.pfn[1] = pfn_of(data_pages + 4096);
	p.pfn[2] = pfn_of(head_page);
	p.pfn[3] = pfn_of(response_page);
	return p;
}

struct packet writing_packet(uint32_t bytes)
{
	struct packet p = reading_packet(bytes);

	p.data_valid = bytes;
	return p;
}

/* --- from the host --- */

bool completion_waits(void)
{
	return from_host.read != from_host.write;
}

static uint32_t copy_out(uint32_t at)
{
	return *(volatile uint32_t *)(from_host.data + at % RING_BYTES);
}

struct completion take_completion(void)
{
	struct completion c;
	uint32_t at, quads, pending;

	CHECK(EVENTUALLY(completion_waits()));
	at = from_host.read;
	CHECK(at % 8 == 0 && at < RING_BYTES);
	CHECK((copy_out(at) & 0xffff) == TYPE_COMPLETION);
	CHECK(copy_out(at) >> 16 == 2);
	quads = copy_out(at + 4) & 0xffff;
	CHECK(quads == 4);
	c.transaction = copy_out(at + 8) | (uint64_t)copy_out(at + 12) << 32;
	c.length = copy_out(at + 16);
	c.status = copy_out(at + 20);
	c.response_length = copy_out(at + 24);
	CHECK(c.length == 12);
	__sync_synchronize();
	from_host.read = (at + quads * 8 + 8) % RING_BYTES;
	__sync_synchronize();
	/* The host may wait for room; more signals than needed do no harm. */
	pending = from_host.pending;
	if (pending)
		signal_host();
	return c;
}

struct completion expect_completion(uint64_t transaction, uint32_t status)
{
	struct completion c = take_completion();

	CHECK(c.transaction == transaction);
	CHECK(c.status == status);
	return c;
}
