// SPDX-License-Identifier: MIT
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mount_world.h"

static struct world *of(struct mnt_service *service)
{
	return (struct world *)service;
}

void new_version(struct world *world, struct mnt_attr *attr)
{
	snprintf(world->etag, sizeof(world->etag), "\"%u\"", ++world->version);
	if (!attr)
		return;
	memset(attr, 0, sizeof(*attr));
	attr->kind = world->kind;
	attr->size = world->size;
	snprintf(attr->etag, sizeof(attr->etag), "%s", world->etag);
}

static int answer(struct world *world)
{
	int result = 0;

	if (world->lose)
		result = -EIO;
	else if (world->repeat)
		result = -ESTALE;
	world->lose = false;
	world->repeat = false;
	return result;
}

void set_data(struct world *world, const char *data, size_t size)
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
	int result = world->fail_read;

	(void)late;
	assert_string_equal(blob, "file");
	world->fail_read = 0;
	if (result)
		return result;
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
	return answer(world);
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
	return answer(world);
}

static int fake_head(struct mnt_service *service, const char *blob, struct mnt_attr *attr,
		     struct azblob_properties **properties)
{
	struct world *world = of(service);

	assert_string_equal(blob, "file");
	assert_null(properties);
	if (world->fail_head)
		return world->fail_head;
	memset(attr, 0, sizeof(*attr));
	attr->kind = world->kind;
	attr->size = world->size;
	snprintf(attr->etag, sizeof(attr->etag), "%s", world->etag);
	return 0;
}

static int fake_append(struct mnt_service *service, const char *blob, const void *data, size_t size,
		       uint64_t position, struct mnt_attr *attr)
{
	struct world *world = of(service);
	int result = world->fail_commit;
	char *all;

	(void)blob;
	world->fail_commit = 0;
	if (!result && position != world->size)
		result = -ESTALE;
	if (result)
		return result;
	all = malloc(world->size + size);
	assert_non_null(all);
	memcpy(all, world->data, world->size);
	memcpy(all + world->size, data, size);
	set_data(world, all, world->size + size);
	free(all);
	new_version(world, attr);
	return answer(world);
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
	.head = fake_head,
	.read = fake_read,
	.put = fake_put,
	.put_block = fake_put_block,
	.commit = fake_commit,
	.blocks = fake_blocks,
	.append = fake_append,
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

void make_world(struct world *world, size_t size)
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

struct mnt_writer *open_writer(struct world *world)
{
	struct mnt_attr attr = { .size = world->size, .kind = world->kind };
	struct mnt_writer *writer;

	snprintf(attr.etag, sizeof(attr.etag), "%s", world->etag);
	mnt_nodes_update(&world->nodes, world->node, &attr, mnt_nodes_stamp(&world->nodes));
	writer = mnt_writer_open(&world->writers, world->node, NULL);
	assert_non_null(writer);
	return writer;
}

int write_all(struct mnt_writer *writer, const char *data, size_t size, uint64_t offset, bool end)
{
	ssize_t written = mnt_writer_write(writer, data, size, offset, end);

	if (written >= 0)
		assert_int_equal(written, size);
	return written < 0 ? (int)written : 0;
}

void end_world(struct world *world)
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
