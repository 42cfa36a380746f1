// SPDX-License-Identifier: MIT
/*
 * Protocol 2: buffers that are registered, requests in them, and cancelling, right
 * and wrong.  The backend is that of packet_cases.c, but for the cases that say so.
 */
#include "vmbus.h"

#define OK 0u
#define BAD_PACKET 0x8007000du
#define NOT_SUPPORTED 0x80070032u
#define NOT_FOUND 0x80070490u
#define NO_RESOURCES 0x800705aau
#define CANCELLED 0x800703e3u
#define PATTERN(i) ((uint8_t)((i)*7 + 3))

#define REGISTER 0x101
#define DEREGISTER 0x102
#define CANCEL 0x103
#define READ_ONLY 1
#define MOST_BUFFERS 1024
#define MOST_PAGES (1u << 18) /* of a buffer: 1 GiB */
#define MOST_IN_ALL (4u << 20)

/* struct vsp_wire_control, and the packet around it */
struct control {
	uint32_t version, id, first, count, flags, operation;
	uint64_t transaction;
	struct packet packet;
};

static uint64_t transactions;

static uint64_t page_of(const void *address)
{
	return (uint32_t)address >> 12;
}

static uint32_t ask(const struct control *c)
{
	uint64_t transaction = ++transactions;
	struct completion done;

	send_payload(&c->packet, c, transaction);
	done = take_completion();
	CHECK(done.transaction == transaction && done.response_length == 0);
	return done.status;
}

/* Buffer @id: the two data pages, the head's and the response's */
static struct control register_all(uint32_t id)
{
	struct control c = { 1, id, 0, 4, 0, REGISTER, 0, good_packet() };

	c.packet.length = 32;
	c.packet.pages = 4;
	c.packet.range_bytes = 4 * 4096;
	c.packet.pfn[0] = page_of(data_pages);
	c.packet.pfn[1] = page_of(data_pages) + 1;
	c.packet.pfn[2] = page_of(head_page);
	c.packet.pfn[3] = page_of(response_page);
	return c;
}

/* The same, but only @pages of it from @first on */
static struct control register_some(uint32_t id, uint32_t first, int pages)
{
	struct control c = register_all(id);

	c.first = first;
	for (int i = 0; i < pages; i++)
		c.packet.pfn[i] = c.packet.pfn[(first + i) % 4];
	c.packet.pages = pages;
	c.packet.range_bytes = pages * 4096;
	return c;
}

static struct control in_band(uint32_t operation)
{
	struct control c = { 1, 0, 0, 0, 0, operation, 0, good_packet() };

	c.packet.length = 32;
	c.packet.type = TYPE_INBAND;
	return c;
}

static uint32_t deregister(uint32_t id)
{
	struct control c = in_band(DEREGISTER);

	c.id = id;
	return ask(&c);
}

static void must_register(uint32_t id)
{
	struct control c = register_all(id);

	CHECK(ask(&c) == OK);
}

/* --- what is refused --- */

struct row {
	const char *name;
	uint32_t status;
	void (*change)(struct control *c);
};

#define ROW(what, statement)                \
	static void what(struct control *c) \
	{                                   \
		statement;                  \
	}

ROW(version_2, c->version = 2)
ROW(version_of_protocol_1, c->version = 0)
ROW(operation_beyond, c->operation = 0x104)
ROW(operation_all_ones, c->operation = ~0u)
ROW(short_packet, c->packet.length = 24)
ROW(no_packet, c->packet.length = 0)
ROW(long_packet, c->packet.length = 40)
ROW(other_type, c->packet.type = c->packet.type == TYPE_INBAND ? TYPE_GPA_DIRECT : TYPE_INBAND)
ROW(id_0, c->id = 0)
ROW(id_beyond, c->id = MOST_BUFFERS + 1)
ROW(id_all_ones, c->id = ~0u)
ROW(id_1, c->id = 1)
ROW(id_7, c->id = 7)
ROW(first_1, c->first = 1)
ROW(first_at_the_end, c->first = c->count)
ROW(first_all_ones, c->first = ~0u)
ROW(count_0, c->count = 0)
ROW(count_1, c->count = 1)
ROW(count_beyond, c->count = MOST_PAGES + 1)
ROW(count_all_ones, c->count = ~0u)
ROW(count_of_2_to_52_bytes, c->count = 1u << 31)
ROW(flag_2, c->flags = 2)
ROW(flags_all_ones, c->flags = ~0u)
ROW(transaction_1, c->transaction = 1)
ROW(transaction_all_ones, c->transaction = ~0ull)
ROW(no_range, c->packet.ranges = 0; c->packet.pages = 0)
ROW(range_offset, c->packet.range_offset = 8)
ROW(range_odd, c->packet.range_bytes -= 1)
ROW(range_beyond_its_pages, c->packet.range_bytes += 4096)
ROW(empty_range, c->packet.range_bytes = 0; c->packet.pages = 0)

