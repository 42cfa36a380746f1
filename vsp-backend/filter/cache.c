// SPDX-License-Identifier: MIT
/*
 * cache: keeps blocks of a storage account's blobs on local disk.
 *
 * Every request still goes to the account (or is refused before) with its caller's credentials and
 * conditions, and the head of the answer is the account's.  Only bytes of a body come from here,
 * and only those of the version that this very answer names: a block's name is a hash over blob,
 * ETag and number.  So nobody gets a byte that he would not have got, and nothing is ever stale.
 * Where blocks of a blob are here the store is told that the body may not be wanted.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/metrics.h"
#include "blob/target.h"
#include "door/head.h"
#include "filter/cache_blocks.h"
#include "filter/option.h"

#define BLOCK_DEFAULT (64u * 1024u)
#define BLOCK_MIN (4u * 1024u)
#define BLOCK_MAX (4u * 1024u * 1024u)
/* What is asked of the account at once; the link's readers take 4 MiB at a time. */
#define RUN (1024u * 1024u)

struct cache {
	struct store store;
	struct store_ops ops;
	struct rest_ops rest;
	struct store *next;
	struct metrics_source source;
	struct blocks *blocks;
	uint32_t block;
	atomic_ullong hit_bytes, miss_bytes;
};

/**
 * struct cache_answer - an answer whose body is read through the cache
 * @of, @version: hashes over the blob, and over the blob with the ETag.
 * @base: where the body begins in the blob; @total: bytes of the blob.
 * @lock: protects the carry: the begun block of who reads in a row, @have bytes of block @number.
 */
struct cache_answer {
	struct rest_answer pub;
	struct cache *cache;
	struct rest_answer *inner;
	uint8_t of[BLOCKS_ID], version[BLOCKS_ID];
	uint64_t base, total;
	pthread_mutex_t lock;
	uint8_t *carry;
	uint64_t number;
	uint32_t have;
};

static struct cache *to_cache(struct store *store)
{
	return (struct cache *)(void *)store;
}

/* ------------------------------------------------------------------- names */

/* Each text with the zero at its end, so that none runs into the next. */
static bool hash(uint8_t out[BLOCKS_ID], const uint8_t *before, const char *const *texts,
		 size_t count)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL);

	if (good && before)
		good = EVP_DigestUpdate(context, before, BLOCKS_ID);
	for (size_t i = 0; good && i < count; i++)
		good = EVP_DigestUpdate(context, texts[i] ? texts[i] : "",
					texts[i] ? strlen(texts[i]) + 1 : 1);
	good = good && EVP_DigestFinal_ex(context, out, NULL);
	EVP_MD_CTX_free(context);
	return good;
}

static bool name_blob(const struct target *target, uint8_t of[BLOCKS_ID])
{
	const char *const texts[] = { target->account, target->container, target->blob,
				      target_param(target, "snapshot"),
				      target_param(target, "versionid") };

	return hash(of, NULL, texts, sizeof(texts) / sizeof(texts[0]));
}

/* A block's name: the version's hash, which is as good as random, with the number mixed in. */
static void name_block(const struct cache_answer *a, uint64_t number, uint8_t id[BLOCKS_ID])
{
	uint64_t part;

	memcpy(id, a->version, BLOCKS_ID);
	memcpy(&part, id, sizeof(part));
	part += number * UINT64_C(0x9e3779b97f4a7c15);
	memcpy(id, &part, sizeof(part));
}

/* ------------------------------------------------------------------- blocks */

/* Bytes that a block has: fewer in the last one. */
static uint32_t block_length(const struct cache_answer *a, uint64_t number)
{
	uint64_t left = a->total - number * a->cache->block;

	return left < a->cache->block ? (uint32_t)left : a->cache->block;
}

static bool has_block(const struct cache_answer *a, uint64_t number)
{
	uint8_t id[BLOCKS_ID];

	name_block(a, number, id);
	return blocks_has(a->cache->blocks, id);
}

static void put_block(const struct cache_answer *a, uint64_t number, const void *bytes)
{
	uint8_t id[BLOCKS_ID];

	name_block(a, number, id);
	blocks_put(a->cache->blocks, id, a->of, bytes, block_length(a, number));
}

