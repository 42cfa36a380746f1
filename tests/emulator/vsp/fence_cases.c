// SPDX-License-Identifier: MIT
/*
 * One request that the backend keeps for as long as the test likes.  It leaves
 * its mark in the response just before it lets go: whatever tells this guest that
 * its memory is its own must find the mark there.
 */
#include "vmbus.h"

#define OK 0u
#define CANCELLED 0x800703e3u
#define TIMEOUT 0x80070102u
#define FAILED 0x8007001fu
#define MARK 'R'

/* Outside of the program, which is loaded anew after a reset */
#define KEPT_RESPONSE ((volatile uint8_t *)0x203000)
#define RESET_DONE 0x4e5e7u

static void request(uint32_t timeout)
{
	struct packet p = good_packet();

	set_up_channel();
	p.timeout = timeout;
	p.pfn[1] = (uint32_t)KEPT_RESPONSE >> 12;
	KEPT_RESPONSE[0] = 0;
	send_packet(&p, 1);
	/*
	 * A signal and a message take different ways to the host.  What comes next must
	 * not overtake the packet: one that still is in the ring is nobody's request.
	 */
	CHECK(EVENTUALLY(to_host.read == to_host.write));
	tell("sent");
}

static void ends_well(void)
{
	request(0);
	CHECK(expect_completion(1, OK).response_length == 1);
	CHECK(KEPT_RESPONSE[0] == MARK);
}

static void again(void)
{
	struct packet p = good_packet();

	open_rings();
	send_packet(&p, 2);
	expect_completion(2, OK);
}

static void times_out(void)
{
	request(1000);
	expect_completion(1, TIMEOUT);
	CHECK(KEPT_RESPONSE[0] == MARK);
}

/* Long enough to be asked for, saved and loaded meanwhile */
static void times_out_later(void)
{
	request(20000);
	expect_completion(1, TIMEOUT);
}

/* --- protocol 2: two pages of data have a name --- */

#define BUFFER 5
#define BUFFER_BYTES 8192

static void register_data_pages(void)
{
	/* struct vsp_wire_control */
	uint32_t control[8] = { 1, BUFFER, 0, BUFFER_BYTES / 4096, 0, 0x101 };
	struct packet p = reading_packet(0);

	p.length = sizeof(control);
	p.pages = BUFFER_BYTES / 4096;
	p.range_bytes = BUFFER_BYTES;
	send_payload(&p, control, 77);
	expect_completion(77, OK);
}

/* Its pages are named before the pause, and used after it. */
static void buffer_outlives_a_pause(void)
{
	struct packet p = good_packet();
	uint32_t request_2[22] = { 0 };
	const uint32_t bytes = 5000;

	set_up_channel();
	register_data_pages();
	p.pfn[1] = (uint32_t)KEPT_RESPONSE >> 12;
	send_packet(&p, 1);
	CHECK(EVENTUALLY(to_host.read == to_host.write));
	tell("sent");
	expect_completion(1, OK);

	/* struct vsp_wire_request_2: the data is in the buffer, at byte 16 of it */
	request_2[0] = 1;
	request_2[3] = bytes;
	request_2[5] = p.operation;
	request_2[6] = p.request_offset;
	request_2[7] = p.request_length;
	request_2[8] = p.response_offset;
	request_2[9] = p.response_length;
	request_2[14] = 1;
	request_2[15] = BUFFER;
	request_2[16] = 16;
	p.length = sizeof(request_2);
	send_payload(&p, request_2, 2);
	expect_completion(2, OK);
	for (uint32_t i = 0; i < bytes; i++)
		CHECK(data_pages[16 + i] == (uint8_t)(i * 7 + 3));
}

static void times_out_unseen(void)
{
	request(50);
	expect_completion(1, TIMEOUT);
}

static void ends_in_failure(void)
{
	request(0);
	expect_completion(1, FAILED);
}

/* More than a socket takes at once: 8 MiB of one page */
#define LARGE_PAGES 2048
#define LARGE_PACKET (16 + 16 + (LARGE_PAGES + 2) * 8 + 56 + 8)

static void large_body(void)
{
	static struct {
		uint16_t type, offset, length, flags;
		uint64_t transaction;
		uint32_t reserved, ranges, bytes, start;
		uint64_t pfn[LARGE_PAGES + 2];
		uint32_t wire[14];
		uint64_t trailer;
	} packet = {
		.type = TYPE_GPA_DIRECT,
		.offset = (32 + (LARGE_PAGES + 2) * 8) / 8,
		.length = (32 + (LARGE_PAGES + 2) * 8 + 56) / 8,
		.flags = WANT_COMPLETION,
		.transaction = 1,
		.ranges = 1,
		.bytes = (LARGE_PAGES + 2) * 4096,
		/* version, time-out, data, operation, request, response */
		.wire = { 0, 0, 0, LARGE_PAGES * 4096, LARGE_PAGES * 4096, 0x100,
			  LARGE_PAGES * 4096, HEAD_LENGTH, (LARGE_PAGES + 1) * 4096, 4096 },
	};

	_Static_assert(LARGE_PACKET == sizeof(packet) && LARGE_PACKET < RING_BYTES, "it fits");
	for (int i = 0; i < LARGE_PAGES; i++)
		packet.pfn[i] = (uint32_t)data_pages >> 12;
	packet.pfn[LARGE_PAGES] = (uint32_t)head_page >> 12;
	packet.pfn[LARGE_PAGES + 1] = (uint32_t)response_page >> 12;
	set_up_channel();
	send_raw(&packet, sizeof(packet));
	signal_host();
	expect_completion(1, OK);
}

