// SPDX-License-Identifier: MIT
/*
 * Packets, right and wrong, and what they carry.  The backend of these cases
 * answers every request: a body is sent back in the response, room for a body is
 * filled with PATTERN, and without either the response says "R".
 */
#include "vmbus.h"

#define OK 0u
#define BAD_PACKET 0x8007000du
#define NOT_SUPPORTED 0x80070032u
#define PATTERN(i) ((uint8_t)((i)*7 + 3))

/* --- what is refused --- */

struct row {
	const char *name;
	uint32_t status;
	void (*change)(struct packet *p);
};

#define ROW(what, statement)               \
	static void what(struct packet *p) \
	{                                  \
		statement;                 \
	}

ROW(nothing, (void)p)
ROW(version_1, p->version = 1)
ROW(version_all_ones, p->version = ~0u)
ROW(operation_0, p->operation = 0)
ROW(operation_register, p->operation = 0x101)
ROW(operation_deregister, p->operation = 0x102)
ROW(short_packet, p->length = 48)
ROW(no_packet, p->length = 0)
ROW(long_packet, p->length = 64)
ROW(inband, p->type = TYPE_INBAND)
ROW(completion, p->type = TYPE_COMPLETION)
ROW(no_request, p->request_length = 0)
ROW(no_response, p->response_length = 0)
ROW(long_request, p->request_length = 65537)
ROW(request_all_ones, p->request_length = ~0u)
ROW(request_offset_before, p->request_offset = 4096)
ROW(request_offset_after, p->request_offset = 3 * 4096)
ROW(request_offset_all_ones, p->request_offset = ~0u)
ROW(request_into_next_page, p->request_offset += 4095)
ROW(response_offset_before, p->response_offset -= 4096)
ROW(response_offset_after, p->response_offset += 4096)
ROW(response_offset_all_ones, p->response_offset = ~0u)
ROW(response_beyond, p->response_length = 4097)
ROW(response_all_ones, p->response_length = ~0u)
ROW(response_ends_at_2_to_32, p->response_length = -p->response_offset)
ROW(data_offset_a_page, p->data_offset = 4096)
ROW(data_offset_all_ones, p->data_offset = ~0u)
ROW(data_beyond, p->data_length = 2 * 4096)
ROW(data_too_little, p->data_length = 1)
ROW(data_all_ones, p->data_length = ~0u)
ROW(valid_beyond, p->data_valid = p->data_length + 1)
ROW(valid_all_ones, p->data_valid = ~0u)
ROW(range_offset, p->range_offset = 1)
ROW(range_offset_a_page, p->range_offset = 4096)
ROW(range_odd, p->range_bytes -= 1)
ROW(range_short, p->range_bytes -= 4096)
ROW(unused_page, p->range_bytes += 4096; p->pfn[p->pages++] = p->pfn[0])
ROW(no_range, p->ranges = 0; p->pages = 0)
ROW(empty_range, p->range_bytes = 0; p->pages = 0)
ROW(apic_page, p->pfn[p->pages - 1] = 0xfee00)
ROW(vga_registers, p->pfn[p->pages - 2] = 0xfec00)
ROW(rom_for_output, p->pfn[p->pages - 1] = 0xfffff)
ROW(ranges_that_wrap_around, p->ranges = 0x80000005)
ROW(ranges_all_ones, p->ranges = ~0u)
ROW(range_beyond_its_pages, p->range_bytes += 4096)
ROW(range_all_ones, p->range_bytes = ~0u)
ROW(no_memory, p->pfn[0] = 0x80000000)
ROW(beyond_addresses, p->pfn[0] = 1ull << 52)
ROW(around_the_end_of_addresses, p->pfn[0] = ~0ull >> 12; p->pfn[1] = 0)

