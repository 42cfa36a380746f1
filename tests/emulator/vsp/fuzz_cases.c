// SPDX-License-Identifier: MIT
/*
 * A guest that does what a script of bytes says: MSRs, hypercalls, messages, GPADLs,
 * rings, packets, in any order and with any values.  Every byte string is a script.
 * Nothing is checked here: what counts is that QEMU and the backend go on.
 */
#include "vmbus.h"

static uint8_t next_byte(void)
{
	return script < script_end ? *script++ : 0;
}

static uint32_t next_word(void)
{
	uint32_t word = 0;

	for (int i = 0; i < 4; i++)
		word = word << 8 | next_byte();
	return word;
}

/* Values that matter come up more often than chance would have them. */
static uint32_t next_value(void)
{
	static const uint32_t likely[] = {
		0,
		1,
		2,
		3,
		7,
		8,
		16,
		56,
		100,
		4095,
		4096,
		8192,
		0x10010,
		0x10018,
		0x10098,
		0x1e1,
		0x300,
		0x301,
		0xfee00,
		0x80000000,
		~0u,
		~0u - 1,
		RING_BYTES,
		RING_BYTES - 8,
		VERSION(4, 0),
		VERSION(5, 3),
		VERSION(6, 0),
		RING_PAGES + 1,
		2 * RING_PAGES + 2,
	};
	uint8_t which = next_byte();

	if (which < sizeof(likely) / sizeof(likely[0]))
		return likely[which];
	switch (which % 6) {
	case 0:
		return next_byte();
	case 1:
		return next_byte() << 8 | next_byte();
	case 2:
		return relid;
	case 3:
		return (uint32_t)(which & 64 ? &to_host : &from_host) >> 12;
	case 4:
		return which;
	default:
		return next_word();
	}
}

static volatile struct hv_message *slot(void)
{
	return (volatile struct hv_message *)PAGE_A + VMBUS_SINT;
}

static void take_messages(void)
{
	for (int i = 0; i < 2000 && slot()->type; i++) {
		if (slot()->payload[0] == MSG_OFFER) {
			relid = slot()->payload[46];
			connection = slot()->payload[48];
		}
		slot()->type = 0;
		__sync_synchronize();
		wrmsr(HV_MSR_EOM, 0);
		for (int wait = 0; wait < 20000 && !slot()->type; wait++)
			__asm__ volatile("pause" ::: "memory");
	}
}

static void post_any(void)
{
	static struct hv_post_message post __attribute__((aligned(512)));
	uint8_t how = next_byte();

	post.connection = how & 1 ? next_value() : how & 2 ? 4 : 1;
	post.reserved = how & 4 && how & 8 ? next_value() : 0;
	post.type = how & 16 && how & 32 ? next_value() : 1;
	post.size = how & 64 ? next_value() : 240;
	post.payload[0] = next_byte() % 27;
	post.payload[1] = 0;
	for (int i = 2, n = next_byte() % 60; i < n; i++)
		post.payload[i] = next_value();
	hypercall(HV_POST_MESSAGE, (uint32_t)&post + (how & 128 && how & 4 ? next_value() : 0));
}

static void any_msr(void)
{
	static const uint32_t msrs[] = {
		HV_MSR_GUEST_OS_ID,
		HV_MSR_VP_INDEX,
		HV_MSR_TIME_REF_COUNT,
		HV_MSR_REFERENCE_TSC,
		HV_MSR_VP_ASSIST_PAGE,
		HV_MSR_SCONTROL,
		HV_MSR_SVERSION,
		HV_MSR_SIEFP,
		HV_MSR_SIMP,
		HV_MSR_EOM,
		HV_MSR_SINT0,
		HV_MSR_SINT0 + 1,
		HV_MSR_SINT0 + VMBUS_SINT,
		HV_MSR_SINT0 + 15,
		HV_MSR_STIMER0_CONFIG,
		HV_MSR_CRASH_P0,
		HV_MSR_CRASH_CTL,
	};
	uint8_t how = next_byte();
	uint32_t msr = how & 1 ? 0x40000000 + next_value() % 0x200
			       : msrs[next_byte() % (sizeof(msrs) / sizeof(msrs[0]))];
	uint64_t value = next_value() | (uint64_t)(how & 2 ? next_value() : 0) << 32;

	/* The hypercall page stays where it is, and so does the program. */
	if (msr == HV_MSR_HYPERCALL || msr == HV_MSR_RESET)
		return;
	if (how & 4)
		rdmsr_fault(msr, &value);
	else
		wrmsr_fault(msr, value);
}

