// SPDX-License-Identifier: MIT
/*
 * Event flags, by QEMU's own hyperv.c: the other targets have the rig's functions in its place.  No
 * guest reaches the end of the flags, as ids of channels end before, so the emulator is asked
 * itself.  The processor is there and never runs.
 */
#include "rig.h"

#include "exec/address-spaces.h"
#include "hw/core/cpu.h"
#include "hw/hyperv/hyperv.h"
#include "hw/qdev-core.h"
#include "qapi/error.h"

#define CPU_TYPE "qemu64-x86_64-cpu"
/* Beyond the memory, so that what is read there is the SynIC's */
#define FLAGS_AT (2 * RIG_RAM)
#define SINT_BYTES (HV_EVENT_FLAGS_COUNT / 8)
#define PAGE_BYTES (HV_SINT_COUNT * SINT_BYTES)
#define OPERATIONS 32

static CPUState *cpu;
static HvSintRoute *routes[HV_SINT_COUNT];
static unsigned int raised[HV_SINT_COUNT];
/* What the flags are to be */
static uint8_t flags[PAGE_BYTES];
static bool enabled;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void raise_sint(CPUState *cs, uint32_t sint)
{
	must(cs == cpu && sint < HV_SINT_COUNT);
	raised[sint]++;
}

static const HypervAccelOps ops = { .sint_raise = raise_sint };

static void add_processor(void)
{
	DeviceState *device = qdev_new(CPU_TYPE);

	/* as if it had been there from the start */
	device->hotplugged = false;
	object_property_set_uint(OBJECT(device), "apic-id", 0, &error_abort);
	qdev_realize(device, NULL, &error_fatal);
	cpu = CPU(device);
	must(hyperv_vp_index(cpu) == 0);
	hyperv_synic_add(cpu, &ops);
	for (uint32_t sint = 0; sint < HV_SINT_COUNT; sint++) {
		routes[sint] = hyperv_sint_route_new(0, sint, NULL, NULL);
		must(routes[sint]);
	}
	must(!hyperv_sint_route_new(1, 0, NULL, NULL));
	hyperv_synic_update(cpu, true, 0, 0);
	must(hyperv_set_event_flag(routes[0], 0) == -ENXIO);
}

/*
 * The page stays where it is: a change of the memory's map leaves work for a thread of QEMU's that
 * never has its turn here.
 */
static void enable(bool on)
{
	hyperv_synic_update(cpu, on, 0, FLAGS_AT);
	enabled = on;
}

/* As a guest that has seen all of them */
static void clear_flags(void)
{
	memset(flags, 0, sizeof(flags));
	must(address_space_write(&address_space_memory, FLAGS_AT, MEMTXATTRS_UNSPECIFIED, flags,
				 sizeof(flags)) == MEMTX_OK);
}

static void compare_flags(void)
{
	uint8_t found[PAGE_BYTES];

	must(address_space_read(&address_space_memory, FLAGS_AT, MEMTXATTRS_UNSPECIFIED, found,
				sizeof(found)) == MEMTX_OK);
	must(!memcmp(found, flags, sizeof(found)));
}

/* The one flag and no other, one interrupt when it was not set, and nothing beyond the last flag */
static void set_flag(uint32_t sint, uint32_t number)
{
	unsigned int before = raised[sint];
	int ret = hyperv_set_event_flag(routes[sint], number);
	bool changes = false;

	if (number >= HV_EVENT_FLAGS_COUNT) {
		must(ret == -EINVAL);
	} else if (!enabled) {
		must(ret == -ENXIO);
	} else {
		uint8_t *byte = &flags[sint * SINT_BYTES + number / 8];

		must(ret == 0);
		changes = !(*byte & 1u << number % 8);
		*byte |= 1u << number % 8;
	}
	must(raised[sint] == before + changes);
	compare_flags();
}

/* The first flag that is none of a SINT's would be the next one's, or be behind the page. */
static void flags_end_with_the_last(void)
{
	enable(true);
	for (uint32_t sint = 0; sint < HV_SINT_COUNT; sint++) {
		set_flag(sint, HV_EVENT_FLAGS_COUNT - 1);
		set_flag(sint, HV_EVENT_FLAGS_COUNT);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	if (!cpu) {
		add_processor();
		enable(true);
	}
	for (unsigned int i = 0; in.left && i < OPERATIONS; i++) {
		uint8_t op = input_byte(&in);

		if (op < 16)
			enable(op & 1);
		else if (op < 24)
			clear_flags();
		else if (op < 128)
			set_flag(op % HV_SINT_COUNT, input_value(&in));
		else
			set_flag(op % HV_SINT_COUNT, HV_EVENT_FLAGS_COUNT - 128 + input_byte(&in));
	}
	flags_end_with_the_last();
	clear_flags();
	return 0;
}
