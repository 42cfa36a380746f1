// SPDX-License-Identifier: MIT
/* azblob-mount: what the writer asks of the service, and what becomes of failures. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "writer.h"

#define BLOCK ((size_t)256 << 10)
#define MAX_STAGED 256

struct staged {
	char id[128];
	char *data;
	size_t size;
	bool committed;
};

/**
 * struct world - a service of one blob, and a writer's surroundings
 * @lock: protects what uploads change.
 * @fail_block, @fail_commit: -errno of the next such call.
 */
struct world {
	struct mnt_service service; /* first */
	struct mnt_jobs *jobs;
	struct mnt_cache *cache;
	struct mnt_nodes nodes;
	struct mnt_writers writers;
	struct mnt_node *node;
	pthread_mutex_t lock;
	char *data;
	size_t size;
	char etag[16];
	unsigned int version;
	struct staged staged[MAX_STAGED];
	size_t staged_count;
	unsigned int puts;
	unsigned int blocks;
	unsigned int commits;
	unsigned int told;
	int fail_block;
	int fail_commit;
	size_t many; /* not 0: the blob is of so many blocks of the same size */
	bool look;   /* at the node, as somebody else's stat() would, while a commit is under way */
};

static struct world *of(struct mnt_service *service)
{
	return (struct world *)service;
}

static void new_version(struct world *world, struct mnt_attr *attr)
{
	snprintf(world->etag, sizeof(world->etag), "\"%u\"", ++world->version);
	if (!attr)
		return;
	memset(attr, 0, sizeof(*attr));
	attr->size = world->size;
	snprintf(attr->etag, sizeof(attr->etag), "%s", world->etag);
}

static void set_data(struct world *world, const char *data, size_t size)
{
	char *copy = malloc(size + 1);

	assert_non_null(copy);
	if (size)
		memcpy(copy, data, size);
	free(world->data);
	world->data = copy;
	world->size = size;
}

static int fake_read(struct mnt_service *service, const char *blob, const char *etag,
		     uint64_t offset, size_t length, void *buffer, bool *late)
{
	struct world *world = of(service);

	(void)late;
	assert_string_equal(blob, "file");
	if (strcmp(etag, world->etag) != 0)
		return -ESTALE;
	assert_true(offset + length <= world->size);
	memcpy(buffer, world->data + offset, length);
	return 0;
}

static int fake_put(struct mnt_service *service, const char *blob, const void *data, size_t size,
		    const struct azblob_properties *keep, const struct mnt_condition *condition,
		    struct mnt_attr *attr)
{
	struct world *world = of(service);
	int result = world->fail_commit;

	(void)keep;
	assert_string_equal(blob, "file");
	world->puts++;
	world->fail_commit = 0;
	if (!result && strcmp(condition->match, world->etag) != 0)
		result = -ESTALE;
	if (result)
		return result;
	set_data(world, data, size);
	for (size_t i = 0; i < world->staged_count; i++)
		world->staged[i].committed = false;
	new_version(world, attr);
	if (world->look)
		assert_false(mnt_nodes_update(&world->nodes, world->node, attr,
					      mnt_nodes_stamp(&world->nodes)));
	return 0;
}

static int fake_put_block(struct mnt_service *service, const char *blob, const char *id,
			  const void *data, size_t size, bool *late)
{
	struct world *world = of(service);
	struct staged *staged;
	int result;

	(void)blob;
	(void)late;
	pthread_mutex_lock(&world->lock);
	world->blocks++;
	result = world->fail_block;
	world->fail_block = 0;
	if (!result) {
		assert_true(world->staged_count < MAX_STAGED);
		staged = &world->staged[world->staged_count++];
		snprintf(staged->id, sizeof(staged->id), "%s", id);
		staged->data = malloc(size);
		assert_non_null(staged->data);
		memcpy(staged->data, data, size);
		staged->size = size;
	}
	pthread_mutex_unlock(&world->lock);
	return result;
}

