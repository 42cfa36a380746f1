// SPDX-License-Identifier: MIT
/*
 * The backend's side of the emulator: what comes in on the link, made of an input's bytes, while a
 * guest that means well has requests there.  tests/fuzz/link.c is the other direction.
 *
 * Whatever a backend says, nothing of the guest's memory changes but the buffers that it was given
 * to write to, and the rings; and each request is answered once at most.
 */
#include "rig.h"

#define OPERATIONS 64
/* What a request has room for, or sends, in pages from DATA_PAGE on */
#define DATA_BYTES (3 * 4096u)
#define RESPONSE_BYTES 4096u
#define CANARY 0x5a

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t some_id(struct input *in)
{
	uint8_t how = input_byte(in);

	return how < 128 ? rig_last_request - how % 4 : how < 192 ? how % 8 : input_value(in);
}

/* A message of the backend's, right but for what the input says */
static void some_message(struct input *in)
{
	struct {
		union {
			struct azl_header header;
			struct azl_welcome welcome;
			struct azl_region_status status;
			struct azl_complete complete;
			struct azl_refuse refuse;
		};
		uint8_t more[512];
	} m = { 0 };
	static const uint8_t answer[2 * DATA_BYTES];
	uint8_t how = input_byte(in), kind = input_byte(in) % 8;
	size_t size = sizeof(m.header), more = 0, piece = SIZE_MAX;
	VspRequest *request;

	switch (kind) {
	case 0:
		size = sizeof(m.welcome);
		m.header.type = AZL_WELCOME;
		m.welcome.version = AZL_VERSION;
		m.welcome.max_request_head = how & 1 ? input_value(in) : AZL_MAX_REQUEST_HEAD;
		m.welcome.max_inflight = how & 2 ? input_value(in) : 4;
		m.welcome.features = how & 4 ? input_byte(in) : 3;
		break;
	case 1:
		size = sizeof(m.status);
		m.header.type = AZL_REGION_STATUS;
		m.header.id = how & 1 ? input_value(in) : 0;
		m.status.error = how & 2 ? input_value(in) : 0;
		break;
	case 2:
		m.header.type = AZL_REGION_GONE;
		m.header.id = input_byte(in);
		break;
	case 3:
		size = sizeof(m.refuse) + input_bytes(in, m.more, input_byte(in));
		m.header.type = AZL_REFUSE;
		break;
	case 4:
		m.header.type = AZL_GOODBYE_BACKEND;
		break;
	default:
		size = sizeof(m.complete);
		m.header.type = AZL_COMPLETE;
		m.header.flags = how & 1;
		m.header.id = some_id(in);
		m.complete.status = how & 2 ? input_value(in) : 0;
		m.complete.response_length = how & 4 ? input_value(in) : 1;
		m.complete.data_length = how & 8 ? input_value(in) : 0;
		request = vsp_request_find_sent(rig_vsp, m.header.id);
		if (request && request->inlined)
			more = MIN((uint64_t)m.complete.response_length + m.complete.data_length,
				   sizeof(answer));
		break;
	}
	m.header.length = size + more;
	if (how & 16)
		m.header.length = input_value(in);
	if (how & 64)
		piece = 1 + input_word(in) % 8192;
	rig_say(&m, how & 32 ? input_byte(in) : size, piece);
	rig_say(answer, more, piece);
}

static void raw_bytes(struct input *in)
{
	uint8_t bytes[256];
	size_t size = input_bytes(in, bytes, input_byte(in));

	rig_say(bytes, size, input_byte(in));
}

/* What the guest has asked for and not been answered, by transaction */
static bool waits[3 + OPERATIONS];
static unsigned int requests;

static void request(struct input *in)
{
	uint8_t bytes[512], how = input_byte(in);
	size_t size = rig_packet(bytes, requests, how & 1 ? DATA_BYTES : 0, how & 2);

	must(requests < ARRAY_SIZE(waits));
	waits[requests++] = true;
	rig_put(bytes, size);
}

/* Each request is answered at most once, and never with more than there is room for. */
static void take_completions(void)
{
	vmbus_ring_buffer *ring = rig_ring(false);

	while (ring->read_index != ring->write_index) {
		struct {
			vmbus_packet_hdr header;
			struct vsp_wire_completion completion;
			uint32_t padding;
			uint64_t trailer;
		} packet;

		QEMU_BUILD_BUG_ON(sizeof(packet) != 40);
		for (size_t i = 0; i < sizeof(packet); i++)
			((uint8_t *)&packet)[i] =
				rig_ring_data(false)[(ring->read_index + i) % RING_BYTES];
		ring->read_index = (ring->read_index + sizeof(packet)) % RING_BYTES;
		must(packet.header.type == VMBUS_PACKET_COMP);
		must(packet.header.transaction_id < requests);
		must(waits[packet.header.transaction_id]);
		waits[packet.header.transaction_id] = false;
		must(packet.completion.response_length <= RESPONSE_BYTES);
	}
}

/* Pages that nobody but the guest may write: all that is in no ring and no buffer for answers. */
static bool is_marked(uint32_t page)
{
	return page < TO_HOST_PAGE || page == HEAD_PAGE || page >= DATA_PAGE + DATA_BYTES / 4096;
}

static void mark_memory(void)
{
	for (uint32_t page = 0; page < RIG_PAGES; page++)
		if (is_marked(page))
			memset(rig_ram + page * 4096, CANARY, 4096);
}

static void check_memory(void)
{
	for (uint32_t page = 0; page < RIG_PAGES; page++) {
		const uint8_t *bytes = rig_ram + page * 4096;

		if (is_marked(page))
			must(bytes[0] == CANARY && !memcmp(bytes, bytes + 1, 4095));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t how = input_byte(&in);

	requests = 0;
	memset(waits, 0, sizeof(waits));
	mark_memory();
	rig_open_channel(VMBUS_VERSION_WIN10_V5_3);
	rig_vsp->inline_only = how & 1;
	rig_connect(how & 2);
	for (unsigned int i = 0; i < 3; i++)
		request(&in);
	for (unsigned int i = 0; in.left && i < OPERATIONS; i++) {
		uint8_t op = input_byte(&in);

		if (op < 120)
			some_message(&in);
		else if (op < 160)
			raw_bytes(&in);
		else if (op < 190)
			request(&in);
		else if (op < 205)
			rig_pass_ms(op & 1 ? 1 : 1500);
		else if (op < 215)
			rig_disconnect();
		else if (op < 225)
			rig_die();
		else if (op < 245)
			rig_connect(op & 1);
		else if (op < 250)
			rig_set_room(op & 1 ? input_byte(&in) * 16 : SIZE_MAX);
		else
			rig_guest_is_busy(op & 1);
		take_completions();
	}
	check_memory();
	rig_reset();
	return 0;
}