static void any_packet(void)
{
	uint8_t how = next_byte();
	struct packet p = how & 1   ? writing_packet(next_value() % 6000)
			  : how & 2 ? reading_packet(next_value() % 6000)
				    : good_packet();
	uint32_t *words = (uint32_t *)&p;

	for (int i = 0, n = next_byte() % 5; i < n; i++)
		words[next_byte() % 14] = next_value();
	if (how & 4)
		p.type = next_byte() % 16;
	if (how & 8)
		p.flags = next_byte();
	if (how & 16)
		p.range_bytes = next_value();
	if (how & 32)
		p.pfn[next_byte() % 4] = next_value();
	if (how & 64)
		p.length = next_byte();
	if (how & 128)
		p.ranges = next_value() % 3;
	if (free_bytes() > 400 && to_host.write < RING_BYTES && to_host.write % 8 == 0)
		send_packet(&p, next_byte());
}

static void any_ring_word(void)
{
	uint8_t how = next_byte();
	struct ring *ring = how & 1 ? &to_host : &from_host;

	switch (how >> 1 & 7) {
	case 0:
		ring->write = next_value();
		break;
	case 1:
		ring->read = next_value();
		break;
	case 2:
		ring->mask = next_value();
		break;
	case 3:
		ring->pending = next_value();
		break;
	case 4:
		/* what is there is taken */
		from_host.read = from_host.write;
		break;
	default:
		for (int i = 0, n = next_byte() % 16, at = next_value(); i < n; i++)
			*(uint32_t *)(ring->data + (at + 4 * i) % RING_BYTES / 4 * 4) =
				next_value();
		break;
	}
	__sync_synchronize();
}

/* As a guest does that means well, as far as it gets. */
static void set_up_again(void)
{
	uint32_t words[37] = { MSG_INITIATE_CONTACT, 0, VERSION(5, 3), 0, VMBUS_SINT };
	static uint64_t pfns[2 * (RING_PAGES + 1)];

	wrmsr_fault(HV_MSR_SIMP, (uint32_t)PAGE_A | 1);
	wrmsr_fault(HV_MSR_SIEFP, (uint32_t)PAGE_B | 1);
	wrmsr_fault(HV_MSR_SCONTROL, 1);
	wrmsr_fault(HV_MSR_SINT0 + VMBUS_SINT, SINT_VECTOR);
	wrmsr_fault(HV_MSR_GUEST_OS_ID, 1);
	take_messages();
	message_connection = 4;
	post_words(words, 10);
	take_messages();
	message_connection = VMBUS_CONNECTION;
	words[0] = MSG_REQUEST_OFFERS;
	post_words(words, 2);
	take_messages();
	for (int i = 0; i <= RING_PAGES; i++) {
		pfns[i] = ((uint32_t)&to_host >> 12) + i;
		pfns[RING_PAGES + 1 + i] = ((uint32_t)&from_host >> 12) + i;
	}
	to_host.write = to_host.read = to_host.mask = to_host.pending = 0;
	from_host.write = from_host.read = from_host.mask = from_host.pending = 0;
	send_gpadl(RING_GPADL, pfns, 2 * (RING_PAGES + 1));
	take_messages();
	words[0] = MSG_OPEN;
	words[2] = relid;
	words[3] = 0x0be1;
	words[4] = RING_GPADL;
	words[5] = 0;
	words[6] = RING_PAGES + 1;
	post_words(words, 37);
	take_messages();
}

static void runs_a_script(void)
{
	struct packet p = good_packet();

	/* However slow the host is: a script without a channel would be no test. */
	set_up_channel();
	/* The backend is there before the script begins. */
	send_packet(&p, 1);
	expect_completion(1, 0);
	while (script < script_end) {
		uint8_t op = next_byte();

		if (op < 60)
			any_packet();
		else if (op < 90)
			post_any();
		else if (op < 120)
			any_ring_word();
		else if (op < 150)
			hypercall(HV_SIGNAL_EVENT | HV_FAST, op & 1 ? connection : next_value());
		else if (op < 165)
			any_msr();
		else if (op < 215)
			take_messages();
		else if (op < 220)
			hypercall(next_value(), next_value());
		else if (op < 225)
			set_up_again();
		else
			from_host.read = from_host.write;
	}
}

/* A script that leaves the channel in order: the host has taken all of it at the end. */
static void runs_a_script_to_its_end(void)
{
	runs_a_script();
	CHECK(EVENTUALLY(to_host.read == to_host.write));
}

const struct test_case fuzz_cases[] = {
	{ "runs-a-script", runs_a_script },
	{ "runs-a-script-to-its-end", runs_a_script_to_its_end },
	{ 0, 0 },
};