static struct staged *find_staged(struct world *world, const char *id, bool committed)
{
	/* The newest of a name, unless it has to be one of the blob. */
	for (size_t i = world->staged_count; i-- > 0;)
		if (!strcmp(world->staged[i].id, id) && (!committed || world->staged[i].committed))
			return &world->staged[i];
	fail_msg("no block %s", id);
	return NULL;
}

static int fake_commit(struct mnt_service *service, const char *blob, const char *const *ids,
		       size_t count, size_t committed, const struct azblob_properties *keep,
		       const struct mnt_condition *condition, struct mnt_attr *attr)
{
	struct world *world = of(service);
	int result = world->fail_commit;
	size_t size = 0;
	char *data;

	(void)blob;
	(void)keep;
	world->commits++;
	world->fail_commit = 0;
	if (!result && strcmp(condition->match, world->etag) != 0)
		result = -ESTALE;
	if (result)
		return result;
	for (size_t i = 0; i < count; i++)
		size += find_staged(world, ids[i], i < committed)->size;
	data = malloc(size + 1);
	assert_non_null(data);
	size = 0;
	for (size_t i = 0; i < count; i++) {
		struct staged *staged = find_staged(world, ids[i], i < committed);

		/* All ids of a blob are of one length. */
		assert_int_equal(strlen(ids[i]), strlen(ids[0]));
		/* Of what is in the blob already none is ours. */
		if (committed && i >= committed)
			assert_false(staged->committed);
		memcpy(data + size, staged->data, staged->size);
		size += staged->size;
		staged->committed = true;
	}
	set_data(world, data, size);
	free(data);
	new_version(world, attr);
	return 0;
}

static int fake_many_blocks(const struct world *world, struct mnt_block_id **list, size_t *count)
{
	*list = calloc(world->many, sizeof(**list));
	assert_non_null(*list);
	for (*count = 0; *count < world->many; ++*count) {
		(*list)[*count].size = world->size / world->many;
		/* Any eight digits are base64 of six bytes. */
		assert_true(asprintf(&(*list)[*count].text, "%08zu", *count) == 8);
	}
	return 0;
}

static int fake_blocks(struct mnt_service *service, const char *blob, const char *etag,
		       struct mnt_block_id **list, size_t *count)
{
	struct world *world = of(service);

	(void)blob;
	(void)etag;
	if (world->many)
		return fake_many_blocks(world, list, count);
	*list = calloc(world->staged_count + 1, sizeof(**list));
	assert_non_null(*list);
	*count = 0;
	for (size_t i = 0; i < world->staged_count; i++) {
		if (!world->staged[i].committed)
			continue;
		(*list)[*count].size = world->staged[i].size;
		(*list)[(*count)++].text = strdup(world->staged[i].id);
	}
	return 0;
}

static const struct mnt_service_ops ops = {
	.read = fake_read,
	.put = fake_put,
	.put_block = fake_put_block,
	.commit = fake_commit,
	.blocks = fake_blocks,
};

static int no_fetch(void *context, const struct mnt_version *version, uint64_t offset,
		    size_t length, void *buffer, bool *late)
{
	(void)context;
	(void)version;
	(void)offset;
	(void)length;
	(void)buffer;
	(void)late;
	return -EIO;
}

static void told(void *context, struct mnt_node *node)
{
	(void)node;
	((struct world *)context)->told++;
}

static void no_version(void *context, struct mnt_version *version)
{
	(void)context;
	(void)version;
}

/* A blob of @size bytes that came in one Put Blob. */
static void make_world(struct world *world, size_t size)
{
	struct mnt_cache_options options = {
		.budget = 8 * BLOCK,
		.block = BLOCK,
		.fetch = no_fetch,
	};
	struct mnt_attr attr;
	bool changed;
	char *data = malloc(size + 1);

	assert_non_null(data);
	memset(world, 0, sizeof(*world));
	pthread_mutex_init(&world->lock, NULL);
	for (size_t i = 0; i < size; i++)
		data[i] = (char)(i * 7 + i / 1000);
	set_data(world, data, size);
	free(data);
	world->service.ops = &ops;
	world->jobs = mnt_jobs_new(3);
	options.jobs = world->jobs;
	world->cache = mnt_cache_new(&options);
	assert_int_equal(mnt_nodes_init(&world->nodes, ""), 0);
	world->nodes.freed = no_version;
	new_version(world, &attr);
	world->node = mnt_nodes_lookup(&world->nodes, &world->nodes.root, "file", &attr,
				       mnt_nodes_stamp(&world->nodes), &changed);
	mnt_writers_init(&world->writers);
	world->writers.service = &world->service;
	world->writers.cache = world->cache;
	world->writers.jobs = world->jobs;
	world->writers.nodes = &world->nodes;
	world->writers.parallel = 2;
	world->writers.committed = told;
	world->writers.context = world;
}

