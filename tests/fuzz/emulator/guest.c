// SPDX-License-Identifier: MIT
/*
 * The guest's side of the emulator: messages of the bus, GPADLs, rings and packets, made of an
 * input's bytes.  A channel is open at the start, so that an input gets to the packets at once.
 */
#include "rig.h"

#include "hw/hyperv/vmbus-rig.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-vmbus.h"
#include "qapi/qapi-visit-vmbus.h"

/* Operations that an input may have: what one does is soon done. */
#define OPERATIONS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Words of a message or a packet that are others than they should be */
static void spoil(struct input *in, void *bytes, size_t size)
{
	for (unsigned int n = input_byte(in) % 6; n; n--) {
		uint32_t at = input_byte(in) * 4u % ROUND_DOWN(size, 4), value = input_value(in);

		memcpy((uint8_t *)bytes + at, &value, 4);
	}
}

static void some_message(struct input *in)
{
	static const uint8_t types[] = { VMBUS_MSG_REQUESTOFFERS,  VMBUS_MSG_OPENCHANNEL,
					 VMBUS_MSG_CLOSECHANNEL,   VMBUS_MSG_GPADL_HEADER,
					 VMBUS_MSG_GPADL_BODY,     VMBUS_MSG_GPADL_TEARDOWN,
					 VMBUS_MSG_RELID_RELEASED, VMBUS_MSG_INITIATE_CONTACT,
					 VMBUS_MSG_UNLOAD,         VMBUS_MSG_MODIFYCHANNEL };
	static const uint32_t to[] = { VMBUS_MESSAGE_CONNECTION_ID, VMBUS_MESSAGE_CONNECTION_ID_4,
				       VMBUS_MESSAGE_CONNECTION_ID, VMBUS_MESSAGE_CONNECTION_ID };
	uint8_t how = input_byte(in), which = input_byte(in);
	uint8_t bytes[HV_MESSAGE_PAYLOAD_SIZE] = { 0 };
	uint32_t words[] = { types[which % sizeof(types)], 0, rig_relid, RING_GPADL, 0, 0, 0 };
	uint32_t length = how & 4 ? input_byte(in) % (sizeof(bytes) + 1) : sizeof(bytes);

	if (words[0] == VMBUS_MSG_OPENCHANNEL) {
		words[4] = RING_GPADL;
		words[6] = 1 + RING_PAGES;
	} else if (words[0] == VMBUS_MSG_GPADL_HEADER) {
		uint32_t pages = 1 + input_byte(in) % 60;

		/* so that bodies have to follow, or more ids come up than one */
		words[3] = RING_GPADL + (how & 8 ? input_byte(in) : 0);
		words[4] = (8 + pages * 8) | 1 << 16;
		words[5] = pages * 4096;
		for (uint32_t i = 0; i < 26; i++) {
			uint64_t pfn = TO_HOST_PAGE + i;

			memcpy(bytes + 28 + i * 8, &pfn, 8);
		}
	} else if (words[0] == VMBUS_MSG_INITIATE_CONTACT) {
		words[2] = how & 16 ? input_value(in) : VMBUS_VERSION_WIN10_V5_3;
		words[3] = 0;
		words[4] = VMBUS_SINT;
	}
	memcpy(bytes, words, sizeof(words));
	if (how & 1)
		spoil(in, bytes, sizeof(bytes));
	if (how & 2)
		input_bytes(in, bytes + 4, input_byte(in) % (sizeof(bytes) - 3));
	rig_post(how & 32 ? input_value(in) : to[how >> 6], bytes, length);
}

static void some_packet(struct input *in)
{
	uint8_t bytes[512] = { 0 };
	uint8_t how = input_byte(in);
	uint32_t length = how & 1 ? input_value(in) % (8 * 4096) : 0;
	size_t size = rig_packet(bytes, input_byte(in), length, how & 2);

	if (how & 4)
		spoil(in, bytes, size);
	if (how & 8)
		input_bytes(in, bytes + 16, input_byte(in));
	rig_put(bytes, how & 16 ? input_byte(in) : size);
}

/* Registered buffers, and cancels */
static void some_control(struct input *in)
{
	uint8_t bytes[512] = { 0 };
	uint8_t how = input_byte(in);
	uint32_t pages = how & 1 ? 1 + input_byte(in) % 8 : 0;
	vmbus_packet_hdr header = {
		.type = pages ? VMBUS_PACKET_DATA_USING_GPA_DIRECT : VMBUS_PACKET_DATA_INBAND,
		.flags = VMBUS_PACKET_FLAG_REQUEST_COMPLETION,
		.transaction_id = input_byte(in),
		.offset_qwords = 2,
	};
	struct vsp_wire_control wire = {
		.version = VSP_WIRE_VERSION_2,
		.operation_type = VSP_WIRE_OP_REGISTER_BUFFER + (how >> 1) % 3,
		.buffer_id = 1 + (how >> 3) % 3,
		.first_page = how & 32 ? input_byte(in) % 8 : 0,
		.page_count = how & 64 ? input_value(in) : pages,
		.transaction_id = how & 128 ? input_byte(in) : 0,
	};
	uint8_t *p = bytes + sizeof(header);

	if (pages) {
		vmbus_pkt_gpa_direct direct = { .rangecount = 1 };
		vmbus_gpa_range range = { .byte_count = pages * 4096 };

		p = mempcpy(p, &direct, sizeof(direct));
		p = mempcpy(p, &range, sizeof(range));
		for (uint32_t i = 0; i < pages; i++) {
			uint64_t pfn = DATA_PAGE + i;

			p = mempcpy(p, &pfn, sizeof(pfn));
		}
		header.offset_qwords = (p - bytes) / 8;
	}
	p = mempcpy(p, &wire, sizeof(wire));
	header.len_qwords = DIV_ROUND_UP(p - bytes, 8);
	memcpy(bytes, &header, sizeof(header));
	if (how & 16)
		spoil(in, bytes, p - bytes);
	rig_put(bytes, header.len_qwords * 8 % sizeof(bytes) + 8);
}

