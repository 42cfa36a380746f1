// SPDX-License-Identifier: MIT
/*
 * What a guest sees of the faults that the emulator makes.  The faults are set
 * before the program starts; it looks at the ring as it is, and tells.
 */
#include "vmbus.h"

#define OK 0u
#define CANCELLED 0x800703e3u
#define RESET_DONE 0xfa017u

/* --- what comes, word for word --- */

static void put_number(uint32_t n)
{
	if (n >= 10)
		put_number(n / 10);
	outb(DEBUG_PORT, '0' + n % 10);
}

static void put(const char *before, uint32_t n)
{
	for (; *before; before++)
		outb(DEBUG_PORT, *before);
	put_number(n);
}

static uint32_t word_at(uint32_t at)
{
	return *(volatile uint32_t *)(from_host.data + at % RING_BYTES);
}

/* "type 11 id 3 bytes 16 words 12 0 1": the next packet in the ring, taken */
static bool tell_packet(void)
{
	uint32_t at = from_host.read, quads = word_at(at + 4) & 0xffff;
	uint32_t bytes = quads * 8 - (word_at(at) >> 16) * 8;

	put("type ", word_at(at) & 0xffff);
	put(" id ", word_at(at + 8));
	put(" bytes ", bytes);
	if (quads * 8 + 8 > RING_BYTES - 1 || bytes > RING_BYTES) {
		/* There is no knowing where the next one starts. */
		outb(DEBUG_PORT, '\n');
		return false;
	}
	put(" words ", word_at(at + 16));
	put(" ", word_at(at + 20));
	put(" ", word_at(at + 24));
	outb(DEBUG_PORT, '\n');
	__sync_synchronize();
	from_host.read = (at + quads * 8 + 8) % RING_BYTES;
	__sync_synchronize();
	return true;
}

#define BURST 6

/* Six requests at once, then all that comes, for as long as the test likes. */
static void tells_what_comes(void)
{
	struct packet p = good_packet();
	bool wild = false;

	set_up_channel();
	for (int i = 1; i <= BURST; i++)
		send_packet(&p, i);
	for (;;) {
		uint32_t index = from_host.write;

		if (index >= RING_BYTES) {
			if (!wild)
				tell("wild index");
			wild = true;
			continue;
		}
		wild = false;
		if (from_host.read != index && !tell_packet())
			break;
	}
	for (;;)
		__asm__ volatile("pause");
}

/* --- interrupts --- */

static bool told(void)
{
	return PAGE_B[VMBUS_SINT * 256 + relid / 8] & 1 << relid % 8;
}

static void interrupt_is_dropped(void)
{
	struct packet p = good_packet();

	set_up_channel();
	send_packet(&p, 1);
	expect_completion(1, OK);
	/* The second one's interrupt tells that the first one's is not just late. */
	CHECK(!told());
	send_packet(&p, 2);
	expect_completion(2, OK);
	CHECK(EVENTUALLY(told()));
}

/* Interrupted with an empty ring, by a fault or by command */
static void interrupt_without_reason(void)
{
	struct packet p = good_packet();

	set_up_channel();
	send_packet(&p, 1);
	tell("sent");
	CHECK(EVENTUALLY(told()));
	CHECK(!completion_waits());
	tell("told");
	expect_completion(1, OK);
}

/* --- the ring that this side writes --- */

static void read_index_is_wild(void)
{
	struct packet p = good_packet();

	set_up_channel();
	send_packet(&p, 1);
	expect_completion(1, OK);
	CHECK(to_host.read == ~0u);
	/* This guest helps itself; the host's next one is right. */
	to_host.read = to_host.write;
	send_packet(&p, 2);
	expect_completion(2, OK);
	CHECK(EVENTUALLY(to_host.read == to_host.write));
}

/* --- the bus --- */

static void gpadl_is_refused(void)
{
	static const uint64_t pfns[] = { 0x300, 0x301 };

	CHECK(connect_bus(VERSION(5, 3)));
	take_offers();
	send_gpadl(5, pfns, 2);
	expect(MSG_GPADL_CREATED);
	CHECK(message[2] == relid && message[3] == 5 && message[4] == 0xc000009a);
	/* There is none, so its name is free. */
	send_gpadl(5, pfns, 2);
	expect(MSG_GPADL_CREATED);
	CHECK(message[3] == 5 && message[4] == 0);
	teardown_gpadl(5);
	expect(MSG_GPADL_TORNDOWN);
	open_rings();
}