/* Part of a block: it counts if it goes on where another part ended. */
static void carry(struct cache_answer *a, uint64_t number, uint32_t at, const uint8_t *bytes,
		  uint32_t length)
{
	bool whole = false;

	pthread_mutex_lock(&a->lock);
	if (!a->carry)
		a->carry = malloc(a->cache->block);
	if (at == 0) {
		a->number = number;
		a->have = 0;
	}
	if (a->carry && a->number == number && a->have == at) {
		memcpy(a->carry + at, bytes, length);
		a->have += length;
		whole = a->have == block_length(a, number);
	}
	if (whole)
		put_block(a, number, a->carry);
	pthread_mutex_unlock(&a->lock);
}

/* Keeps what came from the account: @length bytes at @position of the blob, in private memory. */
static void collect(struct cache_answer *a, uint64_t position, const uint8_t *bytes,
		    uint64_t length)
{
	while (length) {
		uint64_t number = position / a->cache->block;
		uint32_t at = (uint32_t)(position % a->cache->block);
		uint32_t whole = block_length(a, number);
		uint32_t part = whole - at;

		if (part > length)
			part = (uint32_t)length;
		if (part == whole)
			put_block(a, number, bytes);
		else
			carry(a, number, at, bytes, part);
		position += part;
		bytes += part;
		length -= part;
	}
}

/* ----------------------------------------------------------------- answers */

static void copy_out(const struct iovec *iov, int count, uint64_t skip, const uint8_t *bytes,
		     uint64_t length)
{
	for (int i = 0; i < count && length; i++) {
		uint64_t room = iov[i].iov_len;

		if (skip >= room) {
			skip -= room;
			continue;
		}
		room -= skip;
		if (room > length)
			room = length;
		memcpy((uint8_t *)iov[i].iov_base + skip, bytes, (size_t)room);
		bytes += room;
		length -= room;
		skip = 0;
	}
}

/* Bytes from @position to the next block that is here, at most @most of them. */
static uint64_t missing(const struct cache_answer *a, uint64_t position, uint64_t most)
{
	uint64_t number = position / a->cache->block;
	uint64_t end;

	if (most > RUN)
		most = RUN;
	do
		end = ++number * a->cache->block;
	while (end - position < most && !has_block(a, number));
	return end - position < most ? end - position : most;
}

/* One step: bytes at @position into @buffer, which has room for RUN and for a block. */
static ssize_t step(struct cache_answer *a, uint64_t position, uint64_t most, uint8_t *buffer,
		    const uint8_t **bytes)
{
	uint32_t at = (uint32_t)(position % a->cache->block);
	uint8_t id[BLOCKS_ID];
	struct iovec iov;
	uint32_t length;
	ssize_t got;

	name_block(a, position / a->cache->block, id);
	length = blocks_get(a->cache->blocks, id, buffer);
	if (length > at) {
		*bytes = buffer + at;
		got = length - at < most ? (ssize_t)(length - at) : (ssize_t)most;
		atomic_fetch_add_explicit(&a->cache->hit_bytes, (uint64_t)got,
					  memory_order_relaxed);
		return got;
	}
	*bytes = buffer;
	iov = (struct iovec){ buffer, (size_t)missing(a, position, most) };
	got = a->inner->read(a->inner, position - a->base, &iov, 1);
	if (got <= 0)
		return got;
	atomic_fetch_add_explicit(&a->cache->miss_bytes, (uint64_t)got, memory_order_relaxed);
	collect(a, position, buffer, (uint64_t)got);
	return got;
}

