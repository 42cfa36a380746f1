// SPDX-License-Identifier: MIT
/* The guest of rig.h: the processor's side of Hyper-V (standins.h), and a guest that means well. */
#include "rig.h"

#include "hw/hyperv/hyperv.h"
#include "qemu/main-loop.h"

#define PROCESSORS 2u
#define CONNECTIONS 4096u

uint32_t rig_relid;

static bool guest_is_busy;

/* ---- the processor ---- */

struct HvSintRoute {
	unsigned int refcount;
	HvSintMsgCb cb;
	void *data;
	bool pending;
	struct hyperv_message message;
	QTAILQ_ENTRY(HvSintRoute) next;
};

static QTAILQ_HEAD(, HvSintRoute) routes = QTAILQ_HEAD_INITIALIZER(routes);
static struct {
	HvMsgHandler handler;
	void *data;
	EventNotifier *event;
} connections[CONNECTIONS];

bool fuzz_is_synic_enabled(void);
bool fuzz_are_features_enabled(void);
HvSintRoute *fuzz_sint_route_new(uint32_t vp, uint32_t sint, HvSintMsgCb cb, void *data);
void fuzz_sint_route_ref(HvSintRoute *route);
void fuzz_sint_route_unref(HvSintRoute *route);
int fuzz_sint_route_set_sint(HvSintRoute *route);
int fuzz_post_msg(HvSintRoute *route, struct hyperv_message *message);
int fuzz_set_event_flag(HvSintRoute *route, unsigned int event);
int fuzz_set_msg_handler(uint32_t connection, HvMsgHandler handler, void *data);
int fuzz_set_event_flag_handler(uint32_t connection, EventNotifier *notifier);

bool fuzz_is_synic_enabled(void)
{
	return true;
}

bool fuzz_are_features_enabled(void)
{
	return true;
}

HvSintRoute *fuzz_sint_route_new(uint32_t vp, uint32_t sint, HvSintMsgCb cb, void *data)
{
	HvSintRoute *route;

	if (vp >= PROCESSORS)
		return NULL;
	must(sint < HV_SINT_COUNT);
	route = g_new0(HvSintRoute, 1);
	route->refcount = 1;
	route->cb = cb;
	route->data = data;
	QTAILQ_INSERT_TAIL(&routes, route, next);
	return route;
}

void fuzz_sint_route_ref(HvSintRoute *route)
{
	must(route->refcount);
	route->refcount++;
}

void fuzz_sint_route_unref(HvSintRoute *route)
{
	if (!route)
		return;
	must(route->refcount);
	if (--route->refcount)
		return;
	must(!route->pending);
	QTAILQ_REMOVE(&routes, route, next);
	g_free(route);
}

int fuzz_sint_route_set_sint(HvSintRoute *route)
{
	must(route->refcount);
	return 0;
}

int fuzz_set_event_flag(HvSintRoute *route, unsigned int event)
{
	must(route->refcount && event < HV_EVENT_FLAGS_COUNT);
	return 0;
}

/* The guest takes a message; with no reference but the message's own, its sender was reset. */
static void take_message(void *opaque)
{
	HvSintRoute *route = opaque;
	const vmbus_message_offer_channel *offer = (const void *)route->message.payload;

	if (!route->pending)
		return;
	route->pending = false;
	if (offer->header.message_type == VMBUS_MSG_OFFERCHANNEL)
		rig_relid = offer->child_relid;
	if (route->refcount > 1 && route->cb)
		route->cb(route->data, 0);
	fuzz_sint_route_unref(route);
}

int fuzz_post_msg(HvSintRoute *route, struct hyperv_message *message)
{
	must(message->header.payload_size <= HV_MESSAGE_PAYLOAD_SIZE);
	if (route->pending)
		return -EAGAIN;
	route->message = *message;
	route->pending = true;
	fuzz_sint_route_ref(route);
	if (!guest_is_busy)
		aio_bh_schedule_oneshot(qemu_get_aio_context(), take_message, route);
	return 0;
}

void rig_guest_is_busy(bool busy)
{
	HvSintRoute *route, *next;

	guest_is_busy = busy;
	if (busy)
		return;
	QTAILQ_FOREACH_SAFE(route, &routes, next, next)
	take_message(route);
	rig_settle();
}

int fuzz_set_msg_handler(uint32_t connection, HvMsgHandler handler, void *data)
{
	must(connection < CONNECTIONS && (!handler || !connections[connection].handler));
	connections[connection].handler = handler;
	connections[connection].data = data;
	return 0;
}

int fuzz_set_event_flag_handler(uint32_t connection, EventNotifier *notifier)
{
	must(connection < CONNECTIONS && (!notifier || !connections[connection].event));
	connections[connection].event = notifier;
	return 0;
}

void rig_post(uint32_t connection, const void *message, uint32_t size)
{
	struct hyperv_post_message_input post = { .connection_id = connection,
						  .message_type = HV_MESSAGE_VMBUS,
						  .payload_size = size };

	must(size <= sizeof(post.payload));
	memcpy(post.payload, message, size);
	if (connection < CONNECTIONS && connections[connection].handler)
		connections[connection].handler(&post, connections[connection].data);
	rig_settle();
}

