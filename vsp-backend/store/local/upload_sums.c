/* SPDX-License-Identifier: MIT */
/*
 * Checksums of the blocks of an extent, made from parts that know nothing of blocks.
 *
 * A block that lies in one part gets its sum as the part goes by.  What a part has of blocks
 * at its ends it keeps (span_sums.head, tail) until its neighbours are there.
 */
#include "base/crc64.h"
#include "store/local/local.h"

void upload_sums_begin(struct summing *s, const struct extent *extent, uint64_t offset)
{
	*s = (struct summing){ 0 };
	if (!extent || !extent->sums)
		return;
	s->extent = extent;
	s->block = sums_block(extent->length);
	s->power = azb_crc64_power(s->block);
	s->from = s->at = s->part_from = offset - extent->start;
}

/* The block that is under way ends here, or the span does. */
static void end_block(struct summing *s)
{
	uint64_t length = s->at - s->part_from;

	if (!length)
		return;
	if (length == s->block)
		s->sums.crc64 = azb_crc64_join(s->sums.crc64, s->part, s->power);
	else
		s->sums.crc64 = azb_crc64_combine(s->sums.crc64, s->part, length);
	if (s->part_from % s->block)
		s->sums.head = s->part;
	if (s->at % s->block && s->at != s->extent->length)
		s->sums.tail = s->part;
	else if (s->part_from % s->block == 0)
		s->extent->sums[s->part_from / s->block] = s->part;
	s->part = 0;
	s->part_from = s->at;
}

void upload_sums_add(struct summing *s, const unsigned char *bytes, size_t length)
{
	if (!s->extent) {
		s->sums.crc64 = azb_crc64(s->sums.crc64, bytes, length);
		return;
	}
	while (length) {
		size_t n = (size_t)(s->block - s->at % s->block);

		if (n > length)
			n = length;
		s->part = azb_crc64(s->part, bytes, n);
		s->at += n;
		bytes += n;
		length -= n;
		if (s->at % s->block == 0)
			end_block(s);
	}
}

struct span_sums upload_sums_end(struct summing *s)
{
	if (s->extent)
		end_block(s);
	return s->sums;
}

/* Where in its extent a span is, and the borders between blocks in or around it. */
struct place {
	uint64_t from, to; /* of the span */
	uint64_t up;       /* the end of what is at its head: a border, or @to */
	uint64_t down;     /* where what is at its tail begins: a border, or @from */
};

/* The end of an extent is a border too. */
static struct place place_of(const struct extent *extent, const struct span *span)
{
	uint64_t block = sums_block(extent->length);
	struct place p = { .from = span->offset - extent->start };

	p.to = p.from + span->length;
	p.up = (p.from + block - 1) / block * block;
	if (p.up > p.to)
		p.up = p.to;
	p.down = p.to == extent->length ? p.to : p.to / block * block;
	if (p.down < p.from)
		p.down = p.from;
	return p;
}

void upload_sums_join(const struct extent *extent, struct span *a, const struct span *b)
{
	uint64_t block = sums_block(extent->length);
	struct place pa = place_of(extent, a), pb = place_of(extent, b);
	uint64_t both;

	if (!extent->sums)
		return;
	if (pa.down == pa.to || pb.up == pb.from) {
		/* between blocks */
		a->sums.tail = b->sums.tail;
		return;
	}
	both = azb_crc64_combine(a->sums.tail, b->sums.head, pb.up - pb.from);
	if (pa.down % block == 0 && (pb.up % block == 0 || pb.up == extent->length))
		extent->sums[pa.down / block] = both;
	if (pa.down == pa.from && pa.from % block)
		a->sums.head = both;
	a->sums.tail = pb.down == pb.from ? both : b->sums.tail;
}

uint64_t upload_sums_finish(const struct extent *extent, const struct span *span, uint64_t before)
{
	uint64_t block = sums_block(extent->length);
	struct place p = place_of(extent, span);

	if (!extent->sums)
		return 0;
	if (p.up > p.from) {
		before = azb_crc64_combine(before, span->sums.head, p.up - p.from);
		if (p.up % block == 0 || p.up == extent->length)
			extent->sums[p.from / block] = before;
		else
			return before; /* the block goes on in the next span */
	}
	return span->sums.tail;
}
