// SPDX-License-Identifier: MIT
/*
 * What emulator/AUDIT.md found that a guest could do to QEMU's VMBus, beyond the
 * messages of bus_cases.c and the packets of packet_cases.c.
 */
#include "vmbus.h"

#define OK 0u
#define BAD_PACKET 0x8007000du
#define CANCELLED 0x800703e3u
#define RESET_DONE 0xa0d17u

static void works(void)
{
	struct packet p = good_packet();

	set_up_channel();
	send_packet(&p, 1);
	expect_completion(1, OK);
}

/* --- GPADLs --- */

#define PARTIAL 7
#define PARTIAL_PAGES 30

/* The header alone, which holds 26 of the 30 pages */
static void begin_gpadl(uint32_t id)
{
	uint32_t words[60] = { MSG_GPADL_HEADER, 0, relid, id };

	words[4] = (8 + PARTIAL_PAGES * 8) | 1 << 16;
	words[5] = PARTIAL_PAGES * 4096;
	for (int i = 0; i < 26; i++)
		words[7 + 2 * i] = 0x300 + i;
	post_words(words, 59);
}

static void end_gpadl(uint32_t id)
{
	uint32_t words[12] = { MSG_GPADL_BODY, 0, 0, id, 0x31a, 0, 0x31b, 0, 0x31c, 0, 0x31d, 0 };

	post_words(words, 12);
}

/*
 * The backend keeps a request, so the answer to the teardown is held back; the
 * missing pages come after it, and more teardowns.
 */
static void pages_for_a_gpadl_on_its_way_out(void)
{
	struct packet p = good_packet();

	set_up_channel();
	send_packet(&p, 1);
	CHECK(EVENTUALLY(to_host.read == to_host.write));
	begin_gpadl(PARTIAL);
	teardown_gpadl(PARTIAL);
	end_gpadl(PARTIAL);
	teardown_gpadl(PARTIAL);
	/* Others are still made meanwhile: all of the above has been looked at. */
	create_gpadl(PARTIAL + 1, 0x300000, 3);
	tell("sent");
	expect_completion(1, OK);
	expect(MSG_GPADL_TORNDOWN);
	CHECK(message[2] == PARTIAL);
	/* Once only, and its id is free. */
	create_gpadl(PARTIAL, 0x300000, 3);
}

static void gpadl_is_torn_down_in_every_state(void)
{
	uint32_t words[3] = { MSG_CLOSE, 0, 0 };

	CHECK(connect_bus(VERSION(5, 3)));
	take_offers();

	/* never made: no answer, which the next one shows */
	teardown_gpadl(PARTIAL);
	/* not all of it there */
	begin_gpadl(PARTIAL);
	teardown_gpadl(PARTIAL);
	expect(MSG_GPADL_TORNDOWN);
	CHECK(message[2] == PARTIAL);
	end_gpadl(PARTIAL);
	/* made and not used */
	begin_gpadl(PARTIAL);
	end_gpadl(PARTIAL);
	expect(MSG_GPADL_CREATED);
	CHECK(message[3] == PARTIAL && message[4] == 0);
	teardown_gpadl(PARTIAL);
	expect(MSG_GPADL_TORNDOWN);
	/* torn down already */
	teardown_gpadl(PARTIAL);
	/* the rings of a channel that was closed, and of one that is open */
	open_rings();
	words[2] = relid;
	post_words(words, 3);
	teardown_gpadl(RING_GPADL);
	expect(MSG_GPADL_TORNDOWN);
	CHECK(message[2] == RING_GPADL);
	open_rings();
	teardown_gpadl(RING_GPADL);
	expect(MSG_GPADL_TORNDOWN);
	CHECK(message[2] == RING_GPADL);
	/* open() was refused */
	create_gpadl(PARTIAL, 0x300000, 3);
	CHECK(open_channel(PARTIAL, 0) != 0);
	teardown_gpadl(PARTIAL);
	expect(MSG_GPADL_TORNDOWN);
	works();
}

static void gpadl_of_another_channel_is_no_ring(void)
{
	uint32_t ours;

	CHECK(connect_bus(VERSION(5, 3)));
	take_offers();
	ours = relid;
	for (int other = 1; other < 3; other++) {
		relid = ours + other;
		create_gpadl(RING_GPADL, 0x300000, 2 * RING_PAGES + 2);
		relid = ours;
		CHECK(open_channel(RING_GPADL, RING_PAGES + 1) != 0);
		teardown_gpadl(RING_GPADL);
		expect(MSG_GPADL_TORNDOWN);
	}
	open_rings();
}

