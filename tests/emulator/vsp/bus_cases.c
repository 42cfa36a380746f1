// SPDX-License-Identifier: MIT
/* Messages to the bus, most of them such as no guest should send. */
#include "vmbus.h"

static void works(void)
{
	struct packet p = good_packet();

	set_up_channel();
	send_packet(&p, 1);
	expect_completion(1, 0);
}

static void versions_up_to_5_3(void)
{
	static const uint32_t good[] = { VERSION(4, 0), VERSION(4, 1), VERSION(5, 0),
					 VERSION(5, 1), VERSION(5, 2), VERSION(5, 3) };
	static const uint32_t bad[] = { 0, VERSION(4, 2), VERSION(5, 4), VERSION(6, 0), ~0u };

	for (int i = 0; i < 5; i++)
		CHECK(!connect_bus(bad[i]));
	for (int i = 0; i < 6; i++) {
		struct packet p = good_packet();

		CHECK(connect_bus(good[i]));
		take_offers();
		open_rings();
		send_packet(&p, i);
		expect_completion(i, 0);
	}
}

static void newest_version_is_capped(void)
{
	CHECK(!connect_bus(VERSION(5, 3)));
	CHECK(!connect_bus(VERSION(5, 0)));
	CHECK(connect_bus(VERSION(4, 1)));
	take_offers();
	open_rings();
}

static void processor_of_a_channel_is_changed(void)
{
	uint32_t words[4] = { MSG_MODIFY_CHANNEL, 0, 0, 0 };

	works();
	words[2] = relid;
	post_words(words, 4);
	expect(MSG_MODIFY_RESPONSE);
	CHECK(message[2] == relid && message[3] == 0);

	words[3] = 77; /* there is no such processor */
	post_words(words, 4);
	expect(MSG_MODIFY_RESPONSE);
	CHECK(message[3] != 0);

	words[2] = 99; /* nor channel */
	words[3] = 0;
	post_words(words, 4);
	expect(MSG_MODIFY_RESPONSE);
	CHECK(message[2] == 99 && message[3] != 0);
}

static void body_after_the_last_page(void)
{
	uint32_t words[8] = { MSG_GPADL_BODY, 0, 0, 5 };

	CHECK(connect_bus(VERSION(5, 3)));
	take_offers();
	create_gpadl(5, 0x300000, 3);
	post_words(words, 8);
	post_words(words, 8);
	teardown_gpadl(5);
	expect(MSG_GPADL_TORNDOWN);
}

static void gpadl_lengths(void)
{
	/* range_buflen and rangecount; byte_count; byte_offset; a page */
	static const uint32_t bad[][5] = {
		{ 0 | 1 << 16, 4096, 0, 0x300, 0 },  { 7 | 1 << 16, 4096, 0, 0x300, 0 },
		{ 8 | 1 << 16, 0, 0, 0x300, 0 },     { 16 | 0 << 16, 4096, 0, 0x300, 0 },
		{ 16 | 2 << 16, 4096, 0, 0x300, 0 }, { 16 | 1 << 16, 4096, 1, 0x300, 0 },
		{ 16 | 1 << 16, 8192, 0, 0x300, 0 }, { 0xffff | 1 << 16, 4096, 0, 0x300, 0 },
	};

	CHECK(connect_bus(VERSION(5, 3)));
	take_offers();
	for (int i = 0; i < 8; i++) {
		uint32_t words[9] = { MSG_GPADL_HEADER, 0, relid, 100 + i };

		for (int j = 0; j < 5; j++)
			words[4 + j] = bad[i][j];
		post_words(words, 9);
		/* a header cut short as well */
		post_words(words, 5);
	}
	/* None was made, and none is being made. */
	open_rings();
}

static void more_gpadls_than_allowed(void)
{
	static uint64_t pfn = 0x300;

	CHECK(connect_bus(VERSION(5, 3)));
	take_offers();
	for (uint32_t id = 1; id <= 1100; id++) {
		send_gpadl(id, &pfn, 1);
		/* Those beyond the limit get no answer. */
		if (id <= 1024)
			expect(MSG_GPADL_CREATED);
	}
	teardown_gpadl(1);
	expect(MSG_GPADL_TORNDOWN);
	/* That made room for one. */
	send_gpadl(2000, &pfn, 1);
	expect(MSG_GPADL_CREATED);
	CHECK(message[3] == 2000);
}

static void bad_opens_fail(void)
{
	static const uint32_t offsets[] = { 0,   1,       2 * RING_PAGES + 1, 2 * RING_PAGES + 2,
					    ~0u, ~0u - 1, 0x7fffffff };

	CHECK(connect_bus(VERSION(5, 3)));
	take_offers();
	CHECK(open_channel(12345, 2) != 0);
	create_gpadl(RING_GPADL, 0x300000, 2 * RING_PAGES + 2);
	for (int i = 0; i < 7; i++)
		CHECK(open_channel(RING_GPADL, offsets[i]) != 0);
	teardown_gpadl(RING_GPADL);
	expect(MSG_GPADL_TORNDOWN);
	CHECK(open_channel(RING_GPADL, RING_PAGES + 1) != 0);
	open_rings();
}

