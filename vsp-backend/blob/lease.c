// SPDX-License-Identifier: MIT
#include "lease.h"

#include <stdio.h>
#include <string.h>

#include "xml.h"

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool lease_id_parse(const char *text, size_t length, uint8_t id[16])
{
	unsigned int n = 0;
	bool hyphens;

	if (length == 38 &&
	    ((text[0] == '{' && text[37] == '}') || (text[0] == '(' && text[37] == ')'))) {
		text++;
		length = 36;
	}
	hyphens = length == 36;
	if (!hyphens && length != 32)
		return false;
	memset(id, 0, 16);
	for (size_t i = 0; i < length; i++) {
		int value;

		if (hyphens && (i == 8 || i == 13 || i == 18 || i == 23)) {
			if (text[i] != '-')
				return false;
			continue;
		}
		value = digit(text[i]);
		if (value < 0)
			return false;
		id[n / 2] = (uint8_t)(id[n / 2] << 4 | value);
		n++;
	}
	return true;
}

void lease_id_format(const uint8_t id[16], char out[LEASE_ID_ROOM])
{
	char *at = out;

	for (size_t i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		at += snprintf(at, 3, "%02x", id[i]);
	}
}

static const char *const state_names[] = {
	[STORE_LEASE_AVAILABLE] = "available", [STORE_LEASE_LEASED] = "leased",
	[STORE_LEASE_EXPIRED] = "expired",     [STORE_LEASE_BREAKING] = "breaking",
	[STORE_LEASE_BROKEN] = "broken",
};

static bool locked(enum store_lease_state state)
{
	return state == STORE_LEASE_LEASED || state == STORE_LEASE_BREAKING;
}

static const char *duration_name(const struct store_lease *lease)
{
	return lease->duration_s == STORE_LEASE_INFINITE ? "infinite" : "fixed";
}

void lease_add_headers(struct answer *a, const struct store_lease *lease)
{
	enum store_lease_state state = store_lease_state(lease, store_now_ns());

	answer_add(a, "x-ms-lease-status", locked(state) ? "locked" : "unlocked");
	answer_add(a, "x-ms-lease-state", state_names[state]);
	if (state == STORE_LEASE_LEASED)
		answer_add(a, "x-ms-lease-duration", duration_name(lease));
}

void lease_add_xml(struct azb_buf *xml, const struct store_lease *lease)
{
	enum store_lease_state state = store_lease_state(lease, store_now_ns());

	xml_element_z(xml, "LeaseStatus", locked(state) ? "locked" : "unlocked");
	xml_element_z(xml, "LeaseState", state_names[state]);
	if (state == STORE_LEASE_LEASED)
		xml_element_z(xml, "LeaseDuration", duration_name(lease));
}