/* --- rings --- */

/* Zeroed rings at 3 MiB, with these indices when the channel is opened */
static uint32_t open_with(uint32_t host_reads_at, uint32_t host_writes_at)
{
	uint32_t status;

	for (volatile uint32_t *w = (uint32_t *)0x300000; w < (uint32_t *)0x320000; w++)
		*w = 0;
	((volatile uint32_t *)0x300000)[1] = host_reads_at;
	((volatile uint32_t *)(0x300000 + (RING_PAGES + 1) * 4096))[0] = host_writes_at;
	create_gpadl(RING_GPADL, 0x300000, 2 * RING_PAGES + 2);
	status = open_channel(RING_GPADL, RING_PAGES + 1);
	if (!status)
		close_channel();
	teardown_gpadl(RING_GPADL);
	expect(MSG_GPADL_TORNDOWN);
	return status;
}

static void indices_are_checked_at_open(void)
{
	static const uint32_t bad[] = { RING_BYTES, RING_BYTES + 1, 0x7fffffff, 0x80000000, ~0u };

	CHECK(connect_bus(VERSION(5, 3)));
	take_offers();
	for (int i = 0; i < 5; i++) {
		CHECK(open_with(bad[i], 0) != 0);
		CHECK(open_with(0, bad[i]) != 0);
	}
	/* odd ones are the guest's own affair */
	CHECK(open_with(RING_BYTES - 1, 3) == 0);
	works();
}

/*
 * A packet of 4192 bytes and a trailer, of which a recording keeps 105: the next
 * one begins at the same place, one page further, as the recording has ended.
 */
static void two_packets_while_recorded(void)
{
	static struct {
		uint16_t type, offset, length, flags;
		uint64_t transaction;
		uint8_t payload[4192 - 16];
		uint64_t trailer;
	} large = { TYPE_INBAND, 2, 4192 / 8, WANT_COMPLETION, 1, { 0 }, 0 };
	static struct {
		uint16_t type, offset, length, flags;
		uint64_t transaction;
		uint64_t trailer;
	} small = { TYPE_INBAND, 2, 2, WANT_COMPLETION, 2, 0 };

	set_up_channel();
	send_raw(&large, sizeof(large));
	send_raw(&small, sizeof(small));
	signal_host();
	expect_completion(1, BAD_PACKET);
	expect_completion(2, BAD_PACKET);
}

/* --- versions before the SynIC's event flags: one page of bits for all channels --- */

#define INT_PAGE 0x280000u
#define EVENT_CONNECTION 2

static bool connect_old(uint32_t wanted, uint64_t page)
{
	uint32_t words[10] = { MSG_INITIATE_CONTACT, 0, wanted, 0, page, page >> 32 };

	/* SynIC and hypercalls */
	CHECK(!connect_bus(0));
	post_words(words, 10);
	expect(MSG_VERSION_RESPONSE);
	return message[2] & 0xff;
}

static void oldest_versions_have_an_interrupt_page(void)
{
	static const uint32_t versions[] = { VERSION(0, 13), VERSION(1, 1) };
	volatile uint32_t *to_guest = (uint32_t *)INT_PAGE;
	volatile uint32_t *from_guest = (uint32_t *)(INT_PAGE + 2048);

	for (int i = 0; i < 2; i++) {
		static uint8_t again[256];
		struct packet p = good_packet();
		uint32_t bytes;

		for (int j = 0; j < 1024; j++)
			to_guest[j] = 0;
		CHECK(connect_old(versions[i], INT_PAGE));
		take_offers();
		open_rings();
		send_packet(&p, 1);
		expect_completion(1, OK);
		/* The other way is a bit in the page, and is left in it for the guest. */
		CHECK(EVENTUALLY(to_guest[relid / 32] & 1u << relid % 32));

		/* The same bytes once more, and nothing but a bit in the page */
		bytes = to_host.write;
		CHECK(bytes < sizeof(again));
		for (uint32_t j = 0; j < bytes; j++)
			again[j] = to_host.data[j];
		send_raw(again, bytes);
		/* bits of channels that there are not as well */
		from_guest[63] = ~0u;
		from_guest[relid / 32] |= 1u << relid % 32;
		CHECK(hypercall(HV_SIGNAL_EVENT | HV_FAST, EVENT_CONNECTION) == HV_SUCCESS);
		expect_completion(1, OK);
		CHECK(!(from_guest[relid / 32] & 1u << relid % 32));
	}
}