/* Rings in an APIC, a ROM, in nothing: the channel may open, but nothing breaks. */
static void rings_that_are_no_memory(void)
{
	static const uint64_t places[] = { 0xfee00, 0xfec00, 0xfffff, 0x80000, 0x800000000, ~0ull };
	static uint64_t pfns[2 * (RING_PAGES + 1)];
	struct packet p = good_packet();

	CHECK(connect_bus(VERSION(5, 3)));
	take_offers();
	for (int place = 0; place < 6; place++) {
		/* the header page of either ring, or a page of its data */
		for (int i = 0; i < 4; i++) {
			for (int j = 0; j < 2 * (RING_PAGES + 1); j++)
				pfns[j] = 0x300 + j;
			pfns[i / 2 * (RING_PAGES + 1) + i % 2] = places[place];
			for (uint32_t *w = (uint32_t *)0x300000; w < (uint32_t *)0x320000; w++)
				*w = 0;
			send_gpadl(RING_GPADL, pfns, 2 * (RING_PAGES + 1));
			expect(MSG_GPADL_CREATED);
			if (open_channel(RING_GPADL, RING_PAGES + 1) == 0) {
				/* something to read, and something to answer */
				((volatile uint32_t *)0x300000)[0] = 256;
				signal_host();
				close_channel();
			}
			teardown_gpadl(RING_GPADL);
			expect(MSG_GPADL_TORNDOWN);
		}
	}
	open_rings();
	send_packet(&p, 1);
	expect_completion(1, 0);
}

static void unload_before_contact(void)
{
	uint32_t words[2] = { MSG_UNLOAD, 0 };

	enable_hypercalls();
	post_words(words, 2);
	works();
}

static void contact_without_a_processor(void)
{
	uint32_t words[10] = { MSG_INITIATE_CONTACT, 0, VERSION(4, 0), ~0u };

	enable_hypercalls();
	post_words(words, 10);
	words[3] = 77;
	post_words(words, 10);
	works();
}

static void released_while_in_use(void)
{
	uint32_t words[3] = { MSG_RELID_RELEASED, 0, 0 };
	struct packet p = good_packet();

	works();
	words[2] = relid;
	post_words(words, 3);
	words[2] = 1234;
	post_words(words, 3);
	send_packet(&p, 2);
	expect_completion(2, 0);
}

static void teardown_closes(void)
{
	struct packet p = good_packet();

	works();
	teardown_gpadl(RING_GPADL);
	expect(MSG_GPADL_TORNDOWN);
	open_rings();
	send_packet(&p, 2);
	expect_completion(2, 0);
}

static void unload_and_load(void)
{
	uint32_t words[2] = { MSG_UNLOAD, 0 };

	for (int i = 0; i < 3; i++) {
		works();
		post_words(words, 2);
		expect(MSG_UNLOAD_RESPONSE);
	}
}

static uint32_t next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* Messages of every type with words that are often almost right */
static void random_messages(void)
{
	static const uint32_t likely[] = { 0,    1,     2,     3,       16,  0x10010,   4096,
					   8192, 0x1e1, 0x300, 0x50003, ~0u, 0x80000000 };
	static volatile struct hv_message *slot = (volatile struct hv_message *)PAGE_A + VMBUS_SINT;
	static struct hv_post_message post __attribute__((aligned(512)));
	uint32_t seed = 0x2545f491;

	works();
	for (int i = 0; i < 20000; i++) {
		post.connection = VMBUS_CONNECTION;
		post.type = next_random(&seed) % 50 ? 1 : next_random(&seed);
		post.size = next_random(&seed) % 4 ? 60 : next_random(&seed) % 250;
		post.payload[0] = next_random(&seed) % 26;
		for (int j = 1; j < 60; j++)
			post.payload[j] = next_random(&seed) % 3 ? likely[next_random(&seed) % 13]
								 : next_random(&seed);
		/* whether it is taken is the host's affair */
		hypercall(HV_POST_MESSAGE, (uint32_t)&post);
		if (slot->type) {
			slot->type = 0;
			__sync_synchronize();
			wrmsr(HV_MSR_EOM, 0);
		}
		if (i % 7 == 0)
			hypercall(HV_SIGNAL_EVENT | HV_FAST, next_random(&seed) % 20);
	}
	/* What still comes belongs to those. */
	reset_machine();
}

static void random_messages_then_reset(void)
{
	if (PAGE_KEPT[0] == 0x600d) {
		works();
		return;
	}
	PAGE_KEPT[0] = 0x600d;
	random_messages();
}

const struct test_case bus_cases[] = {
	{ "versions-up-to-five-three", versions_up_to_5_3 },
	{ "newest-version-is-capped", newest_version_is_capped },
	{ "processor-of-a-channel-is-changed", processor_of_a_channel_is_changed },
	{ "body-after-the-last-page", body_after_the_last_page },
	{ "gpadl-lengths", gpadl_lengths },
	{ "more-gpadls-than-allowed", more_gpadls_than_allowed },
	{ "bad-opens-fail", bad_opens_fail },
	{ "rings-that-are-no-memory", rings_that_are_no_memory },
	{ "unload-before-contact", unload_before_contact },
	{ "contact-without-a-processor", contact_without_a_processor },
	{ "released-while-in-use", released_while_in_use },
	{ "teardown-closes", teardown_closes },
	{ "unload-and-load", unload_and_load },
	{ "random-messages-then-reset", random_messages_then_reset },
	{ 0, 0 },
};
