// SPDX-License-Identifier: MIT
/* CPUID, synthetic MSRs and the hypercall instruction */
#include "guest.h"

#define FEATURES_LEAF 0x40000003

static void cpuid_says_hyperv(void)
{
	uint32_t r[4];

	cpuid(1, r);
	CHECK(r[2] >> 31 == 1);
	cpuid(0x40000000, r);
	CHECK(r[0] == 0x40000005);
	/* "Microsoft Hv" */
	CHECK(r[1] == 0x7263694d && r[2] == 0x666f736f && r[3] == 0x76482074);
	cpuid(0x40000001, r);
	CHECK(r[0] == 0x31237648);
	cpuid(FEATURES_LEAF, r);
	/* reference count, SynIC, hypercall, VP index; post message, signal event */
	CHECK((r[0] & 0x66) == 0x66);
	CHECK((r[1] & 0x30) == 0x30);
	/* no synthetic timers, no reference TSC page: not emulated, not asked for */
	CHECK((r[0] & 0x208) == 0);
	cpuid(0x40000004, r);
	CHECK((r[0] & 0x220) == 0x220);
	cpuid(0x40000006, r);
	CHECK(!r[0] && !r[1] && !r[2] && !r[3]);
}

/* Run without any hv-* property. */
static void without_hyperv_nothing_changes(void)
{
	uint32_t r[4];
	uint64_t val;

	cpuid(0x40000000, r);
	CHECK(r[1] != 0x7263694d);
	CHECK(rdmsr_fault(HV_MSR_SVERSION, &val) == 0 && val == 0);
	CHECK(wrmsr_fault(HV_MSR_SIMP, (uint32_t)PAGE_A | 1) == 0);
	PAGE_A[0] = 0x5a;
	CHECK(PAGE_A[0] == 0x5a);
	CHECK(vmmcall_fault() == FAULT_UD);
}

static void registers_not_offered_fault(void)
{
	uint64_t val;

	CHECK(rdmsr_fault(HV_MSR_STIMER0_CONFIG, &val) == FAULT_GP);
	CHECK(wrmsr_fault(HV_MSR_STIMER0_CONFIG, 0) == FAULT_GP);
	/* Linux turns the page that there isn't off, before a kexec. */
	CHECK(rdmsr_fault(HV_MSR_REFERENCE_TSC, &val) == 0 && val == 0);
	CHECK(wrmsr_fault(HV_MSR_REFERENCE_TSC, 0) == 0);
	CHECK(wrmsr_fault(HV_MSR_REFERENCE_TSC, 0x200001) == FAULT_GP);
	CHECK(rdmsr_fault(HV_MSR_RESET, &val) == FAULT_GP);
	CHECK(wrmsr_fault(HV_MSR_CRASH_CTL, 1ull << 63) == FAULT_GP);
	CHECK(rdmsr_fault(0x400fffff, &val) == FAULT_GP);
}

static void read_only_registers_fault_on_writing(void)
{
	CHECK(wrmsr_fault(HV_MSR_VP_INDEX, 0) == FAULT_GP);
	CHECK(wrmsr_fault(HV_MSR_TIME_REF_COUNT, 0) == FAULT_GP);
	CHECK(wrmsr_fault(HV_MSR_SVERSION, 0) == FAULT_GP);
	CHECK(rdmsr(HV_MSR_SVERSION) == 1);
	CHECK(rdmsr(HV_MSR_VP_INDEX) == 0);
}

static void bad_values_fault_and_change_nothing(void)
{
	CHECK(rdmsr(HV_MSR_SINT0 + 2) == HV_SINT_MASKED);
	CHECK(wrmsr_fault(HV_MSR_SINT0 + 2, 5) == FAULT_GP);
	CHECK(rdmsr(HV_MSR_SINT0 + 2) == HV_SINT_MASKED);
	CHECK(wrmsr_fault(HV_MSR_SINT0 + 15, HV_SINT_MASKED) == 0);
	CHECK(wrmsr_fault(HV_MSR_SIMP, 1ull << 60 | 1) == FAULT_GP);
	CHECK(wrmsr_fault(HV_MSR_SIEFP, ~0xffeull) == FAULT_GP);
	CHECK(rdmsr(HV_MSR_SIMP) == 0 && rdmsr(HV_MSR_SIEFP) == 0);
	wrmsr(HV_MSR_GUEST_OS_ID, 1);
	CHECK(wrmsr_fault(HV_MSR_HYPERCALL, 1ull << 63 | 1) == FAULT_GP);
	CHECK(rdmsr(HV_MSR_HYPERCALL) == 0);
}