static void close_waits(void)
{
	request(0);
	close_channel();
	teardown_gpadl(RING_GPADL);
	tell("asked");
	expect(MSG_GPADL_TORNDOWN);
	CHECK(KEPT_RESPONSE[0] == MARK);
	CHECK(!completion_waits());
	again();
}

static void teardown_waits(void)
{
	request(0);
	teardown_gpadl(RING_GPADL);
	tell("asked");
	expect(MSG_GPADL_TORNDOWN);
	CHECK(KEPT_RESPONSE[0] == MARK);
	again();
}

static void open_after_close_waits(void)
{
	uint32_t words[37] = { MSG_OPEN, 0, 0, 1, RING_GPADL, 0, RING_PAGES + 1 };

	request(0);
	close_channel();
	words[2] = relid;
	post_words(words, 37);
	tell("asked");
	expect(MSG_OPEN_RESULT);
	CHECK(KEPT_RESPONSE[0] == MARK);
	CHECK(message[4] == 0);
}

static void unload_waits(void)
{
	uint32_t words[2] = { MSG_UNLOAD, 0 };

	request(0);
	post_words(words, 2);
	tell("asked");
	expect(MSG_UNLOAD_RESPONSE);
	CHECK(KEPT_RESPONSE[0] == MARK);
}

static void contact_waits(void)
{
	uint32_t words[10] = { MSG_INITIATE_CONTACT, 0, VERSION(4, 0), 0 };

	request(0);
	post_words(words, 10);
	tell("asked");
	expect(MSG_VERSION_RESPONSE);
	CHECK(KEPT_RESPONSE[0] == MARK);
}

static void reset_waits(void)
{
	if (PAGE_KEPT[0] == RESET_DONE) {
		CHECK(KEPT_RESPONSE[0] == MARK);
		set_up_channel();
		return;
	}
	request(0);
	PAGE_KEPT[0] = RESET_DONE;
	tell("asked");
	reset_machine();
}

static void unplug(void)
{
	uint32_t words[3] = { MSG_RELID_RELEASED, 0, 0 };

	request(0);
	expect_completion(1, CANCELLED);
	CHECK(KEPT_RESPONSE[0] == MARK);
	expect(MSG_RESCIND);
	CHECK(message[2] == relid);
	tell("rescinded");
	words[2] = relid;
	post_words(words, 3);
	take_offer();
	again();
}

static void unplug_and_reset(void)
{
	if (PAGE_KEPT[0] == RESET_DONE) {
		uint32_t words[2] = { MSG_REQUEST_OFFERS, 0 };

		CHECK(connect_bus(VERSION(5, 3)));
		post_words(words, 2);
		expect(MSG_ALL_OFFERS);
		return;
	}
	request(0);
	expect_completion(1, CANCELLED);
	expect(MSG_RESCIND);
	/* This guest never releases the channel. */
	PAGE_KEPT[0] = RESET_DONE;
	reset_machine();
}

/* For tests that plug the device in later */
static void plug(void)
{
	uint32_t words[2] = { MSG_REQUEST_OFFERS, 0 };

	CHECK(connect_bus(VERSION(5, 3)));
	post_words(words, 2);
	expect(MSG_ALL_OFFERS);
	tell("ready");
	take_offer();
	again();
}

/* For tests that need a bus and no traffic */
static void idle(void)
{
	CHECK(connect_bus(VERSION(5, 3)));
	tell("ready");
	for (;;)
		__asm__ volatile("hlt");
}

const struct test_case fence_cases[] = {
	{ "ends-well", ends_well },
	{ "times-out", times_out },
	{ "times-out-later", times_out_later },
	{ "buffer-outlives-a-pause", buffer_outlives_a_pause },
	{ "times-out-unseen", times_out_unseen },
	{ "ends-in-failure", ends_in_failure },
	{ "large-body", large_body },
	{ "close-waits", close_waits },
	{ "teardown-waits", teardown_waits },
	{ "open-after-close-waits", open_after_close_waits },
	{ "unload-waits", unload_waits },
	{ "contact-waits", contact_waits },
	{ "reset-waits", reset_waits },
	{ "unplug", unplug },
	{ "unplug-and-reset", unplug_and_reset },
	{ "plug", plug },
	{ "idle", idle },
	{ 0, 0 },
};
