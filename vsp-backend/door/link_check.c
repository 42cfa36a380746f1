// SPDX-License-Identifier: MIT
/* What an emulator may say; see link_check.h. */
#include "link_check.h"

#include <errno.h>

#include "link_memory.h"

/* Region borders lie on host pages of every architecture that VMBus runs on. */
#define REGION_ALIGN 4096u

struct rule {
	uint16_t type;
	uint16_t flags; /* allowed */
	uint32_t min;
	uint32_t max;
	enum {
		ID_ZERO,
		ID_REQUEST,
		ID_REGION
	} id;
};

static const struct rule rules[] = {
	{ AZL_HELLO, 0, sizeof(struct azl_hello), sizeof(struct azl_hello), ID_ZERO },
	{ AZL_REGION_ADD, AZL_REGION_READONLY, sizeof(struct azl_region_add),
	  sizeof(struct azl_region_add), ID_REGION },
	{ AZL_REGION_DEL, 0, sizeof(struct azl_header), sizeof(struct azl_header), ID_REGION },
	{ AZL_REQUEST, AZL_REQUEST_RESENT | AZL_REQUEST_INLINE, sizeof(struct azl_request),
	  AZL_MAX_MESSAGE, ID_REQUEST },
	{ AZL_CANCEL, AZL_CANCEL_TIMEOUT, sizeof(struct azl_header), sizeof(struct azl_header),
	  ID_REQUEST },
	{ AZL_ACK, 0, sizeof(struct azl_header), sizeof(struct azl_header), ID_REQUEST },
	{ AZL_GOODBYE_EMULATOR, 0, sizeof(struct azl_header), sizeof(struct azl_header), ID_ZERO },
};

bool link_check_wants_fd(uint16_t type)
{
	return type == AZL_REGION_ADD;
}

const char *link_check_header(const struct azl_header *header, bool welcomed)
{
	const struct rule *rule = NULL;

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (rules[i].type == header->type)
			rule = &rules[i];
	}
	if (!rule)
		return "a message of unknown type";
	if (!welcomed && header->type != AZL_HELLO)
		return "a message before HELLO";
	if (welcomed && header->type == AZL_HELLO)
		return "a second HELLO";
	if (header->length < rule->min || header->length > rule->max)
		return "a message of a wrong length";
	if (header->flags & ~rule->flags)
		return "a message with unknown flags";
	if (rule->id == ID_ZERO && header->id != 0)
		return "an id in a message that has none";
	if (rule->id == ID_REQUEST && header->id == 0)
		return "a request id of zero";
	if (rule->id == ID_REGION && header->id >= AZL_MAX_REGIONS)
		return "a region id beyond the limit";
	return NULL;
}

const char *link_check_hello(const struct azl_hello *hello, uint32_t *error)
{
	*error = EPROTO;
	if (hello->magic != AZL_MAGIC)
		return "HELLO has a wrong magic: this is no emulator of azure-blob-vsp";
	if (hello->version_min > hello->version_max)
		return "HELLO has version_min above version_max";
	*error = EPROTONOSUPPORT;
	if (hello->version_min > AZL_VERSION || hello->version_max < AZL_VERSION)
		return "this backend speaks version 1 of the link and the emulator does not";
	*error = 0;
	return NULL;
}

const char *link_check_region_add(const struct azl_region_add *add)
{
	if (add->offset % REGION_ALIGN || add->size % REGION_ALIGN)
		return "a region that does not lie on page borders";
	if (add->size == 0)
		return "a region without bytes";
	if (add->offset + add->size < add->offset || add->offset + add->size > INT64_MAX)
		return "a region whose end overflows";
	return NULL;
}

static const char *check_segments(const struct azl_request *request,
				  struct link_region *const *regions, struct link_parts *parts)
{
	uint64_t sums[AZL_SEGMENT_RESPONSE + 1] = { 0 };
	uint32_t counts[AZL_SEGMENT_RESPONSE + 1] = { 0 };
	uint32_t last = AZL_SEGMENT_DATA_IN;

	for (uint32_t i = 0; i < request->segment_count; i++) {
		const struct azl_segment *segment = &parts->segments[i];
		const struct link_region *region;

		if (segment->use < AZL_SEGMENT_DATA_IN || segment->use > AZL_SEGMENT_RESPONSE)
			return "a segment of unknown use";
		if (segment->use < last)
			return "segments out of order";
		last = segment->use;
		if (segment->region >= AZL_MAX_REGIONS || !regions[segment->region])
			return "a segment in a region that does not exist";
		region = regions[segment->region];
		if (segment->length == 0)
			return "a segment without bytes";
		if (segment->offset > region->size ||
		    segment->length > region->size - segment->offset)
			return "a segment beyond the end of its region";
		if (segment->use != AZL_SEGMENT_DATA_IN && region->readonly)
			return "a segment to be written in a read-only region";
		/* No overflow: at most 8192 lengths, each within a mapped region. */
		sums[segment->use] += segment->length;
		counts[segment->use]++;
	}
	if (sums[AZL_SEGMENT_DATA_IN] != request->data_valid)
		return "segments of the body whose sum is not data_valid";
	if (sums[AZL_SEGMENT_DATA_OUT] != (request->data_valid ? 0 : request->data_length))
		return "segments for the answer's body whose sum is not data_length";
	if (sums[AZL_SEGMENT_RESPONSE] != request->response_length)
		return "segments for the response whose sum is not response_length";
	parts->in_count = counts[AZL_SEGMENT_DATA_IN];
	parts->out_count = counts[AZL_SEGMENT_DATA_OUT];
	parts->response_count = counts[AZL_SEGMENT_RESPONSE];
	return NULL;
}

const char *link_check_request(const struct azl_request *request, const struct link_terms *terms,
			       struct link_region *const *regions, struct link_parts *parts)
{
	const uint8_t *bytes = (const uint8_t *)request;
	bool is_inline = request->header.flags & AZL_REQUEST_INLINE;
	uint64_t padded, expected;

	if (request->reserved)
		return "a request with reserved bits";
	if (request->head_length > terms->max_request_head)
		return "a request head beyond the limit";
	if (request->data_length > AZL_MAX_BODY || request->response_length > AZL_MAX_BODY)
		return "a request with a buffer beyond the limit";
	if (request->data_valid > request->data_length)
		return "a request with data_valid above data_length";
	if (request->segment_count > AZL_MAX_SEGMENTS)
		return "a request with too many segments";
	if (is_inline && request->segment_count)
		return "an inline request with segments";
	if (!is_inline && !(terms->features & AZL_FEATURE_REGIONS))
		return "a request with segments where regions were not agreed";

	padded = ((uint64_t)request->head_length + 7) & ~(uint64_t)7;
	expected = sizeof(*request) + padded + request->segment_count * sizeof(struct azl_segment);
	if (is_inline)
		expected += request->data_valid;
	if (request->header.length != expected)
		return "a request whose length does not fit its parts";

	*parts = (struct link_parts){ 0 };
	parts->head = (const char *)bytes + sizeof(*request);
	for (uint64_t i = request->head_length; i < padded; i++) {
		if (parts->head[i])
			return "a request with padding that is not zero";
	}
	parts->segments = (const void *)(bytes + sizeof(*request) + padded);
	if (is_inline) {
		parts->body = bytes + sizeof(*request) + padded;
		return NULL;
	}
	return check_segments(request, regions, parts);
}