/* Pages may lie anywhere that the processor can address, sense or not. */
static void pages_over_devices_and_nothing_are_survived(void)
{
	static const uint64_t places[] = { 0,       0xfee00000,   0xfffff000,
					   0xa0000, 0xfffffff000, 0xb0000000 };

	wrmsr(HV_MSR_SCONTROL, 1);
	for (unsigned int i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		wrmsr(HV_MSR_SIMP, places[i] | 1);
		wrmsr(HV_MSR_SIEFP, places[i] | 1);
		CHECK(rdmsr(HV_MSR_SIMP) == (places[i] | 1));
		wrmsr(HV_MSR_SIMP, 0);
		wrmsr(HV_MSR_SIEFP, 0);
	}
}

static void reference_time_goes_forward(void)
{
	uint64_t first = rdmsr(HV_MSR_TIME_REF_COUNT), last = first;

	CHECK(EVENTUALLY(({
		uint64_t now = rdmsr(HV_MSR_TIME_REF_COUNT);

		CHECK(now >= last);
		last = now;
		now > first;
	})));
}

/* --- the page of reference time; run with x-hv-tsc-page --- */

struct reference_page {
	volatile uint32_t sequence, reserved;
	volatile uint32_t scale[2];
	volatile int64_t offset;
};

static uint64_t tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/* The upper half of the product */
static uint64_t scaled(uint64_t ticks, uint32_t scale_low, uint32_t scale_high)
{
	uint32_t low = ticks, high = ticks >> 32;
	uint64_t middle = ((uint64_t)low * scale_low >> 32) + (uint64_t)high * scale_low;
	uint64_t other = (uint32_t)middle + (uint64_t)low * scale_high;

	return (uint64_t)high * scale_high + (middle >> 32) + (other >> 32);
}

static uint64_t time_by_page(const struct reference_page *page)
{
	return scaled(tsc(), page->scale[0], page->scale[1]) + page->offset;
}

/* Both ways to read the time agree: what is read in between lies in between. */
static void check_reference_page(const struct reference_page *page)
{
	for (int i = 0; i < 2000; i++) {
		uint64_t before = rdmsr(HV_MSR_TIME_REF_COUNT), now = time_by_page(page);

		CHECK(before <= now);
		CHECK(now <= rdmsr(HV_MSR_TIME_REF_COUNT));
	}
}

static void reference_page_agrees_with_the_counter(void)
{
	const struct reference_page *page = (const struct reference_page *)PAGE_A;
	uint32_t r[4], sequence;
	uint64_t before;

	cpuid(FEATURES_LEAF, r);
	CHECK(r[0] & 0x200);
	/* enough to measure the TSC by: 20 ms */
	CHECK(EVENTUALLY(rdmsr(HV_MSR_TIME_REF_COUNT) > 200000));
	CHECK(wrmsr_fault(HV_MSR_REFERENCE_TSC, 1ull << 60 | 1) == FAULT_GP);
	CHECK(rdmsr(HV_MSR_REFERENCE_TSC) == 0);

	before = rdmsr(HV_MSR_TIME_REF_COUNT);
	wrmsr(HV_MSR_REFERENCE_TSC, (uint32_t)PAGE_A | 1);
	CHECK(rdmsr(HV_MSR_REFERENCE_TSC) == ((uint32_t)PAGE_A | 1));
	CHECK(rdmsr(HV_MSR_TIME_REF_COUNT) >= before);
	if (!page->sequence) {
		tell("no-steady-tsc");
		return;
	}
	check_reference_page(page);

	/* Taken away and asked for elsewhere and again: the time goes on. */
	sequence = page->sequence;
	before = rdmsr(HV_MSR_TIME_REF_COUNT);
	wrmsr(HV_MSR_REFERENCE_TSC, 0);
	CHECK(rdmsr(HV_MSR_TIME_REF_COUNT) >= before);
	wrmsr(HV_MSR_REFERENCE_TSC, (uint32_t)PAGE_B | 1);
	wrmsr(HV_MSR_REFERENCE_TSC, (uint32_t)PAGE_A | 1);
	CHECK(page->sequence != sequence && page->sequence);
	CHECK(rdmsr(HV_MSR_TIME_REF_COUNT) >= before);
	check_reference_page(page);
}

#define AN_HOUR (3600 * 10000000ull)