static ssize_t answer_read(struct rest_answer *answer, uint64_t offset, const struct iovec *iov,
			   int count)
{
	struct cache_answer *a = (struct cache_answer *)(void *)answer;
	uint64_t wanted = 0, done = 0;
	ssize_t got = 0;
	uint8_t *buffer;

	for (int i = 0; i < count; i++)
		wanted += iov[i].iov_len;
	if (offset >= answer->body_length)
		return 0;
	if (wanted > answer->body_length - offset)
		wanted = answer->body_length - offset;
	buffer = malloc(a->cache->block > RUN ? a->cache->block : RUN);
	if (!buffer)
		return -ENOMEM;
	while (done < wanted) {
		const uint8_t *bytes;

		got = step(a, a->base + offset + done, wanted - done, buffer, &bytes);
		if (got <= 0)
			break;
		copy_out(iov, count, done, bytes, (uint64_t)got);
		done += (uint64_t)got;
	}
	free(buffer);
	if (done == wanted)
		return (ssize_t)done;
	return got < 0 ? got : -EIO;
}

static void free_answer(struct cache_answer *a)
{
	pthread_mutex_destroy(&a->lock);
	azb_buf_free(&a->pub.headers);
	azb_buf_free(&a->pub.body);
	free(a->carry);
	free(a);
}

static void answer_close(struct rest_answer *answer)
{
	struct cache_answer *a = (struct cache_answer *)(void *)answer;

	a->inner->close(a->inner);
	free_answer(a);
}

static const char *header_of(const struct rest_answer *answer, const char *name)
{
	const char *at = answer->headers.data, *end = at + answer->headers.length;

	while (at && at < end) {
		const char *value = at + strlen(at) + 1;

		if (!strcasecmp(at, name))
			return value;
		at = value + strlen(value) + 1;
	}
	return NULL;
}

/* Digits up to @end, which is skipped. */
static bool take_number(const char **at, char end, uint64_t *number)
{
	char *stop;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*number = strtoull(*at, &stop, 10);
	if (errno || *stop != end)
		return false;
	*at = end ? stop + 1 : stop;
	return true;
}

/* "bytes A-B/TOTAL", of a body of @length bytes. */
static bool place_range(struct cache_answer *a, const char *range, uint64_t length)
{
	uint64_t to;

	if (!range || strncmp(range, "bytes ", 6) != 0)
		return false;
	range += 6;
	return take_number(&range, '-', &a->base) && take_number(&range, '/', &to) &&
	       take_number(&range, 0, &a->total) && a->base <= to && to < a->total &&
	       to - a->base + 1 == length;
}

/* Which bytes of which version a body is; false when that is not said. */
static bool place(struct cache_answer *a, const struct rest_answer *answer)
{
	const char *etag = header_of(answer, "ETag");
	const char *range = header_of(answer, "Content-Range");

	if (!etag || etag[0] != '"' || !answer->body_length ||
	    answer->body_length != answer->content_length ||
	    header_of(answer, "x-ms-structured-body"))
		return false;
	a->total = answer->body_length;
	if (answer->status == 206 ? !place_range(a, range, answer->body_length)
				  : answer->status != 200 || range)
		return false;
	return hash(a->version, a->of, &etag, 1);
}

/* The answer as its reader gets it.  Takes @inner over. */
static struct rest_answer *through_cache(struct cache *cache, const uint8_t of[BLOCKS_ID],
					 struct rest_answer *inner)
{
	struct cache_answer *a = calloc(1, sizeof(*a));

	if (!a)
		return inner;
	a->cache = cache;
	pthread_mutex_init(&a->lock, NULL);
	memcpy(a->of, of, BLOCKS_ID);
	if (!place(a, inner)) {
		free_answer(a);
		return inner;
	}
	if (!inner->read) {
		atomic_fetch_add_explicit(&cache->miss_bytes, inner->body_length,
					  memory_order_relaxed);
		collect(a, a->base, (const uint8_t *)inner->body.data, inner->body_length);
		free_answer(a);
		return inner;
	}
	a->pub = *inner;
	/* whoever gets it may keep these */
	memset(&inner->headers, 0, sizeof(inner->headers));
	memset(&inner->body, 0, sizeof(inner->body));
	a->pub.read = answer_read;
	a->pub.close = answer_close;
	a->inner = inner;
	return &a->pub;
}

/* ----------------------------------------------------------------- requests */

