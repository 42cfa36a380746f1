// SPDX-License-Identifier: MIT
/* A request head, whole and in pieces; then what is in it, by docs/payload.md. */
#include "fuzz.h"

#include "door/head.h"
#include "door/link_payload.h"

static enum head_state feed(struct head_parser *parser, const uint8_t *data, size_t size,
			    size_t step, size_t *taken)
{
	enum head_state state = HEAD_MORE;

	*taken = 0;
	head_parser_reset(parser);
	while (state == HEAD_MORE && *taken < size) {
		size_t n = size - *taken < step ? size - *taken : step, here = 0;
		/* memory of its own, so that a read beyond it is seen */
		char *piece = fuzz_string(data + *taken, n);

		state = head_parser_feed(parser, piece, n, &here);
		must(here <= n);
		must(state != HEAD_MORE || here == n);
		*taken += here;
		free(piece);
	}
	return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct head_parser *parser, *slow;
	enum head_state state, again;
	size_t taken, taken_again, step;

	if (!parser) {
		parser = head_parser_new();
		slow = head_parser_new();
	}
	step = 1 + fuzz_choice(&data, &size, 16);
	state = feed(parser, data, size, size ? size : 1, &taken);
	again = feed(slow, data, size, step, &taken_again);
	/* the same head, however it comes */
	must(state == again);
	if (state == HEAD_DONE) {
		const struct head *head = head_parser_head(parser), *other = head_parser_head(slow);
		struct payload payload;

		must(taken == taken_again);
		must(head->field_count == other->field_count);
		must(head->content_length == other->content_length);
		must(head->target.length == other->target.length);
		payload_parse(head, size > 40 ? 5 : 0, &payload);
		head_get(head, "Host");
		head_count(head, "x-ms-date");
	} else if (state == HEAD_BAD) {
		const char *reason = NULL;

		must(head_parser_error(parser, &reason) >= 400);
		must(reason && *reason);
	}
	return 0;
}