/*
 * Told by a dot, the runner moves the machine to a new QEMU and then writes to its
 * serial port what it has done with the time that was saved: nothing, added an hour,
 * or taken it out.
 */
static void reference_time_goes_on_elsewhere(void)
{
	const struct reference_page *page = (const struct reference_page *)PAGE_A;
	uint64_t last, step, longest = 0;
	bool back = false;
	uint8_t how;

	CHECK(EVENTUALLY(rdmsr(HV_MSR_TIME_REF_COUNT) > 200000));
	wrmsr(HV_MSR_REFERENCE_TSC, (uint32_t)PAGE_A | 1);
	CHECK(page->sequence);
	last = rdmsr(HV_MSR_TIME_REF_COUNT);
	outb(DEBUG_PORT, '.');
	CHECK(EVENTUALLY(({
		uint64_t now = rdmsr(HV_MSR_TIME_REF_COUNT);

		back |= now < last;
		step = now - last;
		if (now > last && step > longest)
			longest = step;
		last = now;
		inb(COM1_LINE_STATUS) & COM1_DATA_READY;
	})));
	how = inb(COM1_DATA);
	if (how == 'h')
		CHECK(longest >= AN_HOUR);
	else
		CHECK(longest < AN_HOUR);
	CHECK(how == 'o' || !back);
	check_reference_page(page);
}

static void hypercalls_need_the_page_and_an_os_id(void)
{
	volatile uint8_t *page = PAGE_A;

	CHECK(vmmcall_fault() == FAULT_UD);
	/* Without an OS id the enable bit does not stick. */
	wrmsr(HV_MSR_HYPERCALL, (uint32_t)page | 1);
	CHECK(rdmsr(HV_MSR_HYPERCALL) == 0);
	CHECK(vmmcall_fault() == FAULT_UD);

	wrmsr(HV_MSR_GUEST_OS_ID, 0x8100000000000000);
	wrmsr(HV_MSR_HYPERCALL, (uint32_t)page | 1);
	CHECK(rdmsr(HV_MSR_HYPERCALL) == ((uint32_t)page | 1));
	/* vmmcall; ret */
	CHECK(page[0] == 0x0f && page[1] == 0x01 && page[2] == 0xd9 && page[3] == 0xc3);
	CHECK(vmmcall_fault() == 0);

	wrmsr(HV_MSR_GUEST_OS_ID, 0);
	CHECK(rdmsr(HV_MSR_HYPERCALL) == 0);
	CHECK(vmmcall_fault() == FAULT_UD);
}

static void hypercalls_are_for_the_kernel_only(void)
{
	enable_hypercalls();
	CHECK(vmmcall_fault() == 0);
	CHECK(vmmcall_user_mode_fault() == FAULT_UD);
}

static void message_page_lies_over_memory(void)
{
	volatile uint8_t *page = PAGE_A;

	page[0] = 0x11;
	page[4095] = 0x22;
	wrmsr(HV_MSR_SIMP, (uint32_t)page | 1);
	CHECK(page[0] == 0 && page[4095] == 0);
	page[17] = 0x33;
	wrmsr(HV_MSR_SIMP, (uint32_t)page);
	CHECK(page[0] == 0x11 && page[4095] == 0x22);
	/* Its contents stay with the page, wherever that is. */
	wrmsr(HV_MSR_SIMP, (uint32_t)PAGE_B | 1);
	CHECK(PAGE_B[17] == 0x33);
	wrmsr(HV_MSR_SIEFP, (uint32_t)page | 1);
	CHECK(page[0] == 0);
	wrmsr(HV_MSR_SIEFP, 0);
	CHECK(page[0] == 0x11);
}

/* Whatever is written to whichever register: it is taken, or it faults. */
static void every_register_takes_any_value(void)
{
	static const uint64_t values[] = { ~0ull,
					   1ull << 63 | 1,
					   1ull << 39 | 1,
					   0x80000000,
					   0xfee00001,
					   0xfffff001,
					   0x12345678,
					   1,
					   0x10000,
					   255,
					   0 };

	/* up to those of the crash, which end the machine where they are there */
	for (uint32_t msr = HV_MSR_GUEST_OS_ID; msr < HV_MSR_CRASH_P0 + 0x100; msr++) {
		for (unsigned int i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			uint64_t val;
			int fault = wrmsr_fault(msr, values[i]);

			CHECK(fault == 0 || fault == FAULT_GP);
			fault = rdmsr_fault(msr, &val);
			CHECK(fault == 0 || fault == FAULT_GP);
		}
	}
	CHECK(rdmsr(HV_MSR_SIMP) == 0 && rdmsr(HV_MSR_SIEFP) == 0);
	message_page_lies_over_memory();
}

