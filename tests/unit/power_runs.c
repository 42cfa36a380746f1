/* SPDX-License-Identifier: MIT */
#include "power_runs.h"

#include "powercut.h"

#define STEPS 60
#define SLOT 4096u
#define SLOTS 16u

/* Changes of one blob, in order; the first one makes it.  @ended 0: never. */
struct step {
	size_t begun, ended;
	uint32_t seed;
	size_t offset, length;
};

static struct step appends[STEPS], writes[STEPS];

static enum store_error bring(struct store *store, struct store_change *change,
			      const struct step *step)
{
	unsigned char *bytes = malloc(step->length);
	struct iovec iov = { bytes, step->length };
	enum store_error error = store_upload_begin(store, step->length, 0, &change->upload);

	fill_bytes(bytes, step->length, step->seed);
	if (!error)
		error = store_upload_write(change->upload, 0, &iov, 1, 0, NULL, NULL);
	if (!error)
		error = store_change(store, change, NULL);
	free(bytes);
	return error;
}

static void make(struct store *store, const char *name, enum store_blob_type type, size_t size,
		 struct step *step)
{
	struct store_change put = {
		.kind = STORE_PUT_BLOB, .ref = ref_of(name), .type = type, .size = size
	};

	step->begun = cut_now();
	ok(store_change(store, &put, NULL));
	step->ended = cut_now();
}

void *power_runs_work(void *context)
{
	struct store *store = context;
	size_t end = 0;

	make(store, "appended", STORE_APPEND_BLOB, 0, &appends[0]);
	make(store, "pages", STORE_PAGE_BLOB, (size_t)SLOT * SLOTS, &writes[0]);
	for (uint32_t i = 1; i < STEPS; i++) {
		struct store_change append = { .kind = STORE_APPEND, .ref = ref_of("appended") };
		struct store_change write = { .kind = STORE_PAGES_WRITE, .ref = ref_of("pages") };
		/* mostly for the journal, some for extents of their own */
		struct step a = { .seed = 70000 + i,
				  .offset = end,
				  .length = i % 9 == 4 ? 20000 : 1 + i * 37 % 900 };
		struct step w = { .seed = 80000 + i, .offset = i * 7 % SLOTS * SLOT };

		w.length = (1 + i * 5 % (i % 7 ? 2 : SLOTS)) * SLOT;
		if (w.offset + w.length > (size_t)SLOT * SLOTS)
			w.length = (size_t)SLOT * SLOTS - w.offset;
		write.offset = w.offset;
		a.begun = cut_now();
		appends[i] = a;
		ok(bring(store, &append, &a));
		appends[i].ended = cut_now();
		end += a.length;
		w.begun = cut_now();
		writes[i] = w;
		ok(bring(store, &write, &w));
		writes[i].ended = cut_now();
	}
	return NULL;
}

static bool holds(struct store *store, const char *name, const unsigned char *want, size_t length)
{
	struct store_ref ref = ref_of(name);
	struct store_read *read;
	unsigned char *have;
	bool same;

	ok(store_read_open(store, &ref, NULL, NULL, &read));
	same = read->info.length == length;
	have = malloc(length + 1);
	if (same && length) {
		ok(store_read_at(read, 0, have, length));
		same = !memcmp(have, want, length);
	}
	free(have);
	store_read_close(read);
	return same;
}

/* The blob after its first @count steps; its length. */
static size_t after(const struct step *steps, size_t count, bool pages, unsigned char *bytes)
{
	size_t length = pages ? (size_t)SLOT * SLOTS : 0;

	memset(bytes, 0, (size_t)SLOT * SLOTS);
	for (size_t i = 1; i < count; i++) {
		fill_bytes(bytes + steps[i].offset, steps[i].length, steps[i].seed);
		if (!pages)
			length += steps[i].length;
	}
	return length;
}

static void look_at(struct store *store, size_t cut, const char *name, const struct step *steps,
		    bool pages, const char *where)
{
	static unsigned char bytes[400000];
	size_t done = 0, begun = 0, length;

	while (done < STEPS && steps[done].ended && steps[done].ended <= cut)
		done++;
	while (begun < STEPS && steps[begun].begun && steps[begun].begun <= cut)
		begun++;
	if (!exists(store, name)) {
		if (done)
			fail_msg("%s: %s is gone", where, name);
		return;
	}
	for (size_t count = done ? done : 1; count <= begun; count++) {
		length = after(steps, count, pages, bytes);
		if (holds(store, name, bytes, length))
			return;
	}
	fail_msg("%s: %s is neither what was acknowledged (%zu) nor what was under way (%zu)",
		 where, name, done, begun);
}

void power_runs_look(struct store *store, size_t cut, const char *where)
{
	look_at(store, cut, "appended", appends, false, where);
	look_at(store, cut, "pages", writes, true, where);
}