static void interrupt_page_that_is_no_memory(void)
{
	static const uint64_t places[] = { 0xfee00000, 0xfec00000, 0xfffff000,
					   0x80000000, 0xa0000,    ~0xfffull };
	struct packet p = good_packet();

	for (int i = 0; i < 6; i++) {
		CHECK(connect_old(VERSION(1, 1), places[i]));
		take_offers();
		open_rings();
		send_packet(&p, 1);
		expect_completion(1, OK);
		CHECK(hypercall(HV_SIGNAL_EVENT | HV_FAST, EVENT_CONNECTION) == HV_SUCCESS);
	}
	works();
}

/* --- messages that can't be sent --- */

static void post_contact(uint32_t processor)
{
	uint32_t words[10] = { MSG_INITIATE_CONTACT, 0, VERSION(4, 0), processor };

	message_connection = VMBUS_CONNECTION;
	post_words(words, 10);
}

/* None of it is worth a line in the host's log. */
static void guests_mistakes_are_its_own(void)
{
	if (PAGE_KEPT[0] == RESET_DONE) {
		works();
		return;
	}
	PAGE_KEPT[0] = RESET_DONE;
	CHECK(connect_bus(VERSION(4, 0)));
	wrmsr(HV_MSR_SIMP, 0);
	/* more than the queue holds, so most of them have been answered */
	for (int i = 0; i < 200; i++)
		post_contact(0);
	for (int i = 0; i < 200; i++)
		post_contact(77 + i);
	reset_machine();
}

static void leaves_messages_in_the_queue(void)
{
	CHECK(connect_bus(VERSION(5, 3)));
	/* The answer to the first is not taken, that to the second waits for it. */
	for (int i = 0; i < 6; i++)
		post_contact(0);
	CHECK(EVENTUALLY(((volatile struct hv_message *)PAGE_A + VMBUS_SINT)->flags & 1));
	tell("ready");
	for (;;)
		__asm__ volatile("pause");
}

static void opens_and_idles(void)
{
	set_up_channel();
	tell("ready");
	for (;;)
		__asm__ volatile("pause");
}

/* --- one processor signals what the other one closes --- */

static volatile bool stop_signalling;
static volatile uint32_t signals, refused;

static void ap_signals(void)
{
	while (!stop_signalling) {
		if (hypercall(HV_SIGNAL_EVENT | HV_FAST, connection) == HV_SUCCESS)
			signals++;
		else
			refused++;
	}
	stop_signalling = false;
	for (;;)
		__asm__ volatile("pause");
}

static void signals_while_the_channel_closes(void)
{
	works();
	start_second_cpu(ap_signals);
	for (int i = 0; i < 100; i++) {
		struct packet p = good_packet();
		uint32_t before = signals;

		CHECK(EVENTUALLY(signals != before));
		before = refused;
		teardown_gpadl(RING_GPADL);
		expect(MSG_GPADL_TORNDOWN);
		CHECK(EVENTUALLY(refused != before));
		open_rings();
		send_packet(&p, 2);
		expect_completion(2, OK);
	}
	stop_signalling = true;
	CHECK(EVENTUALLY(!stop_signalling));
}

const struct test_case audit_cases[] = {
	{ "pages-for-a-gpadl-on-its-way-out", pages_for_a_gpadl_on_its_way_out },
	{ "gpadl-is-torn-down-in-every-state", gpadl_is_torn_down_in_every_state },
	{ "gpadl-of-another-channel-is-no-ring", gpadl_of_another_channel_is_no_ring },
	{ "indices-are-checked-at-open", indices_are_checked_at_open },
	{ "two-packets-while-recorded", two_packets_while_recorded },
	{ "oldest-versions-have-an-interrupt-page", oldest_versions_have_an_interrupt_page },
	{ "interrupt-page-that-is-no-memory", interrupt_page_that_is_no_memory },
	{ "guests-mistakes-are-its-own", guests_mistakes_are_its_own },
	{ "leaves-messages-in-the-queue", leaves_messages_in_the_queue },
	{ "opens-and-idles", opens_and_idles },
	{ "signals-while-the-channel-closes", signals_while_the_channel_closes },
	{ 0, 0 },
};