static struct mnt_writer *open_writer(struct world *world)
{
	struct mnt_attr attr = { .size = world->size };
	struct mnt_writer *writer;

	snprintf(attr.etag, sizeof(attr.etag), "%s", world->etag);
	mnt_nodes_update(&world->nodes, world->node, &attr, mnt_nodes_stamp(&world->nodes));
	writer = mnt_writer_open(&world->writers, world->node, NULL);
	assert_non_null(writer);
	return writer;
}

static void end_world(struct world *world)
{
	mnt_writers_end(&world->writers);
	mnt_nodes_forget(&world->nodes, world->node, 1);
	mnt_nodes_destroy(&world->nodes);
	mnt_jobs_free(world->jobs);
	assert_true(mnt_cache_free(world->cache, 60000));
	for (size_t i = 0; i < world->staged_count; i++)
		free(world->staged[i].data);
	free(world->data);
	pthread_mutex_destroy(&world->lock);
}

static void a_small_file_is_one_put(void **state)
{
	struct mnt_writer *writer;
	struct world world;

	(void)state;
	make_world(&world, 0);
	writer = open_writer(&world);
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(mnt_writer_write(writer, "0123456789", 10, 10 * i, false), 0);
	assert_int_equal(world.puts, 0);
	assert_int_equal(mnt_writer_commit(writer), 0);
	assert_int_equal(mnt_writer_commit(writer), 0);
	mnt_writer_close(&world.writers, writer);
	assert_int_equal(world.puts, 1);
	assert_int_equal(world.blocks, 0);
	assert_int_equal(world.told, 1);
	assert_int_equal(world.size, 1000);
	end_world(&world);
}

static void a_large_file_is_staged_while_it_is_written(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	size_t size = 10 * BLOCK + 17;
	char *data = malloc(size);

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < size; i++)
		data[i] = (char)(i ^ i >> 9);
	make_world(&world, 0);
	writer = open_writer(&world);
	for (size_t at = 0; at < size; at += 100000) {
		size_t piece = size - at < 100000 ? size - at : 100000;

		assert_int_equal(mnt_writer_write(writer, data + at, piece, at, false), 0);
	}
	mnt_writer_close(&world.writers, writer);
	assert_int_equal(world.blocks, 11);
	assert_int_equal(world.commits, 1);
	assert_int_equal(world.puts, 0);
	assert_int_equal(world.size, size);
	assert_memory_equal(world.data, data, size);
	free(data);
	end_world(&world);
}

static void an_upload_that_failed_is_told_at_the_end(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	char *data = calloc(1, BLOCK);

	(void)state;
	assert_non_null(data);
	make_world(&world, 100);
	writer = open_writer(&world);
	assert_int_equal(mnt_writer_truncate(writer, 0), 0);
	world.fail_block = -EIO;
	for (unsigned int i = 0; i < 3; i++)
		mnt_writer_write(writer, data, BLOCK, i * BLOCK, false);
	assert_int_equal(mnt_writer_commit(writer), -EIO);
	/* Each close hears of it. */
	assert_int_equal(mnt_writer_commit(writer), -EIO);
	mnt_writer_close(&world.writers, writer);
	assert_int_equal(world.commits + world.puts, 0);
	assert_int_equal(world.size, 100);
	free(data);
	end_world(&world);
}