static const struct row bad_registers[] = {
	{ "version 2", NOT_SUPPORTED, version_2 },
	{ "version of protocol 1", BAD_PACKET, version_of_protocol_1 },
	{ "operation beyond", BAD_PACKET, operation_beyond },
	{ "operation all ones", BAD_PACKET, operation_all_ones },
	{ "short packet", BAD_PACKET, short_packet },
	{ "no packet", BAD_PACKET, no_packet },
	{ "long packet", BAD_PACKET, long_packet },
	{ "other type", BAD_PACKET, other_type },
	{ "id 0", BAD_PACKET, id_0 },
	{ "id beyond", BAD_PACKET, id_beyond },
	{ "id all ones", BAD_PACKET, id_all_ones },
	{ "first 1", BAD_PACKET, first_1 },
	{ "first at the end", BAD_PACKET, first_at_the_end },
	{ "first all ones", BAD_PACKET, first_all_ones },
	{ "count 0", BAD_PACKET, count_0 },
	{ "fewer than the packet names", BAD_PACKET, count_1 },
	{ "count beyond", BAD_PACKET, count_beyond },
	{ "count all ones", BAD_PACKET, count_all_ones },
	{ "count of 2^52 bytes", BAD_PACKET, count_of_2_to_52_bytes },
	{ "flag 2", BAD_PACKET, flag_2 },
	{ "flags all ones", BAD_PACKET, flags_all_ones },
	{ "transaction", BAD_PACKET, transaction_1 },
	{ "no range", BAD_PACKET, no_range },
	{ "range offset", BAD_PACKET, range_offset },
	{ "range odd", BAD_PACKET, range_odd },
	{ "range beyond its pages", BAD_PACKET, range_beyond_its_pages },
	{ "empty range", BAD_PACKET, empty_range },
	{ 0, 0, 0 },
};

static const struct row bad_deregisters[] = {
	{ "id 0", NOT_FOUND, id_0 },
	{ "another id", NOT_FOUND, id_7 },
	{ "id all ones", NOT_FOUND, id_all_ones },
	{ "first", BAD_PACKET, first_1 },
	{ "count", BAD_PACKET, count_1 },
	{ "flags", BAD_PACKET, flag_2 },
	{ "transaction", BAD_PACKET, transaction_1 },
	{ "other type", BAD_PACKET, other_type },
	{ "short packet", BAD_PACKET, short_packet },
	{ "long packet", BAD_PACKET, long_packet },
	{ 0, 0, 0 },
};

static const struct row bad_cancels[] = {
	{ "no transaction", NOT_FOUND, id_0 },
	{ "a transaction that is over", NOT_FOUND, transaction_1 },
	{ "transaction all ones", NOT_FOUND, transaction_all_ones },
	{ "a buffer", BAD_PACKET, id_1 },
	{ "first", BAD_PACKET, first_1 },
	{ "count", BAD_PACKET, count_1 },
	{ "flags", BAD_PACKET, flag_2 },
	{ "other type", BAD_PACKET, other_type },
	{ "short packet", BAD_PACKET, short_packet },
	{ "long packet", BAD_PACKET, long_packet },
	{ 0, 0, 0 },
};

static void refused(const struct row *row, const struct control *right)
{
	for (; row->name; row++) {
		struct control c = *right;
		uint32_t status;

		row->change(&c);
		status = ask(&c);
		if (status != row->status)
			tell(row->name);
		CHECK(status == row->status);
	}
}

static void bad_registers_are_refused(void)
{
	struct control right = register_all(1);

	set_up_channel();
	refused(bad_registers, &right);
	/* Nothing of them was kept. */
	CHECK(deregister(1) == NOT_FOUND);
	must_register(1);
	must_register(MOST_BUFFERS);
}

