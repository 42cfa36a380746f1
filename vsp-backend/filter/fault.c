// SPDX-License-Identifier: MIT
/*
 * fault: what goes wrong without anybody saying so.
 *   lost        the call is done, and then fails: nobody knows its outcome
 *   flip        a bit of the bytes that are read is another one
 *   hang        the call does not go on as long as the file of if= is there
 *   kill        the daemon is killed before the call
 *   kill-after  and after it, before anybody is told
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/stop.h"
#include "base/waiting.h"
#include "filter/option.h"

enum fault_kind {
	NONE,
	LOST,
	FLIP,
	HANG,
	KILL,
	KILL_AFTER,
	KINDS
};

static const char *const kinds[KINDS] = { "", "lost", "flip", "hang", "kill", "kill-after" };

struct fault {
	enum fault_kind kind[FILTER_VERBS];
	struct trigger trigger;
};

static void kill_self(void)
{
	azb_log(AZB_LOG_WARNING, "filter fault: killed");
	kill(getpid(), SIGKILL);
}

static enum store_error before(struct filter *f, const struct filter_call *call)
{
	struct fault *fault = f->state;
	enum fault_kind kind = fault->kind[call->verb];

	if ((kind != HANG && kind != KILL) || !trigger_hits(&fault->trigger))
		return STORE_OK;
	if (kind == KILL)
		kill_self();
	azb_waiting_begin();
	while (!access(fault->trigger.file, F_OK) && !azb_stop_asked())
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	azb_waiting_end();
	return STORE_OK;
}

static enum store_error after(struct filter *f, const struct filter_call *call,
			      enum store_error error, uint64_t ns)
{
	struct fault *fault = f->state;
	enum fault_kind kind = fault->kind[call->verb];

	(void)ns;
	if ((kind != LOST && kind != KILL_AFTER) || !trigger_hits(&fault->trigger))
		return error;
	if (kind == KILL_AFTER)
		kill_self();
	return STORE_IO;
}

static void bytes(struct filter *f, const struct filter_call *call, void *data, size_t length)
{
	struct fault *fault = f->state;

	if (fault->kind[call->verb] == FLIP && length && trigger_hits(&fault->trigger))
		((unsigned char *)data)[length / 2] ^= 1;
}

static void end(struct filter *f)
{
	struct fault *fault = f->state;

	trigger_free(&fault->trigger);
	free(fault);
}

static const struct filter_hooks hooks = {
	.name = "fault", .before = before, .after = after, .end = end
};
/* bytes take a longer way for this one, so it is only used where it is needed */
static const struct filter_hooks hooks_with_bytes = {
	.name = "fault", .before = before, .after = after, .bytes = bytes, .end = end
};

static bool set(struct fault *fault, unsigned int verbs, enum fault_kind kind)
{
	for (unsigned int i = 0; i < FILTER_VERBS; i++)
		if (verbs & (1u << i))
			fault->kind[i] = kind;
	return true;
}

static bool parse(struct fault *fault, char *options, char *error, size_t size)
{
	char *name, *value, why[200];
	bool any = false, hang = false, mine;

	while (option_next(&options, &name, &value)) {
		unsigned int verbs = option_verbs(name);
		enum fault_kind kind = LOST;

		if (!verbs) {
			if (!trigger_option(&fault->trigger, name, value, &mine, why, sizeof(why)))
				return option_bad(error, size, "filter fault: %s", why);
			if (!mine)
				return option_bad(error, size,
						  "filter fault: unknown option '%s'; there are: "
						  "open, read, list, write, change, all, %s",
						  name, TRIGGER_OPTIONS);
			continue;
		}
		while (kind < KINDS && (!value || strcmp(value, kinds[kind]) != 0))
			kind++;
		if (kind == KINDS)
			return option_bad(error, size,
					  "filter fault: %s=%s: lost, flip, hang, kill and "
					  "kill-after are accepted",
					  name, value ? value : "");
		if (kind == FLIP && verbs != 1u << FILTER_READ)
			return option_bad(error, size,
					  "filter fault: %s=flip: only read=flip is accepted",
					  name);
		hang |= kind == HANG;
		any = set(fault, verbs, kind);
	}
	if (hang && !fault->trigger.file)
		return option_bad(error, size, "filter fault: hang needs if=FILE");
	return any || option_bad(error, size, "filter fault: what? as fault,change=lost,every=10");
}

struct store *filter_fault(char *options, struct store *next, char *error, size_t size)
{
	struct fault *fault = calloc(1, sizeof(*fault));
	bool flips;

	if (!fault) {
		option_bad(error, size, "out of memory");
		return NULL;
	}
	trigger_init(&fault->trigger);
	if (!parse(fault, options, error, size)) {
		trigger_free(&fault->trigger);
		free(fault);
		return NULL;
	}
	flips = fault->kind[FILTER_READ] == FLIP;
	return filter_new(flips ? &hooks_with_bytes : &hooks, fault, next, error, size);
}
