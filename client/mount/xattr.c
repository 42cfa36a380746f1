// SPDX-License-Identifier: MIT
/* What a blob has and a file has not, as user.azblob.*; to be read only. */
#include "mount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"

#define PREFIX "user.azblob."
#define METADATA "metadata."

struct field {
	const char *name;
	const char *value;
};

#define FIELDS 8u

/* Those of the blob's own; values that the service did not send are "". */
static void collect(const struct azblob_properties *properties, struct field fields[FIELDS])
{
	const struct field all[FIELDS] = {
		{ "etag", properties->etag },
		{ "blob_type", properties->blob_type },
		{ "content_type", properties->content_type },
		{ "content_encoding", properties->content_encoding },
		{ "content_language", properties->content_language },
		{ "cache_control", properties->cache_control },
		{ "content_md5", properties->content_md5 },
		{ "access_tier", properties->access_tier },
	};

	memcpy(fields, all, sizeof(all));
}

static int get_properties(struct mnt_mount *mount, struct mnt_node *node,
			  struct azblob_properties **properties)
{
	struct mnt_attr attr;
	bool none;
	char *blob;
	int result;

	pthread_mutex_lock(&mount->nodes.lock);
	/* A prefix is no blob. */
	none = node->unlinked || (node->attr.directory && !*node->attr.etag);
	pthread_mutex_unlock(&mount->nodes.lock);
	if (none)
		return -ENODATA;
	blob = mnt_nodes_path(&mount->nodes, node, NULL);
	if (!blob)
		return -ENOMEM;
	result = mount->service->ops->head(mount->service, blob, &attr, properties);
	free(blob);
	return result;
}

static const char *find(const struct azblob_properties *properties, const char *name)
{
	struct field fields[FIELDS];

	if (!strncmp(name, METADATA, strlen(METADATA))) {
		for (size_t i = 0; i < properties->metadata_count; i++)
			if (!strcasecmp(properties->metadata[i].name, name + strlen(METADATA)))
				return properties->metadata[i].value;
		return NULL;
	}
	collect(properties, fields);
	for (size_t i = 0; i < FIELDS; i++)
		if (!strcmp(fields[i].name, name))
			return *fields[i].value ? fields[i].value : NULL;
	return NULL;
}

static void reply_bytes(fuse_req_t req, const char *bytes, size_t length, size_t size)
{
	if (!size)
		fuse_reply_xattr(req, length);
	else if (length > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, bytes, length);
}

void mnt_op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct mnt_mount *mount = mnt_of(req);
	struct azblob_properties *properties = NULL;
	const char *value = NULL;
	int result = -ENODATA;

	/* The kernel asks for others, before each write even. */
	if (!strncmp(name, PREFIX, strlen(PREFIX)))
		result = get_properties(mount, mnt_node_of(mount, ino), &properties);
	if (!result) {
		value = find(properties, name + strlen(PREFIX));
		if (!value)
			result = -ENODATA;
	}
	if (result)
		fuse_reply_err(req, -result);
	else
		reply_bytes(req, value, strlen(value), size);
	azblob_properties_free(properties);
}

static void add_name(struct azb_buf *list, const char *group, const char *name)
{
	azb_buf_puts(list, PREFIX);
	azb_buf_puts(list, group);
	azb_buf_add(list, name, strlen(name) + 1);
}

void mnt_op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct mnt_mount *mount = mnt_of(req);
	struct azblob_properties *properties = NULL;
	struct field fields[FIELDS];
	struct azb_buf list = { 0 };
	int result = get_properties(mount, mnt_node_of(mount, ino), &properties);

	if (!result) {
		collect(properties, fields);
		for (size_t i = 0; i < FIELDS; i++)
			if (*fields[i].value)
				add_name(&list, "", fields[i].name);
		for (size_t i = 0; i < properties->metadata_count; i++)
			add_name(&list, METADATA, properties->metadata[i].name);
		if (list.failed)
			result = -ENOMEM;
	}
	if (result && result != -ENODATA)
		fuse_reply_err(req, -result);
	else
		reply_bytes(req, list.data, list.length, size);
	azb_buf_free(&list);
	azblob_properties_free(properties);
}

/* Every change would be a new version of the blob under files that are open. */
void mnt_op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
		     size_t size, int flags)
{
	(void)ino;
	(void)name;
	(void)value;
	(void)size;
	(void)flags;
	fuse_reply_err(req, EOPNOTSUPP);
}

void mnt_op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	(void)ino;
	(void)name;
	fuse_reply_err(req, EOPNOTSUPP);
}