static void bad_deregisters_are_refused(void)
{
	struct control right = in_band(DEREGISTER);

	set_up_channel();
	right.id = 1;
	must_register(1);
	refused(bad_deregisters, &right);
	CHECK(ask(&right) == OK);
	/* A second time it is nobody's. */
	CHECK(ask(&right) == NOT_FOUND);
	must_register(1);
}

static void bad_cancels_are_refused(void)
{
	struct control right = in_band(CANCEL);

	set_up_channel();
	must_register(1);
	refused(bad_cancels, &right);
}

/* --- requests in a buffer --- */

/* struct vsp_wire_request_2 */
struct request_2 {
	uint32_t base[14];
	uint32_t in_buffer, buffer;
	uint64_t data_at, request_at, response_at;
};

#define IN_DATA 1
#define IN_REQUEST 2
#define IN_RESPONSE 4
enum {
	DATA_LENGTH = 3,
	DATA_VALID = 4,
	REQUEST_OFFSET = 6,
	REQUEST_LENGTH = 7,
	RESPONSE_LENGTH = 9
};

/* 5000 bytes at 16, all of it in buffer 1, with nothing left to name */
static struct request_2 all_in(uint32_t valid)
{
	struct request_2 r = { .base = { 1, 0, 0, 5000, valid, 0x100, 0, HEAD_LENGTH, 0, 4096 },
			       .in_buffer = 7,
			       .buffer = 1,
			       .data_at = 16,
			       .request_at = 2 * 4096,
			       .response_at = 3 * 4096 };

	return r;
}

static struct completion run(const struct request_2 *r, uint16_t type)
{
	uint64_t transaction = ++transactions;
	struct packet p = good_packet();
	struct completion c;

	p.type = type;
	p.length = sizeof(*r);
	send_payload(&p, r, transaction);
	c = take_completion();
	CHECK(c.transaction == transaction);
	return c;
}

static void fill(uint8_t *at, uint32_t count, uint8_t with)
{
	for (uint32_t i = 0; i < count; i++)
		at[i] = with;
}

static void body_goes_and_comes(void)
{
	struct request_2 reads = all_in(0), writes = all_in(4000);
	struct completion c;

	fill(data_pages, sizeof(data_pages), 0xee);
	c = run(&reads, TYPE_INBAND);
	CHECK(c.status == OK && c.response_length == 1 && response_page[0] == 'R');
	for (uint32_t i = 0; i < sizeof(data_pages); i++)
		CHECK(data_pages[i] == (i < 16 || i >= 5016 ? 0xee : PATTERN(i - 16)));
	c = run(&writes, TYPE_INBAND);
	CHECK(c.status == OK && c.response_length == 4000);
	for (uint32_t i = 0; i < 4000; i++)
		CHECK(response_page[i] == PATTERN(i));
}

static void requests_in_a_buffer(void)
{
	set_up_channel();
	must_register(1);
	body_goes_and_comes();
	/* Another name is the same memory. */
	must_register(2);
	CHECK(deregister(2) == OK);
	body_goes_and_comes();
}

#define ROW_2(what, statement)                \
	static void what(struct request_2 *r) \
	{                                     \
		statement;                    \
	}

ROW_2(nothing_in, r->in_buffer = 0)
ROW_2(unknown_bit, r->in_buffer = 15)
ROW_2(bits_all_ones, r->in_buffer = ~0u)
ROW_2(buffer_0, r->buffer = 0)
ROW_2(buffer_2, r->buffer = 2)
ROW_2(buffer_all_ones, r->buffer = ~0u)
ROW_2(place_of_what_is_not_in, r->in_buffer = 6)
ROW_2(no_data, r->base[DATA_LENGTH] = 0)
ROW_2(pages_not_named, r->in_buffer = 5; r->request_at = 0)
ROW_2(an_offset, r->base[REQUEST_OFFSET] = 4096)
ROW_2(data_at_the_end, r->data_at = 4 * 4096)
ROW_2(data_over_the_end, r->data_at = 4 * 4096 - 4999)
ROW_2(data_wraps, r->data_at = -4096ull)
ROW_2(data_all_ones, r->data_at = ~0ull)
ROW_2(data_far_away, r->data_at = 1ull << 52)
ROW_2(request_over_the_end, r->request_at = 4 * 4096 - HEAD_LENGTH + 1)
ROW_2(request_all_ones, r->request_at = ~0ull)
ROW_2(response_over_the_end, r->response_at = 3 * 4096 + 1)
ROW_2(response_all_ones, r->response_at = ~0ull)
ROW_2(long_data, r->base[DATA_LENGTH] = ~0u)
ROW_2(valid_beyond, r->base[DATA_VALID] = 5001)
ROW_2(no_request, r->base[REQUEST_LENGTH] = 0)
ROW_2(no_response, r->base[RESPONSE_LENGTH] = 0)

