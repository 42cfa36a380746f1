// SPDX-License-Identifier: MIT
/* The small texts of headers and parameters: times, addresses, ids, markers, base64. */
#include "fuzz.h"

#include "base/base64.h"
#include "blob/blobid.h"
#include "blob/blocklist.h"
#include "blob/httpdate.h"
#include "blob/isotime.h"
#include "blob/lease.h"
#include "blob/marker.h"
#include "blob/sas.h"
#include "blob/xsm.h"

static void block_id(const char *text, size_t size)
{
	struct store_block_id id;

	blocklist_id(text, size, &id);
}

static void markers(const char *text)
{
	int64_t at;

	free(marker_decode(text));
	free(marker_decode_at(text, &at));
}

/* What was made of a text is written so that it is read as the same. */
static void times(const char *text, size_t size)
{
	char blobid[BLOBID_ROOM], iso[ISOTIME_ROOM];
	time_t seconds;
	int64_t at, again;

	if (blobid_parse(text, &at)) {
		blobid_format(blobid, at);
		must(blobid_parse(blobid, &again) && again == at);
	}
	if (isotime_parse(text, &at))
		isotime_format(iso, at);
	httpdate_parse(text, size, &seconds);
}

static void bytes(const char *text, size_t size)
{
	uint8_t id[16], *out = malloc(size + 8);
	char formatted[LEASE_ID_ROOM];
	ssize_t n;

	must(out);
	n = azb_base64_decode(out, size + 8, text, size);
	if (n >= 0) {
		char *back = malloc((size_t)n * 2 + 8);

		must(back);
		azb_base64_encode(back, out, (size_t)n);
		must(strlen(back) == size);
		free(back);
	}
	if (lease_id_parse(text, size, id)) {
		lease_id_format(id, formatted);
		must(strlen(formatted) == 36);
	}
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int choice = fuzz_choice(&data, &size, 6);
	char *text = fuzz_string(data, size);

	switch (choice) {
	case 0:
		times(text, size);
		break;
	case 1:
		sas_address_fits(text, "10.0.0.1");
		sas_address_fits("10.0.0.1", text);
		sas_address_fits("fe80::1-fe80::9", text);
		break;
	case 2:
		bytes(text, size);
		break;
	case 3:
		markers(text);
		break;
	case 4:
		block_id(text, size);
		break;
	default:
		xsm_value_good(text, size);
		break;
	}
	free(text);
	return 0;
}
