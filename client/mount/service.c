// SPDX-License-Identifier: MIT
/* The service by libazblob. */
#include "service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "azblob/vsp_wire.h"
#include "log.h"

struct service {
	struct mnt_service service;
	azblob_conn *conn;
	char *container;
	bool unchecked; /* what is read */
};

static struct service *of(struct mnt_service *service)
{
	return (struct service *)service;
}

/* ---- errors ---- */

static int service_errno(const struct azblob_error *error)
{
	switch (error->http_status) {
	case 304:
	case 412:
		/* A lease is in the way, not a change. */
		return strncmp(error->code, "Lease", 5) ? -ESTALE : -EBUSY;
	case 401:
	case 403:
		return -EACCES;
	case 404:
		return -ENOENT;
	case 409:
		if (!strcmp(error->code, "BlobAlreadyExists"))
			return -EEXIST;
		return strcmp(error->code, "BlobArchived") ? -EBUSY : -EIO;
	case 413:
		return -EFBIG;
	case 507:
		return -ENOSPC;
	}
	return -EIO;
}

int mnt_errno(const struct azblob_error *error)
{
	switch (error->kind) {
	case AZBLOB_OK:
		return 0;
	case AZBLOB_BAD_ARGUMENT:
		return -EINVAL;
	case AZBLOB_SERVICE:
		/* A repetition was refused, maybe because the first try had done it: not another's
		 * change. */
		return error->outcome_unknown ? -EIO : service_errno(error);
	case AZBLOB_RESOURCES:
		return -ENOMEM;
	case AZBLOB_CANCELLED:
		return -EINTR;
	case AZBLOB_TRANSPORT:
		/* The driver gave up, the network did, or the host says so. */
		if (error->sys_errno == ETIMEDOUT || error->link_status == VSP_WIRE_STATUS_TIMEOUT)
			return -ETIMEDOUT;
		return -EIO;
	}
	return -EIO;
}

/* What is asked all the time, and answered by errno alone, is no news. */
static bool expected(int result)
{
	return result == -ENOENT || result == -EEXIST || result == -ESTALE;
}

static int failed(const char *what, const char *blob, const struct azblob_error *error)
{
	int result = mnt_errno(error);

	mnt_log(expected(result) ? MNT_LOG_DEBUG : MNT_LOG_ERROR, "%s \"%s\": %s", what, blob,
		error->message);
	return result;
}

/* The host may still be at the caller's memory: see azblob_get_blob(). */
static bool is_late(const struct service *service, const struct azblob_error *error)
{
	return (error->sys_errno == ETIMEDOUT || error->kind == AZBLOB_CANCELLED) &&
	       azblob_conn_transport(service->conn) == AZBLOB_TRANSPORT_DRIVER;
}

/* ---- attributes ---- */

/* 0 for what is no HTTP date. */
static time_t http_date(const char *text)
{
	struct tm tm = { 0 };

	/* Its names follow the locale, which this program leaves at C. */
	return strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) ? timegm(&tm) : 0;
}

static enum mnt_kind kind_of(const char *blob_type)
{
	if (!strcmp(blob_type, "AppendBlob"))
		return MNT_APPEND_BLOB;
	/* Lists of old services leave it out for block blobs. */
	return *blob_type && strcmp(blob_type, "BlockBlob") ? MNT_OTHER_BLOB : MNT_BLOCK_BLOB;
}

static bool is_folder(uint64_t size, const struct azblob_pair *metadata, size_t count)
{
	for (size_t i = 0; !size && i < count; i++)
		if (!strcasecmp(metadata[i].name, MNT_FOLDER_KEY))
			return !strcasecmp(metadata[i].value, "true");
	return false;
}

static void set_attr(struct mnt_attr *attr, uint64_t size, const char *etag, const char *modified)
{
	if (!attr)
		return;
	memset(attr, 0, sizeof(*attr));
	attr->size = size;
	attr->mtime = http_date(modified);
	snprintf(attr->etag, sizeof(attr->etag), "%s", etag);
}

static int do_head(struct mnt_service *service, const char *blob, struct mnt_attr *attr,
		   struct azblob_properties **keep)
{
	struct azblob_properties *properties;
	struct azblob_error error;