static const struct {
	const char *name;
	uint32_t status;
	void (*change)(struct request_2 *r);
} bad_places[] = {
	{ "nothing in", BAD_PACKET, nothing_in },
	{ "unknown bit", BAD_PACKET, unknown_bit },
	{ "bits all ones", BAD_PACKET, bits_all_ones },
	{ "buffer 0", NOT_FOUND, buffer_0 },
	{ "buffer 2", NOT_FOUND, buffer_2 },
	{ "buffer all ones", NOT_FOUND, buffer_all_ones },
	{ "place of what is not in", BAD_PACKET, place_of_what_is_not_in },
	{ "no data", BAD_PACKET, no_data },
	{ "pages not named", BAD_PACKET, pages_not_named },
	{ "an offset", BAD_PACKET, an_offset },
	{ "data at the end", BAD_PACKET, data_at_the_end },
	{ "data over the end", BAD_PACKET, data_over_the_end },
	{ "data wraps", BAD_PACKET, data_wraps },
	{ "data all ones", BAD_PACKET, data_all_ones },
	{ "data far away", BAD_PACKET, data_far_away },
	{ "request over the end", BAD_PACKET, request_over_the_end },
	{ "request all ones", BAD_PACKET, request_all_ones },
	{ "response over the end", BAD_PACKET, response_over_the_end },
	{ "response all ones", BAD_PACKET, response_all_ones },
	{ "long data", BAD_PACKET, long_data },
	{ "valid beyond", BAD_PACKET, valid_beyond },
	{ "no request", BAD_PACKET, no_request },
	{ "no response", BAD_PACKET, no_response },
};

static void bad_places_are_refused(void)
{
	struct request_2 right = all_in(0);
	struct control read_only = register_all(3);

	set_up_channel();
	must_register(1);
	for (unsigned int i = 0; i < sizeof(bad_places) / sizeof(bad_places[0]); i++) {
		struct request_2 r = right;
		struct completion c;

		bad_places[i].change(&r);
		c = run(&r, TYPE_INBAND);
		if (c.status != bad_places[i].status)
			tell(bad_places[i].name);
		CHECK(c.status == bad_places[i].status && c.response_length == 0);
	}
	/* With pages to name where there is nothing to be named */
	CHECK(run(&right, TYPE_GPA_DIRECT).status == BAD_PACKET);
	/* Written to where it is only read; the response is written in any case. */
	read_only.flags = READ_ONLY;
	CHECK(ask(&read_only) == OK);
	right.buffer = 3;
	CHECK(run(&right, TYPE_INBAND).status == BAD_PACKET);
	body_goes_and_comes();
}

/* A buffer is only a list: what is no memory is found out by who wants to use it. */
static void buffer_that_is_no_memory(void)
{
	static const uint64_t pages[] = { 0xfee00, 0xfec00, 0x80000000, (1ull << 52) - 1 };
	struct request_2 r = all_in(0);
	struct control c = register_all(1);

	set_up_channel();
	for (uint32_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		c.packet.pfn[0] = pages[i];
		CHECK(ask(&c) == OK);
		CHECK(run(&r, TYPE_INBAND).status == BAD_PACKET);
		CHECK(deregister(1) == OK);
	}
	/* No address at all */
	c.packet.pfn[0] = 1ull << 52;
	CHECK(ask(&c) == BAD_PACKET);
	c.packet.pfn[0] = ~0ull;
	CHECK(ask(&c) == BAD_PACKET);
	must_register(1);
	body_goes_and_comes();
}

