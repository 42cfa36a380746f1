// SPDX-License-Identifier: MIT
/* Messages of the link: the stream that they come in, and each of them. */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "door/link_check.h"
#include "door/link_memory.h"
#include "door/link_stream.h"

#define REGIONS 2u

static void check_request(const struct azl_request *request)
{
	static const struct link_terms terms = { .features =
							 AZL_FEATURE_REGIONS | AZL_FEATURE_RESEND,
						 .max_request_head = AZL_MAX_REQUEST_HEAD,
						 .max_inflight = 64 };
	static struct link_region region[REGIONS] = {
		{ .id = 0, .size = 1u << 20, .page = 4096 },
		{ .id = 1, .size = 1u << 16, .page = 4096, .readonly = true },
	};
	struct link_region *regions[AZL_MAX_REGIONS] = { &region[0], &region[1] };
	struct link_parts parts;
	const uint8_t *start = (const uint8_t *)request;

	if (link_check_request(request, &terms, regions, &parts))
		return;
	/* what it let through lies inside */
	must((const uint8_t *)parts.head >= start &&
	     (const uint8_t *)parts.head + request->head_length <= start + request->header.length);
	must((uint64_t)parts.in_count + parts.out_count + parts.response_count ==
	     request->segment_count);
	for (uint32_t i = 0; i < request->segment_count; i++) {
		const struct azl_segment *s = &parts.segments[i];

		must(s->region < REGIONS);
		must(s->offset <= region[s->region].size);
		must(s->length <= region[s->region].size - s->offset);
		must(i < parts.in_count || !region[s->region].readonly);
	}
}

static void check(const struct azl_header *header)
{
	uint32_t error = 0;

	switch (header->type) {
	case AZL_HELLO:
		link_check_hello((const struct azl_hello *)(const void *)header, &error);
		break;
	case AZL_REGION_ADD:
		link_check_region_add((const struct azl_region_add *)(const void *)header);
		break;
	case AZL_REQUEST:
		check_request((const struct azl_request *)(const void *)header);
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool welcomed = fuzz_choice(&data, &size, 2);
	enum link_in_state state = LINK_IN_MORE;
	struct link_message message;
	const char *why = NULL;
	struct link_in in;
	size_t put = 0;
	int fds[2];

	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds));
	must(!link_in_init(&in, fds[1]));
	while (state == LINK_IN_MORE && put < size) {
		ssize_t sent = send(fds[0], data + put, size - put < 4096 ? size - put : 4096,
				    MSG_NOSIGNAL);

		must(sent > 0);
		put += (size_t)sent;
		must(link_in_fill(&in) == sent);
		while ((state = link_in_next(&in, welcomed, &message, &why)) == LINK_IN_MESSAGE) {
			must(message.fd < 0);
			check(message.header);
		}
		must(state != LINK_IN_BAD || (why && *why));
	}
	link_in_free(&in);
	close(fds[0]);
	close(fds[1]);
	return 0;
}