	if (azblob_get_properties(of(service)->conn, of(service)->container, blob, &properties,
				  &error))
		return failed("stat", blob, &error);
	set_attr(attr, properties->size, properties->etag, properties->last_modified);
	attr->kind = kind_of(properties->blob_type);
	attr->directory =
		is_folder(properties->size, properties->metadata, properties->metadata_count);
	if (keep)
		*keep = properties;
	else
		azblob_properties_free(properties);
	return 0;
}

static void entry_attr(struct mnt_attr *attr, const struct azblob_entry *entry)
{
	set_attr(attr, entry->size, entry->etag, entry->last_modified);
	attr->kind = kind_of(entry->blob_type);
	attr->directory = entry->kind == AZBLOB_ENTRY_PREFIX ||
			  is_folder(entry->size, entry->metadata, entry->metadata_count);
}

static int do_list(struct mnt_service *service, const char *prefix, unsigned int most,
		   char **marker, mnt_entry_fn each, void *context)
{
	struct azblob_list_options options = AZBLOB_LIST_OPTIONS_INIT;
	struct azblob_list *page;
	struct azblob_error error;
	struct mnt_attr attr;
	int result = 0;

	options.prefix = prefix;
	options.delimiter = "/";
	options.marker = *marker;
	options.max_results = most;
	options.include = AZBLOB_INCLUDE_METADATA;
	if (azblob_list_blobs(of(service)->conn, of(service)->container, &options, &page, &error))
		return failed("list", prefix, &error);
	free(*marker);
	*marker = strdup(page->next_marker);
	if (!*marker)
		result = -ENOMEM;
	for (size_t i = 0; !result && i < page->count; i++) {
		entry_attr(&attr, page->entries[i]);
		result = each(context, page->entries[i]->name, &attr);
	}
	azblob_list_free(page);
	return result;
}

static int do_read(struct mnt_service *service, const char *blob, const char *etag, uint64_t offset,
		   size_t length, void *buffer, bool *late)
{
	struct azblob_get_options options = AZBLOB_GET_OPTIONS_INIT;
	struct azblob_get_result got;
	struct azblob_error error;

	options.if_match = etag;
	options.no_checksum = of(service)->unchecked;
	if (azblob_get_blob(of(service)->conn, of(service)->container, blob, offset, length, buffer,
			    length, &options, &got, &error)) {
		int result = failed("read", blob, &error);

		*late = is_late(of(service), &error);
		/* The version that was open is gone. */
		return result == -ENOENT ? -ESTALE : result;
	}
	return got.size == length ? 0 : -EIO;
}

/* ---- changes ---- */

static void put_options(struct azblob_put_options *options, const struct azblob_properties *keep,
			const struct mnt_condition *condition)
{
	if (keep) {
		options->content_type = *keep->content_type ? keep->content_type : NULL;
		options->content_encoding = *keep->content_encoding ? keep->content_encoding : NULL;
		options->content_language = *keep->content_language ? keep->content_language : NULL;
		options->content_disposition =
			*keep->content_disposition ? keep->content_disposition : NULL;
		options->cache_control = *keep->cache_control ? keep->cache_control : NULL;
		options->metadata = keep->metadata;
		options->metadata_count = keep->metadata_count;
	}
	if (condition) {
		options->if_match = condition->match;
		options->if_none_match = condition->absent ? "*" : NULL;
	}
}

/* What replaced something else by a condition failed because there is one. */
static int changed(int result, const struct mnt_condition *condition)
{
	if (condition && condition->absent && result == -ESTALE)
		return -EEXIST;
	return condition && condition->match && result == -ENOENT ? -ESTALE : result;
}

static int do_put(struct mnt_service *service, const char *blob, const void *data, size_t size,
		  const struct azblob_properties *keep, const struct mnt_condition *condition,
		  struct mnt_attr *attr)
{
	struct azblob_put_options options = AZBLOB_PUT_OPTIONS_INIT;
	struct azblob_put_result done;
	struct azblob_error error;

	put_options(&options, keep, condition);
	if (azblob_put_blob(of(service)->conn, of(service)->container, blob, data, size, &options,
			    &done, &error))
		return changed(failed("write", blob, &error), condition);
	set_attr(attr, size, done.etag, done.last_modified);
	return 0;
}

