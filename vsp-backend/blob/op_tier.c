// SPDX-License-Identifier: MIT
/* Access tiers: Set Blob Tier, and how tiers are read and shown. */
#include "op.h"

#include <string.h>

#include "httpdate.h"
#include "tier.h"
#include "xml.h"

/* The cold tier came with this version. */
#define VERSION_COLD "2021-12-02"

static const struct {
	const char *name;
	const char *pending; /* what archive-status says on the way to it */
} tiers[] = {
	[STORE_TIER_INFERRED] = { "Hot", NULL },
	[STORE_TIER_HOT] = { "Hot", "rehydrate-pending-to-hot" },
	[STORE_TIER_COOL] = { "Cool", "rehydrate-pending-to-cool" },
	[STORE_TIER_COLD] = { "Cold", "rehydrate-pending-to-cold" },
	[STORE_TIER_ARCHIVE] = { "Archive", NULL },
};

struct svc_answer *tier_parse(const struct rq *rq, enum store_tier *tier)
{
	const struct head_str *value = head_get(rq->head, "x-ms-access-tier");

	*tier = STORE_TIER_INFERRED;
	if (!value)
		return NULL;
	for (int i = STORE_TIER_HOT; i <= STORE_TIER_ARCHIVE; i++)
		if (head_str_is_nocase(value, tiers[i].name))
			*tier = (enum store_tier)i;
	if (*tier == STORE_TIER_INFERRED ||
	    (*tier == STORE_TIER_COLD && !rq_since(rq, VERSION_COLD)))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-access-tier");
	return NULL;
}

struct svc_answer *tier_priority(const struct rq *rq, bool *high)
{
	const struct head_str *value = head_get(rq->head, "x-ms-rehydrate-priority");

	*high = value && head_str_is_nocase(value, "High");
	if (value && !*high && !head_str_is_nocase(value, "Standard"))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-rehydrate-priority");
	return NULL;
}

void tier_add_headers(struct answer *a, const struct store_blob_info *info)
{
	if (info->type != STORE_BLOCK_BLOB)
		return;
	answer_add(a, "x-ms-access-tier", tiers[info->tier].name);
	if (info->tier == STORE_TIER_INFERRED)
		answer_add(a, "x-ms-access-tier-inferred", "true");
	else
		answer_add_time(a, "x-ms-access-tier-change-time", info->tier_changed_ns);
	if (info->rehydrate == STORE_TIER_INFERRED)
		return;
	answer_add(a, "x-ms-archive-status", tiers[info->rehydrate].pending);
	answer_add(a, "x-ms-rehydrate-priority", info->rehydrate_high ? "High" : "Standard");
}

void tier_add_xml(struct azb_buf *xml, const struct store_blob_info *info)
{
	char text[HTTPDATE_ROOM];

	if (info->type != STORE_BLOCK_BLOB)
		return;
	xml_element_z(xml, "AccessTier", tiers[info->tier].name);
	if (info->tier == STORE_TIER_INFERRED) {
		xml_element_z(xml, "AccessTierInferred", "true");
	} else {
		httpdate_format(text, httpdate_seconds(info->tier_changed_ns));
		xml_element_z(xml, "AccessTierChangeTime", text);
	}
	if (info->rehydrate == STORE_TIER_INFERRED)
		return;
	xml_element_z(xml, "ArchiveStatus", tiers[info->rehydrate].pending);
	xml_element_z(xml, "RehydratePriority", info->rehydrate_high ? "High" : "Standard");
}

static struct svc_answer *tier_set(const struct answer_to *to, const struct store_result *result,
				   void *context)
{
	(void)context;
	return answer_done(answer_new(to, result->rehydrating ? 202 : 200), to);
}

struct svc_answer *op_set_tier(struct rq *rq, struct svc_upload **upload)
{
	struct store_change change = { .kind = STORE_SET_TIER, .ref = rq_ref(rq) };
	struct conditions conditions;
	enum store_error error;
	struct svc_answer *answer;

	(void)upload;
	/* the reference: of the conditions only x-ms-if-tags */
	answer = conditions_refuse(rq);
	if (!answer)
		answer = conditions_parse(rq, &conditions);
	if (!answer && !head_get(rq->head, "x-ms-access-tier"))
		answer = rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, "x-ms-access-tier");
	if (!answer)
		answer = tier_parse(rq, &change.tier);
	if (!answer)
		answer = tier_priority(rq, &change.rehydrate_high);
	if (answer)
		return answer;
	change.conditions = &conditions.store;
	answer = change_run(rq->svc, &rq->to, rq->caller, &change, tier_set, NULL, &error);
	return answer ? answer : rq_fail_store(rq, error);
}