/* Headers with which other bytes come back than those of the blob, or others beside them. */
static bool is_special(const struct head *head)
{
	static const char *const names[] = { "x-ms-range-get-content-md5",
					     "x-ms-range-get-content-crc64",
					     "x-ms-structured-body" };
	static const char key[] = "x-ms-encryption-";

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (head_get(head, names[i]))
			return true;
	}
	for (size_t i = 0; i < head->field_count; i++) {
		const struct head_str *name = &head->field[i].name;

		if (name->length >= sizeof(key) - 1 && !strncasecmp(name->at, key, sizeof(key) - 1))
			return true;
	}
	return false;
}

static bool is_get_blob(const struct rest_request *request)
{
	return head_str_is(&request->head->method, "GET") && request->target->container &&
	       request->target->blob && !target_param(request->target, "comp") &&
	       !target_param(request->target, "restype") && !is_special(request->head);
}

static struct rest_answer *cache_request(struct store *store, const struct rest_request *request,
					 struct rest_upload **upload, struct rest_error *error)
{
	struct cache *cache = to_cache(store);
	struct rest_request inner = *request;
	struct rest_answer *answer;
	uint8_t of[BLOCKS_ID];

	if (!is_get_blob(request) || !name_blob(request->target, of))
		return cache->next->ops->rest->request(cache->next, request, upload, error);
	inner.later = blocks_may_have(cache->blocks, of);
	answer = cache->next->ops->rest->request(cache->next, &inner, upload, error);
	return answer ? through_cache(cache, of, answer) : NULL;
}

static enum rest_auth cache_auth(struct store *store, const struct rest_request *request)
{
	struct store *next = to_cache(store)->next;

	return next->ops->rest->auth(next, request);
}

static bool cache_acl(struct store *store, const char *container, struct azb_buf *xml,
		      struct rest_error *error)
{
	struct store *next = to_cache(store)->next;

	return next->ops->rest->acl(next, container, xml, error);
}

static bool cache_reload(struct store *store, char *error, size_t error_size)
{
	struct store *next = to_cache(store)->next;

	return next->ops->rest->reload(next, error, error_size);
}

static void cache_keep(struct store *store, const uint8_t session[16], uint64_t request,
		       const void *bytes, size_t length)
{
	struct store *next = to_cache(store)->next;

	next->ops->rest->keep(next, session, request, bytes, length);
}

static enum store_error cache_effect_lookup(struct store *store, const uint8_t session[16],
					    uint64_t request, void **bytes, size_t *length)
{
	return store_effect_lookup(to_cache(store)->next, session, request, bytes, length);
}

static void cache_effect_forget(struct store *store, const uint8_t session[16], uint64_t request)
{
	store_effect_forget(to_cache(store)->next, session, request);
}

static void cache_effect_forget_session(struct store *store, const uint8_t session[16])
{
	store_effect_forget_session(to_cache(store)->next, session);
}

static void cache_close(struct store *store)
{
	struct cache *cache = to_cache(store);

	metrics_remove(&cache->source);
	store_close(cache->next);
	blocks_free(cache->blocks);
	free(cache);
}

static void show(struct metrics_source *source, struct azb_buf *out)
{
	struct cache *cache =
		(struct cache *)(void *)((char *)source - offsetof(struct cache, source));
	struct blocks_counts counts = blocks_counts(cache->blocks);

	metrics_head(out, "azblob_cache_bytes_total", "counter",
		     "bytes of bodies, by where they came from");
	azb_buf_printf(out, "azblob_cache_bytes_total{from=\"disk\"} %llu\n",
		       (unsigned long long)atomic_load(&cache->hit_bytes));
	azb_buf_printf(out, "azblob_cache_bytes_total{from=\"account\"} %llu\n",
		       (unsigned long long)atomic_load(&cache->miss_bytes));
	metrics_head(out, "azblob_cache_blocks", "gauge", "blocks on the disk, and room for them");
	azb_buf_printf(out, "azblob_cache_blocks{is=\"used\"} %llu\n",
		       (unsigned long long)counts.used);
	azb_buf_printf(out, "azblob_cache_blocks{is=\"room\"} %llu\n",
		       (unsigned long long)counts.slots);
	metrics_head(out, "azblob_cache_dropped_total", "counter",
		     "blocks that went to make room, were damaged, or could not be written");
	azb_buf_printf(out, "azblob_cache_dropped_total{why=\"room\"} %llu\n",
		       (unsigned long long)counts.evicted);
	azb_buf_printf(out, "azblob_cache_dropped_total{why=\"damaged\"} %llu\n",
		       (unsigned long long)counts.damaged);
	azb_buf_printf(out, "azblob_cache_dropped_total{why=\"disk\"} %llu\n",
		       (unsigned long long)counts.failed);
}