/* A request whose buffers are in a registered one */
static void some_extended(struct input *in)
{
	uint8_t bytes[512] = { 0 };
	struct vsp_wire_request_2 wire = { 0 };
	size_t at = 0;
	uint8_t how = input_byte(in);
	vmbus_packet_hdr header;
	size_t size = rig_packet(bytes, input_byte(in), 0, false);

	memcpy(&header, bytes, sizeof(header));
	at = header.offset_qwords * 8;
	memcpy(&wire.base, bytes + at, sizeof(wire.base));
	wire.base.version = VSP_WIRE_VERSION_2;
	wire.base.data_length = how & 1 ? 4096 : input_value(in);
	wire.base.data_valid = how & 2 ? wire.base.data_length : 0;
	wire.buffer_id = 1 + (how >> 2) % 3;
	wire.in_buffer = how & 16 ? VSP_WIRE_DATA_IN_BUFFER : input_byte(in) % 16;
	wire.data_at = how & 32 ? input_value(in) : 0;
	memcpy(bytes + at, &wire, sizeof(wire));
	header.len_qwords = DIV_ROUND_UP(at + sizeof(wire), 8);
	memcpy(bytes, &header, sizeof(header));
	if (how & 64)
		spoil(in, bytes, size);
	rig_put(bytes, header.len_qwords * 8 + 8);
}

static void some_ring_word(struct input *in)
{
	uint8_t how = input_byte(in);
	vmbus_ring_buffer *ring = rig_ring(how & 1);
	uint32_t value = input_value(in);

	switch (how >> 1 & 7) {
	case 0:
		ring->write_index = value;
		break;
	case 1:
		ring->read_index = value;
		break;
	case 2:
		ring->interrupt_mask = value;
		break;
	case 3:
		ring->pending_send_sz = value;
		break;
	case 4:
		ring->feature_bits = value;
		break;
	case 5:
		/* what is there is taken */
		ring->read_index = ring->write_index;
		break;
	default:
		input_bytes(in, rig_ring_data(how & 1) + value % (RING_BYTES - 256),
			    input_byte(in));
		break;
	}
}

/* What the backend does meanwhile: nothing that is against the rules */
static void backend(struct input *in)
{
	struct azl_complete complete = {
		.header = { .length = sizeof(complete), .type = AZL_COMPLETE },
		.response_length = 1,
	};
	struct azl_header bye = { .length = sizeof(bye), .type = AZL_GOODBYE_BACKEND };
	VspRequest *request = QTAILQ_FIRST(&rig_vsp->requests.owned);

	switch (input_byte(in) % 8) {
	case 0:
		rig_disconnect();
		break;
	case 1:
		rig_die();
		break;
	case 2:
		rig_say(&bye, sizeof(bye), SIZE_MAX);
		break;
	case 3:
		rig_connect(true);
		break;
	default:
		if (!request || request->inlined)
			break;
		complete.header.id = request->id;
		rig_say(&complete, sizeof(complete), SIZE_MAX);
		break;
	}
}

static void some_fault(struct input *in)
{
	VmbusFaultKind kind = input_byte(in) % VMBUS_FAULT_KIND__MAX;
	g_autofree char *id = g_strdup_printf("f%u", input_byte(in) % 4);
	VmbusFault fault = {
		.id = id,
		.kind = kind,
		.has_count = true,
		.count = input_byte(in) % 4,
		.has_value = input_byte(in) & 1,
		.value = input_value(in),
		.has_delay = kind == VMBUS_FAULT_KIND_COMPLETION_DELAY ||
			     kind == VMBUS_FAULT_KIND_PACKET_DELAY,
		.delay = 1 + input_byte(in),
	};
	Error *error = NULL;

	/* one that there is, or a value that it has not: an error, and nothing else */
	qmp_vmbus_fault_add(&fault, &error);
	error_free(error);
}

static void rescind(void)
{
	Error *error = NULL;

	vmbus_device_rescind(VMBUS_DEVICE(rig_vsp), false, &error);
	error_free(error);
	rig_settle();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	rig_connect(true);
	rig_open_channel(VMBUS_VERSION_WIN10_V5_3);
	must(vmbus_channel_is_open(vmbus_device_channel(VMBUS_DEVICE(rig_vsp), 0)));
	for (unsigned int i = 0; in.left && i < OPERATIONS; i++) {
		uint8_t op = input_byte(&in);

		if (op < 70)
			some_packet(&in);
		else if (op < 95)
			some_control(&in);
		else if (op < 115)
			some_extended(&in);
		else if (op < 160)
			some_message(&in);
		else if (op < 185)
			some_ring_word(&in);
		else if (op < 195)
			rig_signal(op & 1 ? input_value(&in) : rig_relid + 16);
		else if (op < 225)
			backend(&in);
		else if (op < 235)
			rig_pass_ms(op & 1 ? 1 : input_value(&in) % 100000);
		else if (op < 242)
			some_fault(&in);
		else if (op < 246)
			rescind();
		else if (op < 250)
			rig_open_channel(input_value(&in));
		else
			rig_guest_is_busy(op & 1);
	}
	rig_reset();
	return 0;
}