static int do_put_folder(struct mnt_service *service, const char *blob)
{
	static const struct azblob_pair mark = { MNT_FOLDER_KEY, "true" };
	struct azblob_put_options options = AZBLOB_PUT_OPTIONS_INIT;
	struct azblob_error error;

	options.metadata = &mark;
	options.metadata_count = 1;
	options.if_none_match = "*";
	if (!azblob_put_blob(of(service)->conn, of(service)->container, blob, "", 0, &options, NULL,
			     &error))
		return 0;
	return error.http_status == 412 ? -EEXIST : failed("mkdir", blob, &error);
}

static int do_put_block(struct mnt_service *service, const char *blob, const char *id,
			const void *data, size_t size, bool *late)
{
	struct azblob_error error;

	if (!azblob_put_block(of(service)->conn, of(service)->container, blob, id, data, size,
			      &error))
		return 0;
	/* The host may still read it, which harms nobody but would send other bytes. */
	*late = is_late(of(service), &error);
	return failed("write", blob, &error);
}

static int do_commit(struct mnt_service *service, const char *blob, const char *const *ids,
		     size_t count, size_t committed, const struct azblob_properties *keep,
		     const struct mnt_condition *condition, struct mnt_attr *attr)
{
	struct azblob_put_options options = AZBLOB_PUT_OPTIONS_INIT;
	struct azblob_put_result done;
	struct azblob_error error;

	put_options(&options, keep, condition);
	options.committed_blocks = committed;
	if (azblob_put_block_list(of(service)->conn, of(service)->container, blob, ids, count,
				  &options, &done, &error))
		return changed(failed("commit", blob, &error), condition);
	set_attr(attr, 0, done.etag, done.last_modified);
	return 0;
}

void mnt_free_blocks(struct mnt_block_id *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i].text);
	free(list);
}

static int do_blocks(struct mnt_service *service, const char *blob, const char *etag,
		     struct mnt_block_id **result, size_t *count)
{
	/* Get Block List knows no conditions; the commit that follows has it. */
	const struct mnt_condition there = { .match = etag };
	struct azblob_block_list *list;
	struct azblob_error error;

	if (azblob_get_block_list(of(service)->conn, of(service)->container, blob, NULL, &list,
				  &error))
		return changed(failed("append", blob, &error), &there);
	*count = 0;
	*result = calloc(list->count + 1, sizeof(**result));
	for (size_t i = 0; *result && i < list->count; i++) {
		if (!list->blocks[i]->committed)
			continue;
		(*result)[*count].size = list->blocks[i]->size;
		(*result)[*count].text = strdup(list->blocks[i]->id);
		if (!(*result)[(*count)++].text) {
			mnt_free_blocks(*result, *count);
			*result = NULL;
		}
	}
	azblob_block_list_free(list);
	return *result ? 0 : -ENOMEM;
}

static int do_append(struct mnt_service *service, const char *blob, const void *data, size_t size,
		     uint64_t position, struct mnt_attr *attr)
{
	struct azblob_append_result done;
	struct azblob_error error;

	if (azblob_append_block(of(service)->conn, of(service)->container, blob, data, size,
				position, AZBLOB_APPEND_ANYWHERE, NULL, &done, &error)) {
		int result = failed("append", blob, &error);

		return result == -ENOENT ? -ESTALE : result;
	}
	set_attr(attr, position + size, done.etag, done.last_modified);
	attr->kind = MNT_APPEND_BLOB;
	return 0;
}

static int do_append_new(struct mnt_service *service, const char *blob,
			 const struct azblob_properties *keep,
			 const struct mnt_condition *condition, struct mnt_attr *attr)
{
	struct azblob_put_options options = AZBLOB_PUT_OPTIONS_INIT;
	struct azblob_change_result done;
	struct azblob_error error;

	put_options(&options, keep, condition);
	if (azblob_append_create(of(service)->conn, of(service)->container, blob, &options, &done,
				 &error))
		return changed(failed("truncate", blob, &error), condition);
	set_attr(attr, 0, done.etag, done.last_modified);
	attr->kind = MNT_APPEND_BLOB;
	return 0;
}