static const struct row rows[] = {
	{ "nothing", OK, nothing },
	{ "version 1", NOT_SUPPORTED, version_1 },
	{ "version all ones", NOT_SUPPORTED, version_all_ones },
	{ "operation 0", NOT_SUPPORTED, operation_0 },
	{ "operation register", NOT_SUPPORTED, operation_register },
	{ "operation deregister", NOT_SUPPORTED, operation_deregister },
	{ "short packet", BAD_PACKET, short_packet },
	{ "no packet", BAD_PACKET, no_packet },
	{ "long packet", BAD_PACKET, long_packet },
	{ "in-band", BAD_PACKET, inband },
	{ "completion", BAD_PACKET, completion },
	{ "no request", BAD_PACKET, no_request },
	{ "no response", BAD_PACKET, no_response },
	{ "long request", BAD_PACKET, long_request },
	{ "request all ones", BAD_PACKET, request_all_ones },
	{ "request offset before", BAD_PACKET, request_offset_before },
	{ "request offset after", BAD_PACKET, request_offset_after },
	{ "request offset all ones", BAD_PACKET, request_offset_all_ones },
	{ "request into next page", BAD_PACKET, request_into_next_page },
	{ "response offset before", BAD_PACKET, response_offset_before },
	{ "response offset after", BAD_PACKET, response_offset_after },
	{ "response offset all ones", BAD_PACKET, response_offset_all_ones },
	{ "response beyond", BAD_PACKET, response_beyond },
	{ "response all ones", BAD_PACKET, response_all_ones },
	{ "response ends at 2^32", BAD_PACKET, response_ends_at_2_to_32 },
	{ "data offset a page", BAD_PACKET, data_offset_a_page },
	{ "data offset all ones", BAD_PACKET, data_offset_all_ones },
	{ "data beyond", BAD_PACKET, data_beyond },
	{ "data too little", BAD_PACKET, data_too_little },
	{ "data all ones", BAD_PACKET, data_all_ones },
	{ "valid beyond", BAD_PACKET, valid_beyond },
	{ "valid all ones", BAD_PACKET, valid_all_ones },
	{ "range offset", BAD_PACKET, range_offset },
	{ "range offset a page", BAD_PACKET, range_offset_a_page },
	{ "ranges that wrap around", BAD_PACKET, ranges_that_wrap_around },
	{ "ranges all ones", BAD_PACKET, ranges_all_ones },
	{ "range beyond its pages", BAD_PACKET, range_beyond_its_pages },
	{ "range all ones", BAD_PACKET, range_all_ones },
	{ "range odd", BAD_PACKET, range_odd },
	{ "range short", BAD_PACKET, range_short },
	{ "unused page", BAD_PACKET, unused_page },
	{ "no range", BAD_PACKET, no_range },
	{ "empty range", BAD_PACKET, empty_range },
	{ "APIC page", BAD_PACKET, apic_page },
	{ "VGA registers", BAD_PACKET, vga_registers },
	{ "ROM for output", BAD_PACKET, rom_for_output },
	{ "no memory", BAD_PACKET, no_memory },
	{ "beyond addresses", BAD_PACKET, beyond_addresses },
	{ "around the end of addresses", BAD_PACKET, around_the_end_of_addresses },
};

static void bad_packets_are_refused(void)
{
	set_up_channel();
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct packet p = reading_packet(5000);
		struct completion c;

		rows[i].change(&p);
		send_packet(&p, 1000 + i);
		c = take_completion();
		CHECK(c.transaction == 1000 + i);
		if (c.status != rows[i].status)
			tell(rows[i].name);
		CHECK(c.status == rows[i].status);
		CHECK(c.status == OK || c.response_length == 0);
	}
}

/* --- what stops the channel, until it is closed and opened again --- */

static void stopped(void)
{
	struct packet p = good_packet();

	/* The ring is not read any more. */
	send_packet(&p, 2);
	teardown_gpadl(RING_GPADL);
	expect(MSG_GPADL_TORNDOWN);
	CHECK(!completion_waits());

	open_rings();
	send_packet(&p, 3);
	expect_completion(3, OK);
}

