// SPDX-License-Identifier: MIT
/*
 * Messages, events and their interrupts, with VMBus as the other side: each
 * INITIATE_CONTACT makes it answer with one message on SINT 2.
 */
#include "guest.h"

static struct hv_post_message post __attribute__((aligned(512)));

static volatile struct hv_message *slot(volatile uint8_t *simp)
{
	return (volatile struct hv_message *)simp + VMBUS_SINT;
}

/* SynIC on, messages to @simp */
static void synic_on(volatile uint8_t *simp, uint64_t sint)
{
	wrmsr(HV_MSR_SIMP, (uint32_t)simp | 1);
	wrmsr(HV_MSR_SCONTROL, 1);
	wrmsr(HV_MSR_SINT0 + VMBUS_SINT, sint);
}

/* Asks for protocol @version, answer to processor @vp. */
static uint16_t contact(uint32_t version, uint32_t vp)
{
	post.connection = VMBUS_CONNECTION;
	post.type = 1;
	post.size = 40;
	for (int i = 0; i < 10; i++)
		post.payload[i] = 0;
	post.payload[0] = VMBUS_INITIATE_CONTACT;
	post.payload[2] = version;
	post.payload[3] = vp;
	return hypercall(HV_POST_MESSAGE, (uint32_t)&post);
}

static void take(volatile struct hv_message *message)
{
	message->type = 0;
	__sync_synchronize();
	wrmsr(HV_MSR_EOM, 0);
}

static void expect_answer(volatile struct hv_message *message)
{
	CHECK(EVENTUALLY(message->type == 1));
	CHECK(message->payload[0] == VMBUS_VERSION_RESPONSE);
	CHECK((message->payload[2] & 0xff) == 1);
}

static void message_interrupts(void)
{
	enable_hypercalls();
	synic_on(PAGE_A, SINT_VECTOR);
	interrupts_on();
	CHECK(contact(VMBUS_VERSION_4_0, 0) == HV_SUCCESS);
	CHECK(EVENTUALLY(sint_count == 1));
	expect_answer(slot(PAGE_A));
	take(slot(PAGE_A));
}

static void masked_sint_still_gets_its_message(void)
{
	enable_hypercalls();
	synic_on(PAGE_A, SINT_VECTOR | HV_SINT_MASKED);
	interrupts_on();
	CHECK(contact(VMBUS_VERSION_4_0, 0) == HV_SUCCESS);
	expect_answer(slot(PAGE_A));
	take(slot(PAGE_A));
	CHECK(sint_count == 0);
}

static void busy_slot_waits_for_end_of_message(void)
{
	volatile struct hv_message *message = slot(PAGE_A);

	enable_hypercalls();
	synic_on(PAGE_A, SINT_VECTOR);
	CHECK(contact(VMBUS_VERSION_4_0, 0) == HV_SUCCESS);
	expect_answer(message);
	CHECK(contact(VMBUS_VERSION_4_0, 0) == HV_SUCCESS);
	CHECK(EVENTUALLY(message->flags & 1));
	/* Still the first one */
	CHECK(message->payload[0] == VMBUS_VERSION_RESPONSE);
	message->payload[0] = 0;
	message->flags = 0;
	take(message);
	expect_answer(message);
	take(message);
}

static void end_of_message_for_nothing_is_harmless(void)
{
	volatile struct hv_message *message = slot(PAGE_A);

	wrmsr(HV_MSR_EOM, 0);
	enable_hypercalls();
	synic_on(PAGE_A, SINT_VECTOR);
	for (int round = 0; round < 200; round++) {
		CHECK(contact(VMBUS_VERSION_4_0, 0) == HV_SUCCESS);
		CHECK(EVENTUALLY(({
			wrmsr(HV_MSR_EOM, 0);
			message->type == 1;
		})));
		CHECK(message->payload[0] == VMBUS_VERSION_RESPONSE);
		take(message);
		wrmsr(HV_MSR_EOM, 0);
	}
}

static void processors_that_are_not_there_are_refused(void)
{
	static const uint32_t bad[] = { 1, 2, 1000, 0x7fffffff, 0xfffffffe };
	volatile struct hv_message *message = slot(PAGE_A);

	enable_hypercalls();
	synic_on(PAGE_A, SINT_VECTOR);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK(contact(VMBUS_VERSION_4_0, bad[i]) == HV_SUCCESS);
		/* Answered after the bad one was dealt with */
		CHECK(contact(VMBUS_VERSION_4_0, 0) == HV_SUCCESS);
		expect_answer(message);
		take(message);
	}
}

/* Round two after a reset while a message waited for its slot */
static void reset_while_a_message_waits(void)
{
	volatile struct hv_message *message = slot(PAGE_A);

	enable_hypercalls();
	synic_on(PAGE_A, SINT_VECTOR);
	CHECK(message->type == 0);
	CHECK(contact(VMBUS_VERSION_4_0, 0) == HV_SUCCESS);
	expect_answer(message);
	if (PAGE_KEPT[0]++ < 5) {
		CHECK(contact(VMBUS_VERSION_4_0, 0) == HV_SUCCESS);
		CHECK(EVENTUALLY(message->flags & 1));
		reset_machine();
	}
	PAGE_KEPT[0] = 0;
	take(message);
}