static void assist_page_register_is_kept(void)
{
	wrmsr(HV_MSR_VP_ASSIST_PAGE, (uint32_t)PAGE_A | 1);
	CHECK(rdmsr(HV_MSR_VP_ASSIST_PAGE) == ((uint32_t)PAGE_A | 1));
}

/* For who counts instructions: two for each turn */
static void turn(uint32_t times)
{
	__asm__ volatile("1: decl %0\n\tjnz 1b" : "+r"(times)::"cc");
}

static void one_million_turns(void)
{
	turn(1000000);
}

static void three_million_turns(void)
{
	turn(3000000);
}

/* Run with hv-crash; the runner sees the registers in QEMU's event. */
static void crash_is_reported(void)
{
	for (int i = 0; i < 5; i++)
		wrmsr(HV_MSR_CRASH_P0 + i, 0x1000 + i);
	CHECK(rdmsr(HV_MSR_CRASH_P0 + 4) == 0x1004);
	CHECK(rdmsr(HV_MSR_CRASH_CTL) >> 63 == 1);
	wrmsr(HV_MSR_CRASH_CTL, 1ull << 63);
}

static void ap_crashes(void)
{
	crash_is_reported();
	for (;;)
		__asm__ volatile("pause");
}

/* The registers are the machine's, whichever processor it is that crashes. */
static void crash_of_the_second_cpu_is_reported(void)
{
	start_second_cpu(ap_crashes);
	for (;;)
		__asm__ volatile("pause");
}

/* Run with hv-reset: the second time round the mark is there. */
static void reset_register_resets(void)
{
	if (PAGE_KEPT[0] == 0x600dcafe) {
		CHECK(rdmsr(HV_MSR_GUEST_OS_ID) == 0);
		CHECK(rdmsr(HV_MSR_HYPERCALL) == 0);
		CHECK(rdmsr(HV_MSR_SIMP) == 0);
		CHECK(rdmsr(HV_MSR_SCONTROL) == 0);
		CHECK(rdmsr(HV_MSR_SINT0 + VMBUS_SINT) == HV_SINT_MASKED);
		CHECK(vmmcall_fault() == FAULT_UD);
		return;
	}
	PAGE_KEPT[0] = 0x600dcafe;
	enable_hypercalls();
	wrmsr(HV_MSR_SIMP, (uint32_t)PAGE_A | 1);
	wrmsr(HV_MSR_SCONTROL, 1);
	wrmsr(HV_MSR_SINT0 + VMBUS_SINT, SINT_VECTOR);
	wrmsr(HV_MSR_RESET, 1);
	CHECK(!EVENTUALLY(false));
}

const struct test_case msr_cases[] = {
	{ "cpuid-says-hyperv", cpuid_says_hyperv },
	{ "without-hyperv-nothing-changes", without_hyperv_nothing_changes },
	{ "registers-not-offered-fault", registers_not_offered_fault },
	{ "read-only-registers-fault-on-writing", read_only_registers_fault_on_writing },
	{ "bad-values-fault-and-change-nothing", bad_values_fault_and_change_nothing },
	{ "pages-over-devices-and-nothing-are-survived",
	  pages_over_devices_and_nothing_are_survived },
	{ "every-register-takes-any-value", every_register_takes_any_value },
	{ "reference-time-goes-forward", reference_time_goes_forward },
	{ "reference-page-agrees-with-the-counter", reference_page_agrees_with_the_counter },
	{ "reference-time-goes-on-elsewhere", reference_time_goes_on_elsewhere },
	{ "hypercalls-need-the-page-and-an-os-id", hypercalls_need_the_page_and_an_os_id },
	{ "hypercalls-are-for-the-kernel-only", hypercalls_are_for_the_kernel_only },
	{ "message-page-lies-over-memory", message_page_lies_over_memory },
	{ "assist-page-register-is-kept", assist_page_register_is_kept },
	{ "one-million-turns", one_million_turns },
	{ "three-million-turns", three_million_turns },
	{ "crash-is-reported", crash_is_reported },
	{ "crash-of-the-second-cpu-is-reported", crash_of_the_second_cpu_is_reported },
	{ "reset-register-resets", reset_register_resets },
	{ 0, 0 },
};