static void a_commit_that_failed_can_be_repeated(void **state)
{
	struct mnt_writer *writer;
	struct world world;

	(void)state;
	make_world(&world, 0);
	writer = open_writer(&world);
	assert_int_equal(mnt_writer_write(writer, "abc", 3, 0, false), 0);
	world.fail_commit = -EIO;
	assert_int_equal(mnt_writer_commit(writer), -EIO);
	assert_int_equal(world.size, 0);
	assert_int_equal(mnt_writer_commit(writer), 0);
	assert_memory_equal(world.data, "abc", 3);
	mnt_writer_close(&world.writers, writer);
	end_world(&world);
}

static void what_others_wrote_stays(void **state)
{
	struct mnt_writer *writer;
	struct world world;

	(void)state;
	make_world(&world, 0);
	writer = open_writer(&world);
	assert_int_equal(mnt_writer_write(writer, "mine", 4, 0, false), 0);
	set_data(&world, "theirs", 6);
	new_version(&world, NULL);
	assert_int_equal(mnt_writer_commit(writer), -ESTALE);
	/* And it stays so: the next close must not say that all is well. */
	assert_int_equal(mnt_writer_commit(writer), -ESTALE);
	assert_int_equal(mnt_writer_write(writer, "more", 4, 4, false), -ESTALE);
	mnt_writer_close(&world.writers, writer);
	assert_memory_equal(world.data, "theirs", 6);
	end_world(&world);
}

static void an_append_keeps_the_blocks_that_are_there(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	size_t size = 3 * BLOCK + 5;

	(void)state;
	make_world(&world, size);
	/* Of one Put Blob: read and staged once. */
	writer = open_writer(&world);
	assert_int_equal(mnt_writer_write(writer, "one", 3, 0, true), 0);
	mnt_writer_close(&world.writers, writer);
	assert_int_equal(world.size, size + 3);
	assert_int_equal(world.blocks, 4);
	/* Of blocks: only what is new. */
	writer = open_writer(&world);
	assert_int_equal(mnt_writer_write(writer, "two", 3, 0, true), 0);
	mnt_writer_close(&world.writers, writer);
	assert_int_equal(world.blocks, 5);
	assert_int_equal(world.size, size + 6);
	assert_memory_equal(world.data + size, "onetwo", 6);
	end_world(&world);
}

static void an_fsync_in_between_replaces_the_last_block(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	char *data = calloc(1, BLOCK);

	(void)state;
	assert_non_null(data);
	make_world(&world, 0);
	writer = open_writer(&world);
	assert_int_equal(mnt_writer_write(writer, data, BLOCK, 0, false), 0);
	for (unsigned int i = 0; i < 5; i++) {
		assert_int_equal(mnt_writer_write(writer, "tail", 4, BLOCK + 4 * i, false), 0);
		assert_int_equal(mnt_writer_commit(writer), 0);
		assert_int_equal(world.size, BLOCK + 4 * i + 4);
	}
	assert_int_equal(mnt_writer_write(writer, data, BLOCK, BLOCK + 20, false), 0);
	mnt_writer_close(&world.writers, writer);
	assert_int_equal(world.size, 2 * BLOCK + 20);
	assert_memory_equal(world.data + BLOCK, "tailtailtailtailtail", 20);
	free(data);
	end_world(&world);
}

/* A listing or a HEAD that was under way while a commit went by. */
static void an_old_answer_undoes_no_commit(void **state)
{
	struct mnt_writer *writer;
	struct mnt_attr before;
	struct mnt_node *node;
	struct world world;
	uint64_t asked;
	bool changed;

	(void)state;
	make_world(&world, 10);
	before = world.node->attr;
	asked = mnt_nodes_stamp(&world.nodes);
	writer = open_writer(&world);
	assert_int_equal(mnt_writer_write(writer, "more", 4, 0, true), 0);
	mnt_writer_close(&world.writers, writer);
	assert_false(mnt_nodes_update(&world.nodes, world.node, &before, asked));
	node = mnt_nodes_lookup(&world.nodes, &world.nodes.root, "file", &before, asked, &changed);
	assert_ptr_equal(node, world.node);
	assert_false(changed);
	assert_int_equal(node->attr.size, 14);
	assert_string_equal(node->attr.etag, world.etag);
	/* What is asked now is news. */
	asked = mnt_nodes_stamp(&world.nodes);
	assert_true(mnt_nodes_update(&world.nodes, node, &before, asked));
	assert_int_equal(node->attr.size, 10);
	mnt_nodes_forget(&world.nodes, node, 1);
	end_world(&world);
}

