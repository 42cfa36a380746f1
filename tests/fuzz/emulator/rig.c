// SPDX-License-Identifier: MIT
/* The machine of rig.h; its guest is in processor.c, its backend in socket.c. */
#include "rig.h"

#include "exec/memory.h"
#include "hw/boards.h"
#include "hw/hyperv/vmbus-bridge.h"
#include "hw/hyperv/vmbus-rig.h"
#include "hw/qdev-properties.h"
#include "hw/sysbus.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-vmbus.h"
#include "qemu-main.h"
#include "qemu/main-loop.h"
#include "system/system.h"

/* Who goes on for longer, at one moment, goes on for ever. */
#define STEPS 100000

uint8_t *rig_ram;
AzureBlobVSP *rig_vsp;

static VMBusBridge *bridge;

/* ---- input ---- */

uint8_t input_byte(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

uint32_t input_word(struct input *in)
{
	uint32_t word = input_byte(in);

	word |= (uint32_t)input_byte(in) << 8;
	word |= (uint32_t)input_byte(in) << 16;
	return word | (uint32_t)input_byte(in) << 24;
}

size_t input_bytes(struct input *in, void *to, size_t size)
{
	size_t taken = MIN(size, in->left);

	memcpy(to, in->at, taken);
	in->at += taken;
	in->left -= taken;
	return taken;
}

uint32_t input_value(struct input *in)
{
	static const uint32_t likely[] = {
		0,
		1,
		2,
		3,
		7,
		8,
		16,
		27,
		28,
		56,
		100,
		4095,
		4096,
		4097,
		8192,
		RING_BYTES,
		RING_BYTES - 8,
		RING_GPADL,
		TO_HOST_PAGE,
		TO_GUEST_PAGE,
		DATA_PAGE,
		RIG_PAGES,
		RIG_PAGES - 1,
		1 + RING_PAGES,
		0x100,
		0x101,
		0x102,
		0x103,
		0x10008,
		0x10010,
		0x10058,
		0x7fffffff,
		0x80000000,
		UINT32_MAX,
		UINT32_MAX - 7,
		16384,
		65536,
		VMBUS_VERSION_WIN10,
		VMBUS_VERSION_WIN10_V5_3,
		6 << 16,
	};
	uint8_t which = input_byte(in);

	if (which < ARRAY_SIZE(likely))
		return likely[which];
	if (which < 128)
		return which;
	if (which < 160)
		return rig_relid;
	return which < 200 ? input_byte(in) : input_word(in);
}

/* ---- what happens by itself ---- */

static bool step(void)
{
	bool progress = aio_poll(qemu_get_aio_context(), false);

	progress |= aio_poll(iohandler_get_aio_context(), false);
	return rig_socket_step() || progress;
}

void rig_settle(void)
{
	unsigned int steps = 0;

	while (step())
		must(++steps < STEPS);
}

bool fuzz_aio_poll(AioContext *context, bool blocking)
{
	if (step() || !blocking)
		return true;
	/* somebody waits for the backend */
	must(rig_has_process());
	rig_die();
	return true;
}

void rig_pass_ms(uint32_t ms)
{
	qemu_clock_advance_virtual_time(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + ms * SCALE_MS);
	qemu_clock_run_all_timers();
	rig_settle();
}

/* ---- all of it ---- */

static void remove_faults(void)
{
	g_autoptr(VmbusFaultInfoList) list = qmp_query_vmbus_faults(&error_abort);

	for (VmbusFaultInfoList *f = list; f; f = f->next)
		qmp_vmbus_fault_remove(f->value->fault->id, &error_abort);
}

void rig_reset(void)
{
	VMBusChannel *channel = vmbus_device_channel(VMBUS_DEVICE(rig_vsp), 0);

	rig_set_room(SIZE_MAX);
	remove_faults();
	rig_disconnect();
	rig_die();
	must(!vsp_requests_busy(rig_vsp));
	rig_guest_is_busy(false);
	bus_cold_reset(BUS(bridge->bus));
	rig_settle();
	must(!vmbus_channel_is_open(channel));
	must(!rig_vsp->requests.num && !g_hash_table_size(rig_vsp->requests.by_id));
	must(!g_hash_table_size(rig_vsp->buffers.by_id) && !rig_vsp->buffers.pages);
	must(!vmbus_channel_rig(channel)->num_held);
	must(!rig_has_process() && !rig_is_connected());
	memset(rig_ram, 0, RIG_RAM);
	rig_relid = 0;
	rig_last_request = 0;
}

/* Before the machine is complete they would be plugged at run time. */
static DeviceState *cold(const char *type)
{
	DeviceState *device = qdev_new(type);

	device->hotplugged = false;
	return device;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char *words[] = { "qemu",
				       "-nodefaults",
				       "-no-user-config",
				       "-display",
				       "none",
				       "-accel",
				       "qtest",
				       "-object",
				       "memory-backend-memfd,id=ram,size=1M,share=on",
				       "-m",
				       "1M",
				       "-machine",
				       "none,memory-backend=ram",
				       NULL };
	DeviceState *device;

	qemu_init(ARRAY_SIZE(words) - 1, (char **)words);
	rig_ram = memory_region_get_ram_ptr(current_machine->ram);
	rig_socket_init();

	device = cold(TYPE_VMBUS_BRIDGE);
	bridge = VMBUS_BRIDGE(device);
	sysbus_realize_and_unref(SYS_BUS_DEVICE(device), &error_fatal);
	device = cold(TYPE_AZURE_BLOB_VSP);
	rig_vsp = AZURE_BLOB_VSP(device);
	qdev_realize_and_unref(device, BUS(bridge->bus), &error_fatal);
	rig_settle();
	return 0;
}
