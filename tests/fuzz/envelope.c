// SPDX-License-Identifier: MIT
/* The connector library's envelope: with its checksum as it came, and with the right one. */
#include "fuzz.h"

#include <errno.h>

#include "base/crc64.h"
#include "door/envelope.h"
#include "door/head.h"

static void parse(const uint8_t *bytes, size_t size)
{
	static struct head_parser *parser;
	struct envelope envelope;
	struct azb_buf head = { 0 };
	char error[256] = "";
	size_t taken;
	int result;

	if (!envelope_is(bytes, size))
		return;
	result = envelope_parse(bytes, size, &envelope, error, sizeof(error));
	must(!result || *error);
	if (!result && envelope.method == ENVELOPE_OPEN) {
		result = envelope_head(&envelope, &head, error, sizeof(error));
		must(!result || *error);
		if (!parser)
			parser = head_parser_new();
		head_parser_reset(parser);
		/* nothing of a field may end the head, and begin another request */
		if (!result &&
		    head_parser_feed(parser, head.data, head.length, &taken) == HEAD_DONE)
			must(taken == head.length);
	} else if (!result) {
		must(envelope.handle);
	}
	azb_buf_free(&head);
	envelope_free(&envelope);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = (uint8_t *)fuzz_string(data, size);
	uint64_t crc;

	parse(copy, size);
	if (size >= ENVELOPE_HEADER) {
		memcpy(copy, "HsReq001", 8);
		memset(copy + 16, 0, 8);
		crc = azb_crc64(0, copy, size);
		memcpy(copy + 16, &crc, 8);
		parse(copy, size);
	}
	free(copy);
	return 0;
}