static void packet_without_completion_stops(void)
{
	struct packet p = good_packet();

	set_up_channel();
	p.flags = 0;
	send_packet(&p, 1);
	stopped();
}

static void stops_by(const void *bytes, uint32_t count)
{
	set_up_channel();
	send_raw(bytes, count);
	signal_host();
	stopped();
}

static void packet_longer_than_written_stops(void)
{
	static const uint16_t packet[12] = { TYPE_GPA_DIRECT, 2, 100, WANT_COMPLETION };

	stops_by(packet, sizeof(packet));
}

static void packet_shorter_than_its_header_stops(void)
{
	static const uint16_t packet[16] = { TYPE_GPA_DIRECT, 1, 1, WANT_COMPLETION };

	stops_by(packet, sizeof(packet));
}

static void payload_beyond_the_packet_stops(void)
{
	static const uint16_t packet[16] = { TYPE_GPA_DIRECT, 9, 3, WANT_COMPLETION };

	stops_by(packet, sizeof(packet));
}

static void unknown_packet_type_stops(void)
{
	static const uint16_t packet[16] = { 0x77, 2, 3, WANT_COMPLETION };

	stops_by(packet, sizeof(packet));
}

static void write_index_beyond_the_ring_stops(void)
{
	set_up_channel();
	to_host.write = RING_BYTES;
	signal_host();
	to_host.write = 0;
	stopped();
}

static void wild_indices_harm_nobody(void)
{
	uint32_t seed = 12345;

	set_up_channel();
	for (int i = 0; i < 500; i++) {
		seed = seed * 1664525 + 1013904223;
		to_host.write = seed;
		seed = seed * 1664525 + 1013904223;
		from_host.read = i & 1 ? seed : seed % RING_BYTES;
		from_host.write = seed >> 7;
		signal_host();
	}
	teardown_gpadl(RING_GPADL);
	expect(MSG_GPADL_TORNDOWN);
	open_rings();
}

/* --- what is carried --- */

static void body_is_sent(void)
{
	struct packet p = writing_packet(4096);

	set_up_channel();
	for (int i = 0; i < 2 * 4096; i++)
		data_pages[i] = PATTERN(i);
	/* Only 16 to 16 + 4096 of it, which go over a page's end; two pages are there. */
	p.data_length = 5000;
	send_packet(&p, 7);
	CHECK(expect_completion(7, OK).response_length == 4096);
	for (int i = 0; i < 4096; i++)
		CHECK(response_page[i] == PATTERN(i + 16));
}

static void room_is_filled_and_nothing_else(void)
{
	struct packet p = reading_packet(5000);

	set_up_channel();
	for (int i = 0; i < 2 * 4096; i++)
		data_pages[i] = 0xee;
	for (int i = 0; i < 4096; i++)
		response_page[i] = 0xee;
	p.response_offset += 8;
	p.response_length = 4000;
	send_packet(&p, 8);
	CHECK(expect_completion(8, OK).response_length == 1);
	for (int i = 0; i < 2 * 4096; i++)
		CHECK(data_pages[i] == (i < 16 || i >= 5016 ? 0xee : PATTERN(i - 16)));
	for (int i = 0; i < 4096; i++)
		CHECK(response_page[i] == (i == 8 ? 'R' : 0xee));
}

/* The largest scattered request that a packet here can hold, one page 32 times */
static void same_page_many_times(void)
{
	struct packet p = good_packet();

	set_up_channel();
	p.data_length = 32 * 4096;
	p.data_valid = p.data_length;
	p.request_offset += p.data_length;
	p.response_offset += p.data_length;
	p.range_bytes += p.data_length;
	for (int i = 0; i < 32; i++)
		p.pfn[i] = (uint32_t)data_pages >> 12;
	p.pfn[32] = (uint32_t)head_page >> 12;
	p.pfn[33] = (uint32_t)response_page >> 12;
	p.pages = 34;
	for (int i = 0; i < 4096; i++)
		data_pages[i] = PATTERN(i);
	send_packet(&p, 9);
	CHECK(expect_completion(9, OK).response_length == 4096);
	for (int i = 0; i < 4096; i++)
		CHECK(response_page[i] == PATTERN(i));
}