/* ------------------------------------------------------------------ options */

/* "64k", "10G", "4096". */
static bool parse_size(const char *text, uint64_t *bytes)
{
	static const char letters[] = "kMGT";
	char digits[24];
	size_t length = text ? strlen(text) : 0;
	const char *letter = length ? strchr(letters, text[length - 1]) : NULL;
	unsigned int shift = letter ? 10 * (unsigned int)(letter - letters + 1) : 0;

	if (!length || length - !!letter >= sizeof(digits))
		return false;
	memcpy(digits, text, length - !!letter);
	digits[length - !!letter] = 0;
	if (!option_number(digits, UINT64_MAX >> shift, bytes))
		return false;
	*bytes <<= shift;
	return true;
}

struct options {
	const char *path;
	uint64_t size, block;
};

static bool parse(struct options *o, char *text, char *error, size_t size)
{
	char *name, *value;

	while (option_next(&text, &name, &value)) {
		if (!strcmp(name, "path")) {
			o->path = value;
		} else if (!strcmp(name, "size")) {
			if (!parse_size(value, &o->size))
				return option_bad(error, size,
						  "filter cache: size=%s: bytes are accepted, as "
						  "500M or 20G",
						  value ? value : "");
		} else if (!strcmp(name, "block")) {
			if (!parse_size(value, &o->block) || o->block < BLOCK_MIN ||
			    o->block > BLOCK_MAX || (o->block & (o->block - 1)))
				return option_bad(error, size,
						  "filter cache: block=%s: a power of two from 4k "
						  "to 4M is accepted",
						  value ? value : "");
		} else {
			return option_bad(error, size,
					  "filter cache: unknown option '%s'; there are: path, "
					  "size, block",
					  name);
		}
	}
	if (!o->path || !*o->path || !o->size)
		return option_bad(error, size,
				  "filter cache: it needs path=DIRECTORY and size=BYTES");
	if (o->size < o->block)
		return option_bad(error, size, "filter cache: size is less than one block");
	return true;
}

struct store *filter_cache(char *text, struct store *next, char *error, size_t size)
{
	struct options options = { .block = BLOCK_DEFAULT };
	struct cache *cache;
	char why[256];

	if (!next->ops->rest) {
		option_bad(error, size,
			   "filter cache: it is for --store azure; what --store %s has is here "
			   "already",
			   next->ops->name);
		return NULL;
	}
	if (!parse(&options, text, error, size))
		return NULL;
	cache = calloc(1, sizeof(*cache));
	if (cache)
		cache->blocks = blocks_open(options.path, options.size, (uint32_t)options.block,
					    why, sizeof(why));
	else
		snprintf(why, sizeof(why), "out of memory");
	if (!cache || !cache->blocks) {
		free(cache);
		option_bad(error, size, "filter cache: %s", why);
		return NULL;
	}
	cache->block = (uint32_t)options.block;
	cache->next = next;
	cache->rest = (struct rest_ops){ .auth = cache_auth,
					 .request = cache_request,
					 .acl = cache_acl,
					 .reload = cache_reload,
					 .keep = cache_keep };
	cache->ops = (struct store_ops){ .name = "cache",
					 .rest = &cache->rest,
					 .close = cache_close,
					 .effect_lookup = cache_effect_lookup,
					 .effect_forget = cache_effect_forget,
					 .effect_forget_session = cache_effect_forget_session };
	cache->store.ops = &cache->ops;
	cache->source.show = show;
	metrics_add(&cache->source);
	return &cache->store;
}