void rig_signal(uint32_t connection)
{
	if (connection < CONNECTIONS && connections[connection].event)
		event_notifier_set(connections[connection].event);
	rig_settle();
}

/* ---- a guest that means well ---- */

vmbus_ring_buffer *rig_ring(bool to_host)
{
	return (void *)(rig_ram + (to_host ? TO_HOST_PAGE : TO_GUEST_PAGE) * 4096);
}

uint8_t *rig_ring_data(bool to_host)
{
	return (uint8_t *)rig_ring(to_host) + 4096;
}

void rig_open_channel(uint32_t version)
{
	struct {
		vmbus_message_gpadl_header header;
		vmbus_gpa_range range;
		uint64_t pfn[2 * (1 + RING_PAGES)];
	} QEMU_PACKED gpadl = {
		.header = { .header.message_type = VMBUS_MSG_GPADL_HEADER,
			    .gpadl_id = RING_GPADL,
			    .range_buflen = sizeof(gpadl.range) + sizeof(gpadl.pfn),
			    .rangecount = 1 },
		.range.byte_count = sizeof(gpadl.pfn) / 8 * 4096,
	};
	vmbus_message_initiate_contact contact = {
		.header.message_type = VMBUS_MSG_INITIATE_CONTACT,
		.version_requested = version,
		.interrupt_page = VMBUS_SINT,
	};
	vmbus_message_header offers = { .message_type = VMBUS_MSG_REQUESTOFFERS };
	vmbus_message_open_channel open = {
		.header.message_type = VMBUS_MSG_OPENCHANNEL,
		.open_id = 7,
		.ring_buffer_gpadl_id = RING_GPADL,
		.ring_buffer_offset = 1 + RING_PAGES,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(gpadl.pfn); i++)
		gpadl.pfn[i] = TO_HOST_PAGE + i;
	memset(rig_ring(true), 0, 4096);
	memset(rig_ring(false), 0, 4096);
	rig_post(version >= VMBUS_VERSION_WIN10_V5 ? VMBUS_MESSAGE_CONNECTION_ID_4
						   : VMBUS_MESSAGE_CONNECTION_ID,
		 &contact, sizeof(contact));
	rig_post(VMBUS_MESSAGE_CONNECTION_ID, &offers, sizeof(offers));
	gpadl.header.child_relid = rig_relid;
	rig_post(VMBUS_MESSAGE_CONNECTION_ID, &gpadl, sizeof(gpadl));
	open.child_relid = rig_relid;
	rig_post(VMBUS_MESSAGE_CONNECTION_ID, &open, sizeof(open));
}

void rig_put(const void *bytes, uint32_t size)
{
	vmbus_ring_buffer *ring = rig_ring(true);
	uint32_t write = ring->write_index % RING_BYTES / 8 * 8;

	size = MIN(size, RING_BYTES - 8);
	for (uint32_t i = 0; i < size; i++)
		rig_ring_data(true)[(write + i) % RING_BYTES] = ((const uint8_t *)bytes)[i];
	ring->write_index = (write + ROUND_UP(size, 8)) % RING_BYTES;
	rig_signal(VMBUS_EVENT_CONNECTION_ID);
	rig_signal(rig_relid + 16);
}

size_t rig_packet(uint8_t *to, uint64_t transaction, uint32_t data, bool sends)
{
	uint32_t pages = 2 + DIV_ROUND_UP(data, 4096), at = data ? pages - 2 : 0;
	struct vsp_wire_request wire = {
		.version = VSP_WIRE_VERSION_1,
		.timeout_ms = 1000,
		.data_length = data,
		.data_valid = sends ? data : 0,
		.operation_type = VSP_WIRE_OP_USER_REQUEST,
		.request_offset = at * 4096,
		.request_length = 100,
		.response_offset = (at + 1) * 4096,
		.response_length = 4096,
	};
	vmbus_pkt_gpa_direct direct = { .rangecount = 1 };
	vmbus_gpa_range range = { .byte_count = pages * 4096 };
	vmbus_packet_hdr header = {
		.type = VMBUS_PACKET_DATA_USING_GPA_DIRECT,
		.flags = VMBUS_PACKET_FLAG_REQUEST_COMPLETION,
		.transaction_id = transaction,
	};
	uint8_t *p = to + sizeof(header);
	uint64_t trailer = 0;

	p = mempcpy(p, &direct, sizeof(direct));
	p = mempcpy(p, &range, sizeof(range));
	for (uint32_t i = 0; i < pages; i++) {
		uint64_t pfn = i < at ? DATA_PAGE + i : i == at ? HEAD_PAGE : RESPONSE_PAGE;

		p = mempcpy(p, &pfn, sizeof(pfn));
	}
	header.offset_qwords = (p - to) / 8;
	p = mempcpy(p, &wire, sizeof(wire));
	header.len_qwords = (p - to) / 8;
	memcpy(to, &header, sizeof(header));
	p = mempcpy(p, &trailer, sizeof(trailer));
	return p - to;
}