static void what_a_commit_makes_is_not_taken_for_anothers(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	uint64_t epoch;

	(void)state;
	make_world(&world, 10);
	writer = open_writer(&world);
	epoch = world.node->epoch;
	world.look = true;
	assert_int_equal(mnt_writer_write(writer, "more", 4, 0, true), 0);
	assert_int_equal(mnt_writer_commit(writer), 0);
	assert_int_equal(world.puts, 1);
	/* Who has the file open goes on with it. */
	assert_true(world.node->epoch == epoch);
	assert_string_equal(world.node->attr.etag, world.etag);
	assert_int_equal(world.node->attr.size, 14);
	mnt_writer_close(&world.writers, writer);
	end_world(&world);
}

static void an_open_with_an_old_answer_writes_to_what_is_there(void **state)
{
	struct mnt_writer *first;
	struct mnt_writer *second;
	struct mnt_attr before;
	struct world world;
	uint64_t asked;

	(void)state;
	make_world(&world, 10);
	before = world.node->attr;
	/* Both that share a writer, and one that comes after the other has closed. */
	for (unsigned int round = 0; round < 2; round++) {
		asked = mnt_nodes_stamp(&world.nodes);
		first = open_writer(&world);
		assert_int_equal(mnt_writer_write(first, "more", 4, 0, true), 0);
		assert_int_equal(mnt_writer_commit(first), 0);
		if (round)
			mnt_writer_close(&world.writers, first);
		assert_false(mnt_nodes_update(&world.nodes, world.node, &before, asked));
		second = mnt_writer_open(&world.writers, world.node, NULL);
		assert_non_null(second);
		assert_int_equal(mnt_writer_write(second, "last", 4, 0, true), 0);
		assert_int_equal(mnt_writer_commit(second), 0);
		mnt_writer_close(&world.writers, second);
		if (!round)
			mnt_writer_close(&world.writers, first);
		assert_int_equal(world.size, 10 + 8 * (round + 1));
		assert_memory_equal(world.data + world.size - 8, "morelast", 8);
	}
	end_world(&world);
}

static void a_blob_of_as_many_blocks_as_there_can_be_does_not_grow(void **state)
{
	struct mnt_writer *writer;
	struct world world;

	(void)state;
	make_world(&world, 6 * 50000);
	world.many = 50000;
	writer = open_writer(&world);
	assert_int_equal(mnt_writer_write(writer, "more", 4, 0, true), 0);
	assert_int_equal(mnt_writer_commit(writer), -EFBIG);
	assert_int_equal(world.commits, 0);
	assert_int_equal(world.size, 6 * 50000);
	mnt_writer_close(&world.writers, writer);
	end_world(&world);
}

static void only_what_is_in_memory_can_be_changed(void **state)
{
	struct mnt_writer *writer;
	struct world world;

	(void)state;
	make_world(&world, 3 * BLOCK);
	writer = open_writer(&world);
	assert_int_equal(mnt_writer_write(writer, "x", 1, 5, false), -EOPNOTSUPP);
	assert_int_equal(mnt_writer_write(writer, "x", 1, 30 * BLOCK, false), -EOPNOTSUPP);
	assert_int_equal(mnt_writer_truncate(writer, 5), -EOPNOTSUPP);
	assert_int_equal(mnt_writer_truncate(writer, 30 * BLOCK), -EPERM);
	assert_int_equal(mnt_writer_truncate(writer, 3 * BLOCK), 0);
	assert_int_equal(mnt_writer_write(writer, "end", 3, 3 * BLOCK, false), 0);
	assert_int_equal(mnt_writer_write(writer, "E", 1, 3 * BLOCK, false), 0);
	mnt_writer_close(&world.writers, writer);
	assert_int_equal(world.size, 3 * BLOCK + 3);
	assert_memory_equal(world.data + 3 * BLOCK, "End", 3);
	end_world(&world);
}