/* The bytes that come are code, in a page whose old code has just been run. */
static void new_code_is_run(void)
{
	static const uint8_t return_1[] = { 0xb8, 1, 0, 0, 0, 0xc3 };
	static const uint8_t return_2[] = { 0xb8, 2, 0, 0, 0, 0xc3 };
	int (*volatile function)(void) = (int (*)(void))response_page;
	struct packet p = writing_packet(sizeof(return_2));

	set_up_channel();
	p.data_offset = 0;
	p.request_offset -= 4096;
	p.response_offset -= 4096;
	p.range_bytes -= 4096;
	p.pages = 3;
	p.pfn[1] = p.pfn[2];
	p.pfn[2] = p.pfn[3];
	for (unsigned int i = 0; i < sizeof(return_1); i++) {
		response_page[i] = return_1[i];
		data_pages[i] = return_2[i];
	}
	for (int i = 0; i < 1000; i++)
		CHECK(function() == 1);
	send_packet(&p, 10);
	expect_completion(10, OK);
	CHECK(function() == 2);
}

/* --- many --- */

#define MANY 2500

/*
 * More completions than the ring holds, none read before the last request is on
 * its way; each comes once.
 */
static void ring_full_of_completions(void)
{
	static uint8_t seen[MANY];
	uint32_t sent = 0, taken = 0;
	struct packet p = good_packet();

	set_up_channel();
	while (taken < MANY) {
		struct completion c;

		while (sent < MANY && free_bytes() > 200)
			send_packet(&p, sent++);
		/* Leave them as long as the host can take more. */
		if (sent < MANY && EVENTUALLY(free_bytes() > 200 || from_host.pending) &&
		    free_bytes() > 200)
			continue;
		c = take_completion();
		CHECK(c.transaction < sent && c.status == OK);
		CHECK(!seen[c.transaction]++);
		taken++;
	}
	CHECK(!completion_waits());
}

/* This guest's event flags: one bit for each channel */
static bool told(void)
{
	return PAGE_B[VMBUS_SINT * 256 + relid / 8] & 1 << relid % 8;
}

/*
 * A guest that waits for room is told when it is there.  The other ring's
 * interrupts are masked, so nothing else can have told it.
 */
static void room_in_the_ring_is_told(void)
{
	struct packet p = good_packet();

	set_up_channel();
	from_host.mask = 1;
	/* No room but that of an empty ring will do. */
	to_host.pending = RING_BYTES - 100;
	CHECK(!told());
	send_packet(&p, 1);
	CHECK(EVENTUALLY(told()));
	expect_completion(1, OK);
}

const struct test_case packet_cases[] = {
	{ "bad-packets-are-refused", bad_packets_are_refused },
	{ "packet-without-completion-stops", packet_without_completion_stops },
	{ "packet-longer-than-written-stops", packet_longer_than_written_stops },
	{ "packet-shorter-than-its-header-stops", packet_shorter_than_its_header_stops },
	{ "payload-beyond-the-packet-stops", payload_beyond_the_packet_stops },
	{ "unknown-packet-type-stops", unknown_packet_type_stops },
	{ "write-index-beyond-the-ring-stops", write_index_beyond_the_ring_stops },
	{ "wild-indices-harm-nobody", wild_indices_harm_nobody },
	{ "body-is-sent", body_is_sent },
	{ "room-is-filled-and-nothing-else", room_is_filled_and_nothing_else },
	{ "same-page-many-times", same_page_many_times },
	{ "new-code-is-run", new_code_is_run },
	{ "room-in-the-ring-is-told", room_in_the_ring_is_told },
	{ "ring-full-of-completions", ring_full_of_completions },
	{ 0, 0 },
};
