// SPDX-License-Identifier: MIT
#include "xsm.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "../base/crc64.h"

enum region {
	HEADER,
	SEGMENT,
	DATA,
	SUM,
	TRAILER,
	END,
};

void xsm_put(uint8_t *at, uint64_t value, unsigned int bytes)
{
	for (; bytes; bytes--, value >>= 8)
		*at++ = (uint8_t)value;
}

static uint64_t get(const uint8_t *at, unsigned int bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | at[bytes];
	return value;
}

bool xsm_value_good(const char *text, size_t length)
{
	static const char want[] = "xsm/1.0;properties=crc64";
	size_t n = 0;

	for (size_t i = 0; i < length; i++) {
		if (text[i] == ' ')
			continue;
		if (n == sizeof(want) - 1 || strncasecmp(text + i, want + n, 1) != 0)
			return false;
		n++;
	}
	return n == sizeof(want) - 1;
}

void xsm_begin(struct xsm *x, uint64_t encoded, uint64_t decoded)
{
	*x = (struct xsm){ .encoded = encoded, .decoded = decoded };
}

static size_t frame_size(const struct xsm *x)
{
	return x->region == HEADER ? XSM_HEADER : x->region == SEGMENT ? XSM_SEGMENT : XSM_SUM;
}

static void next_segment(struct xsm *x)
{
	x->region = x->segment < x->segments ? SEGMENT : TRAILER;
}

/* A whole frame has come. */
static int take_frame(struct xsm *x)
{
	const uint8_t *f = x->frame;

	x->have = 0;
	switch ((enum region)x->region) {
	case HEADER:
		/* checksums were announced, so they must be there */
		if (f[0] != 1 || get(f + 1, 8) != x->encoded || get(f + 9, 2) != 1)
			return -EPROTO;
		x->segments = (unsigned int)get(f + 11, 2);
		next_segment(x);
		return 0;
	case SEGMENT:
		x->segment++;
		x->left = get(f + 2, 8);
		x->crc64 = 0;
		if (get(f, 2) != x->segment || x->left > x->decoded - x->done)
			return -EPROTO;
		x->region = x->left ? DATA : SUM;
		return 0;
	case SUM:
		next_segment(x);
		return get(f, 8) == x->crc64 ? 0 : -EBADMSG;
	case TRAILER:
		x->region = END;
		if (x->done != x->decoded || x->at != x->encoded)
			return -EPROTO;
		return get(f, 8) == x->all ? 0 : -EBADMSG;
	case DATA:
	case END:
		break;
	}
	return -EPROTO;
}

static int take_data(struct xsm *x, const uint8_t *bytes, size_t n, xsm_sink *sink, void *context)
{
	uint64_t crc64;
	int error = sink(context, x->done, bytes, n, &crc64);

	if (error)
		return error;
	x->crc64 = azb_crc64_combine(x->crc64, crc64, n);
	x->all = azb_crc64_combine(x->all, crc64, n);
	x->done += n;
	x->left -= n;
	if (!x->left)
		x->region = SUM;
	return 0;
}

int xsm_feed(struct xsm *x, const uint8_t *bytes, size_t length, xsm_sink *sink, void *context)
{
	while (length && !x->error) {
		size_t n;

		if (x->region == END) {
			x->error = -EPROTO;
		} else if (x->region == DATA) {
			n = x->left < length ? (size_t)x->left : length;
			x->at += n;
			x->error = take_data(x, bytes, n, sink, context);
			bytes += n;
			length -= n;
		} else {
			n = frame_size(x) - x->have;
			if (n > length)
				n = length;
			memcpy(x->frame + x->have, bytes, n);
			x->have += n;
			x->at += n;
			bytes += n;
			length -= n;
			if (x->have == frame_size(x))
				x->error = take_frame(x);
		}
	}
	return x->error;
}

bool xsm_complete(const struct xsm *x)
{
	return !x->error && x->region == END;
}