static void buffer_in_chunks(void)
{
	struct control c = register_some(1, 0, 1);
	struct request_2 r = all_in(0);

	set_up_channel();
	CHECK(ask(&c) == OK);
	CHECK(run(&r, TYPE_INBAND).status == NOT_FOUND);
	/* Again from the start, with a hole, back, another size, other flags, too much */
	CHECK(ask(&c) == BAD_PACKET);
	c = register_some(1, 2, 1);
	CHECK(ask(&c) == BAD_PACKET);
	c = register_some(1, 1, 1);
	c.count = 5;
	CHECK(ask(&c) == BAD_PACKET);
	c = register_some(1, 1, 1);
	c.flags = READ_ONLY;
	CHECK(ask(&c) == BAD_PACKET);
	c = register_some(1, 1, 4);
	CHECK(ask(&c) == BAD_PACKET);
	/* None of that has changed it. */
	c = register_some(1, 1, 2);
	CHECK(ask(&c) == OK);
	CHECK(run(&r, TYPE_INBAND).status == NOT_FOUND);
	c = register_some(1, 3, 1);
	CHECK(ask(&c) == OK);
	body_goes_and_comes();
	c = register_some(1, 4, 1);
	CHECK(ask(&c) == BAD_PACKET);
	/* One that was never finished is ended like any other. */
	c = register_some(2, 0, 1);
	CHECK(ask(&c) == OK);
	CHECK(deregister(2) == OK);
	c = register_some(2, 1, 1);
	CHECK(ask(&c) == BAD_PACKET);
}

/* The host keeps so many page numbers, and forgets all when the channel closes. */
static void more_pages_than_the_host_keeps(void)
{
	const uint32_t most = MOST_IN_ALL / MOST_PAGES;
	struct control c = register_some(1, 0, 1);

	set_up_channel();
	c.count = MOST_PAGES;
	for (c.id = 1; c.id <= most; c.id++)
		CHECK(ask(&c) == OK);
	CHECK(ask(&c) == NO_RESOURCES);
	CHECK(deregister(most) == OK);
	CHECK(ask(&c) == OK);

	teardown_gpadl(RING_GPADL);
	expect(MSG_GPADL_TORNDOWN);
	open_rings();
	CHECK(deregister(1) == NOT_FOUND);
	for (c.id = 1; c.id <= most; c.id++)
		CHECK(ask(&c) == OK);
	CHECK(deregister(most) == OK);
	must_register(MOST_BUFFERS);
}

/* --- with a request that the backend keeps for as long as the test likes --- */

#define HELD 0x4e1dull

static void hold(void)
{
	struct request_2 r = all_in(0);
	struct packet p = good_packet();

	set_up_channel();
	must_register(1);
	fill(data_pages, sizeof(data_pages), 0xee);
	p.type = TYPE_INBAND;
	p.length = sizeof(r);
	send_payload(&p, &r, HELD);
	CHECK(EVENTUALLY(to_host.read == to_host.write));
	tell("sent");
}

/* The buffer goes, the request in it does not. */
static void deregistered_with_a_request(void)
{
	hold();
	CHECK(deregister(1) == OK);
	CHECK(deregister(1) == NOT_FOUND);
	/* The name is free, also for something else. */
	struct control c = register_some(1, 0, 1);

	CHECK(ask(&c) == OK);
	tell("asked");
	CHECK(expect_completion(HELD, OK).response_length == 1);
	for (uint32_t i = 0; i < 5000; i++)
		CHECK(data_pages[i + 16] == PATTERN(i));
}

/* The cancel is answered at once, the request when the backend has let go of it. */
static void cancelled_with_the_backend(void)
{
	struct control c = in_band(CANCEL);

	hold();
	c.transaction = HELD;
	CHECK(ask(&c) == OK);
	/* More than once is no more than once. */
	for (int i = 0; i < 100; i++)
		ask(&c);
	tell("asked");
	expect_completion(HELD, CANCELLED);
	CHECK(ask(&c) == NOT_FOUND);
	body_goes_and_comes();
}

const struct test_case buffer_cases[] = {
	{ "bad-registers-are-refused", bad_registers_are_refused },
	{ "bad-deregisters-are-refused", bad_deregisters_are_refused },
	{ "bad-cancels-are-refused", bad_cancels_are_refused },
	{ "requests-in-a-buffer", requests_in_a_buffer },
	{ "bad-places-are-refused", bad_places_are_refused },
	{ "buffer-that-is-no-memory", buffer_that_is_no_memory },
	{ "buffer-in-chunks", buffer_in_chunks },
	{ "more-pages-than-the-host-keeps", more_pages_than_the_host_keeps },
	{ "deregistered-with-a-request", deregistered_with_a_request },
	{ "cancelled-with-the-backend", cancelled_with_the_backend },
	{ 0, 0 },
};