static int do_copy(struct mnt_service *service, const char *from, const char *from_etag,
		   const char *to, const struct mnt_condition *condition, struct mnt_attr *attr)
{
	struct azblob_access source = AZBLOB_ACCESS_INIT;
	struct azblob_access target = AZBLOB_ACCESS_INIT;
	struct azblob_copy_options options = AZBLOB_COPY_OPTIONS_INIT;
	struct azblob_copy_result done;
	struct azblob_error error;
	char *url;
	int result;

	if (azblob_url(of(service)->conn, of(service)->container, from, NULL, &url, &error))
		return failed("rename", from, &error);
	source.if_match = from_etag;
	target.if_match = condition->match;
	target.if_none_match = condition->absent ? "*" : NULL;
	options.source = &source;
	options.access = &target;
	result = azblob_copy_start(of(service)->conn, of(service)->container, to, url, &options,
				   &done, &error);
	azblob_text_free(url);
	if (!result && strcmp(done.status, "success"))
		result = azblob_copy_wait(of(service)->conn, of(service)->container, to, NULL, NULL,
					  &error);
	if (result)
		return changed(failed("rename to", to, &error), condition);
	return do_head(service, to, attr, NULL);
}

static int do_remove(struct mnt_service *service, const char *blob, const char *etag)
{
	struct azblob_access access = AZBLOB_ACCESS_INIT;
	struct azblob_error error;

	access.if_match = etag;
	if (azblob_delete_blob_if(of(service)->conn, of(service)->container, blob,
				  AZBLOB_DELETE_BLOB, &access, &error))
		return failed("remove", blob, &error);
	return 0;
}

static int do_touch(struct mnt_service *service, const char *blob, const char *etag,
		    struct mnt_attr *attr)
{
	struct azblob_access access = AZBLOB_ACCESS_INIT;
	struct azblob_properties *properties = NULL;
	struct azblob_error error;
	struct mnt_attr now;
	int result = do_head(service, blob, &now, &properties);

	if (result || !properties)
		return result;
	access.if_match = etag;
	result = azblob_set_metadata(of(service)->conn, of(service)->container, blob,
				     properties->metadata, properties->metadata_count, &access,
				     NULL, &error);
	azblob_properties_free(properties);
	if (result)
		return failed("touch", blob, &error);
	return do_head(service, blob, attr, NULL);
}

static void *do_pin(struct mnt_service *service, void *data, size_t size)
{
	struct azblob_error error;
	azblob_buffer *buffer;

	if (azblob_conn_transport(of(service)->conn) != AZBLOB_TRANSPORT_DRIVER)
		return NULL;
	if (azblob_buffer_register(of(service)->conn, data, size, 0, &buffer, &error)) {
		mnt_log(MNT_LOG_DEBUG, "buffers are not registered: %s", error.message);
		return NULL;
	}
	/* Rings are not what our requests go by. */
	if (azblob_buffer_kind(buffer) == AZBLOB_BUFFER_HOST) {
		mnt_log(MNT_LOG_DEBUG, "%zu bytes are registered with the host", size);
		return buffer;
	}
	azblob_buffer_deregister(buffer);
	return NULL;
}

static void do_unpin(struct mnt_service *service, void *handle)
{
	(void)service;
	azblob_buffer_deregister(handle);
}

static void do_interrupt(struct mnt_service *service)
{
	azblob_interrupt(of(service)->conn);
}

static void do_close(struct mnt_service *service)
{
	azblob_close(of(service)->conn);
	free(of(service)->container);
	free(service);
}

static const struct mnt_service_ops ops = {
	.head = do_head,
	.list = do_list,
	.read = do_read,
	.put = do_put,
	.put_folder = do_put_folder,
	.put_block = do_put_block,
	.commit = do_commit,
	.blocks = do_blocks,
	.append = do_append,
	.append_new = do_append_new,
	.copy = do_copy,
	.remove = do_remove,
	.touch = do_touch,
	.pin = do_pin,
	.unpin = do_unpin,
	.interrupt = do_interrupt,
	.close = do_close,
};

struct mnt_service *mnt_service_azblob(azblob_conn *conn, const char *container,
				       enum mnt_checksums checksums)
{
	struct service *service = calloc(1, sizeof(*service));

	if (!service)
		return NULL;
	service->container = strdup(container);
	if (!service->container) {
		free(service);
		return NULL;
	}
	service->service.ops = &ops;
	service->conn = conn;
	/* Through the driver bytes are copied once, from memory to memory of one machine. */
	service->unchecked = checksums == MNT_CHECK_NEVER ||
			     (checksums == MNT_CHECK_AUTO &&
			      azblob_conn_transport(conn) == AZBLOB_TRANSPORT_DRIVER);
	return &service->service;
}
