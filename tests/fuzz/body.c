// SPDX-License-Identifier: MIT
/* A structured body, whole and in pieces: the same bytes come out, or the same error. */
#include "fuzz.h"

#include <errno.h>

#include "base/crc64.h"
#include "blob/xsm.h"

struct sink {
	uint8_t *bytes;
	size_t room;
	size_t length;
};

static int take(void *context, uint64_t offset, const uint8_t *bytes, size_t length,
		uint64_t *crc64)
{
	struct sink *sink = context;

	must(offset == sink->length);
	must(length <= sink->room - sink->length);
	memcpy(sink->bytes + offset, bytes, length);
	sink->length += length;
	*crc64 = azb_crc64(0, bytes, length);
	return 0;
}

static int run(const uint8_t *data, size_t size, uint64_t decoded, size_t step, struct sink *sink,
	       bool *complete)
{
	struct xsm x = { 0 };
	int error = 0;

	xsm_begin(&x, size, decoded);
	for (size_t at = 0; !error && at < size;) {
		size_t n = size - at < step ? size - at : step;
		char *piece = fuzz_string(data + at, n);

		error = xsm_feed(&x, (const uint8_t *)piece, n, take, sink);
		free(piece);
		at += n;
	}
	*complete = !error && xsm_complete(&x);
	return error;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t step = 1 + fuzz_choice(&data, &size, 32);
	struct sink whole = { 0 }, pieces = { 0 };
	bool complete, complete_too;
	uint64_t decoded;
	int error, same;

	/* what the header said the data's length is: near the truth, mostly */
	decoded = fuzz_choice(&data, &size, 256);
	whole.room = pieces.room = size;
	whole.bytes = malloc(size + 1);
	pieces.bytes = malloc(size + 1);
	must(whole.bytes && pieces.bytes);
	error = run(data, size, decoded, size ? size : 1, &whole, &complete);
	same = run(data, size, decoded, step, &pieces, &complete_too);
	must(complete == complete_too);
	must(!error == !same);
	if (complete) {
		must(whole.length == decoded && pieces.length == decoded);
		must(!memcmp(whole.bytes, pieces.bytes, whole.length));
	}
	free(whole.bytes);
	free(pieces.bytes);
	return 0;
}