static void open_is_refused(void)
{
	struct packet p = good_packet();

	CHECK(connect_bus(VERSION(5, 3)));
	take_offers();
	create_gpadl(7, 0x300000, 2 * (RING_PAGES + 1));
	CHECK(open_channel(7, RING_PAGES + 1) == 0xc0000001);
	teardown_gpadl(7);
	expect(MSG_GPADL_TORNDOWN);
	open_rings();
	send_packet(&p, 1);
	expect_completion(1, OK);
}

/* --- rescinds --- */

static void release_and_use_again(void)
{
	static const uint64_t pfns[] = { 0x300 };
	uint32_t words[3] = { MSG_RELID_RELEASED, 0, 0 };
	struct packet p = good_packet();
	uint32_t old = relid;

	/* What comes next is an answer, not the offer, which waits for the release. */
	send_gpadl(99, pfns, 1);
	expect(MSG_GPADL_CREATED);
	words[2] = old;
	post_words(words, 3);
	take_offer();
	open_rings();
	send_packet(&p, 2);
	expect_completion(2, OK);
}

static void send_one(void)
{
	struct packet p = good_packet();

	set_up_channel();
	send_packet(&p, 1);
	tell("sent");
}

static void rescind_with_completion(void)
{
	send_one();
	CHECK(EVENTUALLY(message_waits()));
	expect_completion(1, OK);
	expect(MSG_RESCIND);
	CHECK(message[2] == relid);
	release_and_use_again();
}

static void rescind_with_silent_completion(void)
{
	send_one();
	CHECK(EVENTUALLY(message_waits()));
	CHECK(!told());
	expect_completion(1, OK);
	expect(MSG_RESCIND);
	release_and_use_again();
}

static void rescind_after_completion(void)
{
	send_one();
	expect_completion(1, OK);
	CHECK(EVENTUALLY(told()));
	expect(MSG_RESCIND);
	release_and_use_again();
}

static void rescind_instead_of_completion(void)
{
	send_one();
	expect(MSG_RESCIND);
	CHECK(!completion_waits());
	release_and_use_again();
}

/* By command, with a request in flight */
static void rescind_gives_back(void)
{
	send_one();
	expect_completion(1, CANCELLED);
	expect(MSG_RESCIND);
	release_and_use_again();
}

/* Without a release a reset does it. */
static void rescind_and_reset(void)
{
	struct packet p = good_packet();

	if (PAGE_KEPT[0] == RESET_DONE) {
		set_up_channel();
		send_packet(&p, 3);
		expect_completion(3, OK);
		return;
	}
	send_one();
	expect_completion(1, CANCELLED);
	expect(MSG_RESCIND);
	PAGE_KEPT[0] = RESET_DONE;
	reset_machine();
}

/* Waits for the test, which counts what it sees from outside. */
static void idles_with_two_requests(void)
{
	struct packet p = reading_packet(5000);

	set_up_channel();
	send_packet(&p, 11);
	send_packet(&p, 12);
	tell("sent");
	expect_completion(11, OK);
	expect_completion(12, OK);
}

/*
 * As many as the rig holds, as the device has requests, and some that stay in the
 * ring; the device needs no backend to answer them.
 */
#define MANY (4096 + 16 + 100)

static void more_completions_than_are_held(void)
{
	struct packet p = good_packet();

	set_up_channel();
	p.operation = 0x999;
	for (int i = 1; i <= MANY; i++)
		send_packet(&p, i);
	tell("sent");
	for (int i = 1; i <= MANY; i++)
		CHECK(take_completion().transaction == (uint64_t)i);
}

const struct test_case fault_cases[] = {
	{ "tells-what-comes", tells_what_comes },
	{ "interrupt-is-dropped", interrupt_is_dropped },
	{ "interrupt-without-reason", interrupt_without_reason },
	{ "read-index-is-wild", read_index_is_wild },
	{ "gpadl-is-refused", gpadl_is_refused },
	{ "open-is-refused", open_is_refused },
	{ "rescind-with-completion", rescind_with_completion },
	{ "rescind-with-silent-completion", rescind_with_silent_completion },
	{ "rescind-after-completion", rescind_after_completion },
	{ "rescind-instead-of-completion", rescind_instead_of_completion },
	{ "rescind-gives-back", rescind_gives_back },
	{ "rescind-and-reset", rescind_and_reset },
	{ "idles-with-two-requests", idles_with_two_requests },
	{ "more-completions-than-are-held", more_completions_than_are_held },
	{ 0, 0 },
};