/* What is there at @offset, and nothing behind it. */
static void expect_rest(struct mnt_writer *writer, uint64_t offset, const char *data, size_t size)
{
	char *buffer = malloc(size + 2);
	size_t got = 0;

	assert_non_null(buffer);
	assert_int_equal(mnt_writer_read(writer, buffer, size + 2, offset, &got), 0);
	assert_int_equal(got, size);
	assert_memory_equal(buffer, data, size);
	free(buffer);
}

static void a_removed_file_lives_on_in_memory_and_sends_nothing(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	uint64_t size;
	char byte;
	size_t got;

	(void)state;
	/* Written and committed, written only, and not even looked at. */
	for (unsigned int round = 0; round < 3; round++) {
		make_world(&world, 0);
		writer = open_writer(&world);
		if (round < 2)
			assert_int_equal(mnt_writer_write(writer, "abc", 3, 0, false), 0);
		if (!round)
			assert_int_equal(mnt_writer_commit(writer), 0);
		mnt_writer_abandon(writer);
		assert_true(mnt_writer_is_abandoned(writer));
		if (round == 2)
			assert_int_equal(mnt_writer_write(writer, "abc", 3, 0, false), 0);
		expect_rest(writer, 0, "abc", 3);
		expect_rest(writer, 1, "bc", 2);
		expect_rest(writer, 3, "", 0);
		assert_int_equal(mnt_writer_read(writer, &byte, 1, 1, &got), 0);
		assert_int_equal(got, 1);
		assert_int_equal(byte, 'b');
		assert_int_equal(mnt_writer_write(writer, "def", 3, 0, true), 0);
		expect_rest(writer, 1, "bcdef", 5);
		assert_int_equal(mnt_writer_commit(writer), 0);
		assert_true(mnt_writer_size(writer, &size));
		assert_int_equal(size, 6);
		expect_rest(writer, 0, "abcdef", 6);
		assert_int_equal(mnt_writer_truncate(writer, 100), 0);
		assert_int_equal(mnt_writer_write(writer, "x", 1, 0, false), 0);
		assert_int_equal(mnt_writer_truncate(writer, 8), 0);
		expect_rest(writer, 0, "xbcdef\0", 8);
		assert_int_equal(mnt_writer_truncate(writer, 0), 0);
		expect_rest(writer, 0, "", 0);
		mnt_writer_close(&world.writers, writer);
		assert_int_equal(world.puts + world.commits + world.blocks, !round);
		end_world(&world);
	}
}

static void a_removed_file_is_no_longer_than_a_block(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	char *data = calloc(1, BLOCK);

	(void)state;
	assert_non_null(data);
	data[BLOCK - 1] = 'z';
	make_world(&world, 0);
	writer = open_writer(&world);
	mnt_writer_abandon(writer);
	assert_int_equal(mnt_writer_write(writer, data, BLOCK, 0, false), 0);
	assert_int_equal(mnt_writer_write(writer, "x", 1, BLOCK, false), -EFBIG);
	assert_int_equal(mnt_writer_write(writer, "xx", 2, BLOCK - 1, false), -EFBIG);
	assert_int_equal(mnt_writer_write(writer, "x", 1, INT64_MAX - 1, false), -EFBIG);
	/* Nothing of them was taken. */
	expect_rest(writer, BLOCK - 2, data + BLOCK - 2, 2);
	mnt_writer_close(&world.writers, writer);
	assert_int_equal(world.puts + world.commits + world.blocks, 0);
	free(data);
	end_world(&world);
}

