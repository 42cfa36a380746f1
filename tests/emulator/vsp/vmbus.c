// SPDX-License-Identifier: MIT
/* The bus's messages.  Layouts are those of include/hw/hyperv/vmbus-proto.h. */
#include "vmbus.h"

/* INITIATE_CONTACT goes here from 5.0 on. */
#define CONNECTION_FOR_CONTACT 4
/* Page numbers that fit a GPADL_HEADER, and a GPADL_BODY */
#define HEADER_PFNS 26
#define BODY_PFNS 28

uint32_t message[60];
uint32_t relid, connection, version, message_connection = VMBUS_CONNECTION;

static struct hv_post_message post __attribute__((aligned(512)));

/* The class GUID, as the bus carries it */
static const uint8_t class_guid[16] = { 0x92, 0xb7, 0x90, 0x05, 0x64, 0xdb, 0xcc, 0x45,
					0x81, 0xdb, 0xb8, 0xd7, 0x0c, 0x57, 0x7c, 0x9e };

static volatile struct hv_message *slot(void)
{
	return (volatile struct hv_message *)PAGE_A + VMBUS_SINT;
}

static void post_to(uint32_t to, const uint32_t *words, int count)
{
	post.connection = to;
	post.reserved = 0;
	post.type = 1;
	post.size = count * 4;
	for (int i = 0; i < count; i++)
		post.payload[i] = words[i];
	/* The queue is short, and may be full. */
	CHECK(EVENTUALLY(hypercall(HV_POST_MESSAGE, (uint32_t)&post) == HV_SUCCESS));
}

void post_words(const uint32_t *words, int count)
{
	post_to(message_connection, words, count);
}

bool message_waits(void)
{
	return slot()->type == 1;
}

static void take(void)
{
	CHECK(EVENTUALLY(message_waits()));
	for (int i = 0; i < 60; i++)
		message[i] = slot()->payload[i];
	slot()->type = 0;
	__sync_synchronize();
	wrmsr(HV_MSR_EOM, 0);
}

void expect(uint32_t type)
{
	take();
	CHECK(message[0] == type);
}

bool connect_bus(uint32_t wanted)
{
	uint32_t words[10] = { MSG_INITIATE_CONTACT, 0, wanted, 0, VMBUS_SINT };

	enable_hypercalls();
	wrmsr(HV_MSR_SIMP, (uint32_t)PAGE_A | 1);
	wrmsr(HV_MSR_SIEFP, (uint32_t)PAGE_B | 1);
	wrmsr(HV_MSR_SCONTROL, 1);
	wrmsr(HV_MSR_SINT0 + VMBUS_SINT, SINT_VECTOR);
	interrupts_on();

	version = wanted;
	message_connection = VMBUS_CONNECTION;
	post_to(wanted >= VERSION(5, 0) ? CONNECTION_FOR_CONTACT : VMBUS_CONNECTION, words, 10);
	expect(MSG_VERSION_RESPONSE);
	if (!(message[2] & 0xff))
		return false;
	if (wanted >= VERSION(5, 0))
		message_connection = message[3];
	return true;
}

static bool is_ours(void)
{
	const uint8_t *guid = (const uint8_t *)&message[2];

	for (int i = 0; i < 16; i++)
		if (guid[i] != class_guid[i])
			return false;
	return true;
}

static void note_offer(void)
{
	/* after two GUIDs, 16 bytes, flags, 120 bytes of user data, index */
	relid = message[46];
	connection = message[48];
}

void take_offers(void)
{
	uint32_t words[2] = { MSG_REQUEST_OFFERS, 0 };

	relid = 0;
	post_words(words, 2);
	for (take(); message[0] != MSG_ALL_OFFERS; take()) {
		CHECK(message[0] == MSG_OFFER);
		if (is_ours())
			note_offer();
	}
	CHECK(relid);
}

void take_offer(void)
{
	expect(MSG_OFFER);
	CHECK(is_ours());
	note_offer();
}

void send_gpadl(uint32_t id, const uint64_t *pfns, int pages)
{
	uint32_t words[60] = { MSG_GPADL_HEADER, 0, relid, id };
	int now = pages < HEADER_PFNS ? pages : HEADER_PFNS;
	int sent;

	words[4] = (8 + pages * 8) | 1 << 16;
	words[5] = pages * 4096;
	words[6] = 0;
	for (int i = 0; i < now; i++) {
		words[7 + 2 * i] = pfns[i];
		words[8 + 2 * i] = pfns[i] >> 32;
	}
	post_words(words, 7 + 2 * now);
	for (sent = now; sent < pages; sent += now) {
		now = pages - sent < BODY_PFNS ? pages - sent : BODY_PFNS;
		words[0] = MSG_GPADL_BODY;
		words[1] = 0;
		words[2] = 0;
		words[3] = id;
		for (int i = 0; i < now; i++) {
			words[4 + 2 * i] = pfns[sent + i];
			words[5 + 2 * i] = pfns[sent + i] >> 32;
		}
		post_words(words, 4 + 2 * now);
	}
}

void create_gpadl(uint32_t id, uint32_t first, int pages)
{
	static uint64_t pfns[64];

	for (int i = 0; i < pages; i++)
		pfns[i] = (first >> 12) + i;
	send_gpadl(id, pfns, pages);
	expect(MSG_GPADL_CREATED);
	CHECK(message[2] == relid && message[3] == id && message[4] == 0);
}

void teardown_gpadl(uint32_t id)
{
	uint32_t words[4] = { MSG_GPADL_TEARDOWN, 0, relid, id };

	post_words(words, 4);
}

uint32_t open_channel(uint32_t gpadl, uint32_t offset)
{
	uint32_t words[37] = { MSG_OPEN, 0, relid, 0x0be1, gpadl, 0, offset };

	post_words(words, 37);
	expect(MSG_OPEN_RESULT);
	CHECK(message[2] == relid && message[3] == 0x0be1);
	return message[4];
}

void close_channel(void)
{
	uint32_t words[3] = { MSG_CLOSE, 0, relid };

	post_words(words, 3);
}