static void hypercall_inputs_are_checked(void)
{
	uint32_t here = (uint32_t)&post;

	enable_hypercalls();
	CHECK(hypercall(0x1234, here) == HV_INVALID_HYPERCALL_CODE);
	CHECK(hypercall(HV_POST_MESSAGE | HV_FAST, here) == HV_INVALID_HYPERCALL_CODE);
	CHECK(hypercall(HV_POST_MESSAGE | 1ull << 32, here) == HV_INVALID_HYPERCALL_INPUT);
	CHECK(hypercall(HV_SIGNAL_EVENT | 1ull << 63, here) == HV_INVALID_HYPERCALL_INPUT);
	CHECK(hypercall(HV_POST_MESSAGE, here + 1) == HV_INVALID_ALIGNMENT);
	CHECK(hypercall(HV_POST_MESSAGE, 1ull << 50) == HV_INSUFFICIENT_MEMORY);
	CHECK(hypercall(HV_POST_MESSAGE, ~7ull) == HV_INSUFFICIENT_MEMORY);
	/* nothing there is a connection */
	CHECK(hypercall(HV_SIGNAL_EVENT, ~7ull) != HV_SUCCESS);

	post.connection = VMBUS_CONNECTION;
	post.type = 1;
	post.size = 241;
	CHECK(hypercall(HV_POST_MESSAGE, here) == HV_INVALID_HYPERCALL_INPUT);
	post.size = 0;
	CHECK(hypercall(HV_POST_MESSAGE, here) == HV_INVALID_HYPERCALL_INPUT);
	post.size = 240;
	post.connection = 77;
	CHECK(hypercall(HV_POST_MESSAGE, here) == HV_INVALID_CONNECTION_ID);

	CHECK(hypercall(HV_SIGNAL_EVENT | HV_FAST, 2) == HV_SUCCESS);
	CHECK(hypercall(HV_SIGNAL_EVENT | HV_FAST, 77) == HV_INVALID_CONNECTION_ID);
	CHECK(hypercall(HV_SIGNAL_EVENT | HV_FAST, 1ull << 32) == HV_INVALID_PORT_ID);
	CHECK(hypercall(HV_SIGNAL_EVENT | HV_FAST, 1u << 24) == HV_INVALID_HYPERCALL_INPUT);
	CHECK(hypercall(HV_SIGNAL_EVENT, here + 4) == HV_INVALID_ALIGNMENT);
	post.connection = 2;
	post.reserved = 0;
	CHECK(hypercall(HV_SIGNAL_EVENT, here) == HV_SUCCESS);
}

/* --- two processors --- */

static volatile uint32_t ap_state;

static void ap_enables_synic(void)
{
	synic_on(PAGE_B, SINT_VECTOR);
	wrmsr(HV_MSR_SIEFP, (uint32_t)PAGE_A | 1);
	PAGE_A[9] = 0x44;
	CHECK(rdmsr(HV_MSR_VP_INDEX) == 1);
	ap_state = 1;
	/* Not halted: QEMU looks at INIT only once something else wakes a processor. */
	for (;;)
		__asm__ volatile("pause");
}

static void ap_finds_synic_off(void)
{
	CHECK(rdmsr(HV_MSR_SIMP) == 0);
	CHECK(rdmsr(HV_MSR_SIEFP) == 0);
	CHECK(rdmsr(HV_MSR_SCONTROL) == 0);
	CHECK(rdmsr(HV_MSR_SINT0 + VMBUS_SINT) == HV_SINT_MASKED);
	/* What belongs to the virtual machine is still there. */
	CHECK(rdmsr(HV_MSR_GUEST_OS_ID) == 1);
	wrmsr(HV_MSR_SIEFP, (uint32_t)PAGE_A | 1);
	CHECK(PAGE_A[9] == 0);
	/* From here on VMBus may try again what waited before. */
	synic_on(PAGE_B, SINT_VECTOR);
	ap_state = 2;
}

static void init_takes_the_processors_pages_away(void)
{
	enable_hypercalls();
	PAGE_B[0] = 0x77;
	start_second_cpu(ap_enables_synic);
	CHECK(EVENTUALLY(ap_state == 1));
	CHECK(PAGE_B[0] == 0);

	/* Leave messages for it, the second one waiting, and pull the rug. */
	CHECK(contact(VMBUS_VERSION_4_0, 1) == HV_SUCCESS);
	expect_answer(slot(PAGE_B));
	CHECK(contact(VMBUS_VERSION_4_0, 1) == HV_SUCCESS);
	CHECK(EVENTUALLY(slot(PAGE_B)->flags & 1));
	init_second_cpu();
	CHECK(EVENTUALLY(PAGE_B[0] == 0x77));

	start_second_cpu(ap_finds_synic_off);
	CHECK(EVENTUALLY(ap_state == 2));
	CHECK(contact(VMBUS_VERSION_4_0, 1) == HV_SUCCESS);
	expect_answer(slot(PAGE_B));
}