static void a_removed_file_of_which_a_part_was_sent_is_stale(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	char *data = calloc(1, 2 * BLOCK);
	char byte;
	size_t got;

	(void)state;
	assert_non_null(data);
	make_world(&world, 0);
	writer = open_writer(&world);
	assert_int_equal(mnt_writer_write(writer, data, 2 * BLOCK, 0, false), 0);
	mnt_writer_abandon(writer);
	assert_int_equal(mnt_writer_read(writer, &byte, 1, 0, &got), -ESTALE);
	assert_int_equal(mnt_writer_read(writer, &byte, 1, 2 * BLOCK - 1, &got), -ESTALE);
	assert_int_equal(mnt_writer_write(writer, "more", 4, 0, true), -ESTALE);
	assert_int_equal(mnt_writer_truncate(writer, 5), -ESTALE);
	/* Nobody misses what had a name no more. */
	assert_int_equal(mnt_writer_commit(writer), 0);
	mnt_writer_close(&world.writers, writer);
	assert_int_equal(world.puts + world.commits, 0);
	free(data);
	end_world(&world);
}

/* Opened, not read yet: what the cache has of it may still be read. */
static void a_removed_file_that_was_not_written_is_asked_of_the_service(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	char byte;
	size_t got;

	(void)state;
	make_world(&world, 100);
	writer = open_writer(&world);
	mnt_writer_abandon(writer);
	assert_int_equal(mnt_writer_read(writer, &byte, 1, 0, &got), -EAGAIN);
	assert_int_equal(mnt_writer_write(writer, "x", 1, 0, false), -ESTALE);
	assert_int_equal(mnt_writer_commit(writer), 0);
	mnt_writer_close(&world.writers, writer);
	end_world(&world);
}

/* Another thread's fsync between the removal and the news of it. */
static void a_commit_that_met_the_removal_harms_nothing(void **state)
{
	struct mnt_writer *writer;
	struct world world;

	(void)state;
	make_world(&world, 0);
	writer = open_writer(&world);
	assert_int_equal(mnt_writer_write(writer, "abc", 3, 0, false), 0);
	world.fail_commit = -ESTALE;
	assert_int_equal(mnt_writer_commit(writer), -ESTALE);
	mnt_writer_abandon(writer);
	assert_int_equal(mnt_writer_write(writer, "def", 3, 3, false), 0);
	expect_rest(writer, 0, "abcdef", 6);
	assert_int_equal(mnt_writer_commit(writer), 0);
	mnt_writer_close(&world.writers, writer);
	end_world(&world);
}

static void the_end_commits_what_is_open(void **state)
{
	struct mnt_writer *writer;
	struct world world;

	(void)state;
	make_world(&world, 0);
	writer = open_writer(&world);
	assert_int_equal(mnt_writer_write(writer, "abc", 3, 0, false), 0);
	end_world(&world);
	assert_int_equal(world.puts, 1);
	assert_int_equal(world.told, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_file_is_one_put),
		cmocka_unit_test(a_large_file_is_staged_while_it_is_written),
		cmocka_unit_test(an_upload_that_failed_is_told_at_the_end),
		cmocka_unit_test(a_commit_that_failed_can_be_repeated),
		cmocka_unit_test(what_others_wrote_stays),
		cmocka_unit_test(an_append_keeps_the_blocks_that_are_there),
		cmocka_unit_test(an_fsync_in_between_replaces_the_last_block),
		cmocka_unit_test(an_old_answer_undoes_no_commit),
		cmocka_unit_test(what_a_commit_makes_is_not_taken_for_anothers),
		cmocka_unit_test(an_open_with_an_old_answer_writes_to_what_is_there),
		cmocka_unit_test(a_blob_of_as_many_blocks_as_there_can_be_does_not_grow),
		cmocka_unit_test(only_what_is_in_memory_can_be_changed),
		cmocka_unit_test(a_removed_file_lives_on_in_memory_and_sends_nothing),
		cmocka_unit_test(a_removed_file_is_no_longer_than_a_block),
		cmocka_unit_test(a_removed_file_of_which_a_part_was_sent_is_stale),
		cmocka_unit_test(a_removed_file_that_was_not_written_is_asked_of_the_service),
		cmocka_unit_test(a_commit_that_met_the_removal_harms_nothing),
		cmocka_unit_test(the_end_commits_what_is_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