static void ap_waits_for_interrupt(void)
{
	synic_on(PAGE_B, SINT_VECTOR);
	interrupts_on();
	ap_state = 1;
	CHECK(EVENTUALLY(sint_count == 1));
	CHECK(slot(PAGE_B)->payload[0] == VMBUS_VERSION_RESPONSE);
	ap_state = 2;
}

static void messages_reach_the_second_processor(void)
{
	enable_hypercalls();
	start_second_cpu(ap_waits_for_interrupt);
	CHECK(EVENTUALLY(ap_state == 1));
	CHECK(contact(VMBUS_VERSION_4_0, 1) == HV_SUCCESS);
	CHECK(EVENTUALLY(ap_state == 2));
}

/* --- a device is read by one processor while the other one changes the memory map --- */

#define IOAPIC ((volatile uint32_t *)0xfec00000)
#define IOAPIC_VERSION 1
#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc
/* PCIEXBAR of the host bridge: bit 0 puts configuration space into the map, below the IOAPIC */
#define PCIEXBAR 0x80000060
#define PCIEXBAR_ON 1u

static volatile uint32_t reads, wrong_reads;

static void outl(uint16_t port, uint32_t val)
{
	__asm__ volatile("outl %0, %1" ::"a"(val), "Nd"(port));
}

static uint32_t inl(uint16_t port)
{
	uint32_t val;

	__asm__ volatile("inl %1, %0" : "=a"(val) : "Nd"(port));
	return val;
}

static void ap_reads_a_device(void)
{
	uint32_t is;

	IOAPIC[0] = IOAPIC_VERSION;
	is = IOAPIC[4];
	ap_state = 1;
	while (ap_state == 1) {
		if (IOAPIC[4] != is)
			wrong_reads++;
		reads++;
	}
	ap_state = 3;
	for (;;)
		__asm__ volatile("pause");
}

/* Its TLB has devices by their numbers in the map, which are others all the time. */
static void device_is_read_while_the_map_changes(void)
{
	uint32_t with;

	outl(CONFIG_ADDRESS, PCIEXBAR);
	with = inl(CONFIG_DATA);
	CHECK(with & PCIEXBAR_ON);
	start_second_cpu(ap_reads_a_device);
	CHECK(EVENTUALLY(ap_state == 1));
	for (int i = 0; i < 200; i++) {
		uint32_t before = reads;

		outl(CONFIG_DATA, i % 2 ? with : with & ~PCIEXBAR_ON);
		CHECK(EVENTUALLY(reads != before));
	}
	ap_state = 2;
	CHECK(EVENTUALLY(ap_state == 3));
	CHECK(wrong_reads == 0);
}

/*
 * Told by a dot, the runner moves the machine to a new QEMU and then writes to its
 * serial port.
 */
static void state_survives_migration(void)
{
	volatile struct hv_message *message = slot(PAGE_A);

	enable_hypercalls();
	synic_on(PAGE_A, SINT_VECTOR);
	message->payload[59] = 0xabcd;
	outb(DEBUG_PORT, '.');
	CHECK(EVENTUALLY(inb(COM1_LINE_STATUS) & COM1_DATA_READY));

	CHECK(rdmsr(HV_MSR_GUEST_OS_ID) == 1);
	CHECK(rdmsr(HV_MSR_SIMP) == ((uint32_t)PAGE_A | 1));
	CHECK(rdmsr(HV_MSR_SINT0 + VMBUS_SINT) == SINT_VECTOR);
	CHECK(message->payload[59] == 0xabcd);
	interrupts_on();
	CHECK(contact(VMBUS_VERSION_4_0, 0) == HV_SUCCESS);
	CHECK(EVENTUALLY(sint_count == 1));
	expect_answer(message);
}

const struct test_case message_cases[] = {
	{ "message-interrupts", message_interrupts },
	{ "masked-sint-still-gets-its-message", masked_sint_still_gets_its_message },
	{ "busy-slot-waits-for-end-of-message", busy_slot_waits_for_end_of_message },
	{ "end-of-message-for-nothing-is-harmless", end_of_message_for_nothing_is_harmless },
	{ "processors-that-are-not-there-are-refused", processors_that_are_not_there_are_refused },
	{ "reset-while-a-message-waits", reset_while_a_message_waits },
	{ "hypercall-inputs-are-checked", hypercall_inputs_are_checked },
	{ "init-takes-the-processors-pages-away", init_takes_the_processors_pages_away },
	{ "messages-reach-the-second-processor", messages_reach_the_second_processor },
	{ "device-is-read-while-the-map-changes", device_is_read_while_the_map_changes },
	{ "state-survives-migration", state_survives_migration },
	{ 0, 0 },
};

const struct test_case *const all_cases[] = { msr_cases, message_cases, 0 };
