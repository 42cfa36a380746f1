// SPDX-License-Identifier: MIT
/* A blob service in memory for tests of the link door; see fake_svc.h. */
#include "fake_svc.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../../vsp-backend/base/buf.h"
#include "../../vsp-backend/base/crc64.h"
#include "../../vsp-backend/base/stop.h"

struct blob {
	struct blob *next;
	char name[64];
	uint8_t *bytes;
	size_t length;
	int fd;
};

struct kept {
	struct kept *next;
	uint8_t session[16];
	uint64_t request;
	char *bytes;
	size_t head_length, length;
};

struct svc {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool shut[FAKE_GATES];
	bool lets_stopped[FAKE_GATES];
	unsigned int held[FAKE_GATES];
	struct blob *blobs;
	struct kept *kept;
	unsigned int effects, uploads, answers;
};

struct answer {
	struct svc_answer public;
	struct svc *svc;
	_Atomic unsigned int users;
	char code[64];
	uint8_t *bytes;
	int fd;
	bool bad;
};

struct part {
	struct part *next;
	uint64_t offset, length;
};

struct svc_upload {
	struct svc *svc;
	char name[64];
	bool only_new;
	uint64_t length;
	uint8_t *bytes;
	struct part *parts;
};

struct svc *fake_svc_new(void)
{
	struct svc *svc = calloc(1, sizeof(*svc));

	pthread_mutex_init(&svc->lock, NULL);
	pthread_cond_init(&svc->changed, NULL);
	return svc;
}

static void free_blob(struct blob *blob)
{
	free(blob->bytes);
	close(blob->fd);
	free(blob);
}

void fake_svc_free(struct svc *svc)
{
	while (svc->blobs) {
		struct blob *blob = svc->blobs;

		svc->blobs = blob->next;
		free_blob(blob);
	}
	while (svc->kept) {
		struct kept *kept = svc->kept;

		svc->kept = kept->next;
		free(kept->bytes);
		free(kept);
	}
	free(svc);
}

/* ------------------------------------------------------------------- gates */

static void pass(struct svc *svc, enum fake_gate gate)
{
	pthread_mutex_lock(&svc->lock);
	svc->held[gate]++;
	pthread_cond_broadcast(&svc->changed);
	while (svc->shut[gate] && !(svc->lets_stopped[gate] && azb_stop_asked())) {
		struct timespec soon;

		/* Nothing signals a stop, and only this thread can ask. */
		clock_gettime(CLOCK_MONOTONIC, &soon);
		soon.tv_nsec += 1000000;
		soon.tv_sec += soon.tv_nsec / 1000000000;
		soon.tv_nsec %= 1000000000;
		if (svc->lets_stopped[gate])
			pthread_cond_clockwait(&svc->changed, &svc->lock, CLOCK_MONOTONIC, &soon);
		else
			pthread_cond_wait(&svc->changed, &svc->lock);
	}
	svc->held[gate]--;
	pthread_mutex_unlock(&svc->lock);
}

static void set_gate(struct svc *svc, enum fake_gate gate, bool shut, bool lets_stopped)
{
	pthread_mutex_lock(&svc->lock);
	svc->shut[gate] = shut;
	svc->lets_stopped[gate] = lets_stopped;
	pthread_cond_broadcast(&svc->changed);
	pthread_mutex_unlock(&svc->lock);
}

void fake_shut(struct svc *svc, enum fake_gate gate)
{
	set_gate(svc, gate, true, false);
}

void fake_shut_until_stopped(struct svc *svc, enum fake_gate gate)
{
	set_gate(svc, gate, true, true);
}

void fake_open(struct svc *svc, enum fake_gate gate)
{
	set_gate(svc, gate, false, false);
}

void fake_await(struct svc *svc, enum fake_gate gate, unsigned int count)
{
	pthread_mutex_lock(&svc->lock);
	while (svc->held[gate] < count)
		pthread_cond_wait(&svc->changed, &svc->lock);
	pthread_mutex_unlock(&svc->lock);
}

/* ------------------------------------------------------------------- blobs */

static struct blob *find(struct svc *svc, const char *name)
{
	struct blob *blob = svc->blobs;

	while (blob && strcmp(blob->name, name) != 0)
		blob = blob->next;
	return blob;
}

static bool take_out(struct svc *svc, const char *name)
{
	for (struct blob **link = &svc->blobs; *link; link = &(*link)->next) {
		struct blob *blob = *link;

		if (strcmp(blob->name, name) != 0)
			continue;
		*link = blob->next;
		free_blob(blob);
		return true;
	}
	return false;
}

static void store(struct svc *svc, const char *name, const void *bytes, size_t length)
{
	struct blob *blob = calloc(1, sizeof(*blob));

	take_out(svc, name);
	snprintf(blob->name, sizeof(blob->name), "%s", name);
	blob->length = length;
	blob->bytes = malloc(length + 1);
	if (length)
		memcpy(blob->bytes, bytes, length);
	blob->fd = memfd_create(name, MFD_CLOEXEC);
	if (length && pwrite(blob->fd, bytes, length, 0) != (ssize_t)length)
		abort();
	blob->next = svc->blobs;
	svc->blobs = blob;
}

void fake_put(struct svc *svc, const char *name, const void *bytes, size_t length)
{
	pthread_mutex_lock(&svc->lock);
	store(svc, name, bytes, length);
	pthread_mutex_unlock(&svc->lock);
}

const void *fake_blob(struct svc *svc, const char *name, size_t *length)
{
	const struct blob *blob;

	pthread_mutex_lock(&svc->lock);
	blob = find(svc, name);
	if (blob)
		*length = blob->length;
	pthread_mutex_unlock(&svc->lock);
	return blob ? blob->bytes : NULL;
}

static unsigned int look(struct svc *svc, const unsigned int *number)
{
	unsigned int value;

	pthread_mutex_lock(&svc->lock);
	value = *number;
	pthread_mutex_unlock(&svc->lock);
	return value;
}

unsigned int fake_held(struct svc *svc, enum fake_gate gate)
{
	return look(svc, &svc->held[gate]);
}

unsigned int fake_effects(struct svc *svc)
{
	return look(svc, &svc->effects);
}

unsigned int fake_uploads(struct svc *svc)
{
	return look(svc, &svc->uploads);
}

unsigned int fake_answers(struct svc *svc)
{
	return look(svc, &svc->answers);
}

unsigned int fake_kept(struct svc *svc)
{
	unsigned int count = 0;

	pthread_mutex_lock(&svc->lock);
	for (struct kept *kept = svc->kept; kept; kept = kept->next)
		count++;
	pthread_mutex_unlock(&svc->lock);
	return count;
}

/* ----------------------------------------------------------------- answers */

static struct answer *make_answer(struct svc *svc, unsigned int status, const char *code)
{
	struct answer *answer = calloc(1, sizeof(*answer));

	answer->svc = svc;
	answer->public.status = status;
	answer->users = 1;
	answer->fd = -1;
	snprintf(answer->code, sizeof(answer->code), "%s", code);
	pthread_mutex_lock(&svc->lock);
	svc->answers++;
	pthread_mutex_unlock(&svc->lock);
	return answer;
}

struct svc_answer *svc_answer_get(struct svc_answer *public)
{
	((struct answer *)public)->users++;
	return public;
}

void svc_answer_put(struct svc_answer *public)
{
	struct answer *answer = (struct answer *)public;

	if (!answer || --answer->users)
		return;
	pthread_mutex_lock(&answer->svc->lock);
	answer->svc->answers--;
	pthread_mutex_unlock(&answer->svc->lock);
	free(answer->bytes);
	if (answer->fd >= 0)
		close(answer->fd);
	free(answer);
}

size_t svc_answer_head(const struct svc_answer *public, const struct svc_extra *extra,
		       size_t extra_count, char *out, size_t room)
{
	const struct answer *answer = (const struct answer *)public;
	struct azb_buf buf = { 0 };
	size_t length;

	azb_buf_printf(&buf, "HTTP/1.1 %u Fake\r\nContent-Length: %llu\r\n", public->status,
		       (unsigned long long)public->content_length);
	if (*answer->code)
		azb_buf_printf(&buf, "x-ms-error-code: %s\r\n", answer->code);
	for (size_t i = 0; i < extra_count; i++)
		azb_buf_printf(&buf, "%s: %s\r\n", extra[i].name, extra[i].value);
	azb_buf_puts(&buf, "\r\n");
	length = buf.length;
	if (out && length <= room)
		memcpy(out, buf.data, length);
	azb_buf_free(&buf);
	return length;
}

const char *svc_answer_header(const struct svc_answer *answer, const char *name)
{
	const struct answer *mine = (const struct answer *)answer;

	return mine->code[0] && !strcasecmp(name, "x-ms-error-code") ? mine->code : NULL;
}

/* In two pieces, so that doors see more than one. */
ssize_t svc_answer_pieces(const struct svc_answer *public, uint64_t offset,
			  struct svc_piece *pieces, size_t max)
{
	const struct answer *answer = (const struct answer *)public;
	uint64_t middle = public->body_length / 2;
	size_t count = 0;

	while (offset < public->body_length && count < max) {
		uint64_t end = offset < middle ? middle : public->body_length;

		pieces[count++] =
			(struct svc_piece){ answer->fd,
					    answer->fd < 0 ? answer->bytes + offset : NULL, offset,
					    end - offset };
		offset = end;
	}
	return (ssize_t)count;
}

ssize_t svc_answer_read(const struct svc_answer *public, uint64_t offset, const struct iovec *iov,
			int iov_count)
{
	const struct answer *answer = (const struct answer *)public;
	ssize_t done = 0;

	pass(answer->svc, FAKE_READ);
	if (answer->bad)
		return -EIO;
	if (answer->fd >= 0) {
		done = preadv(answer->fd, iov, iov_count, (off_t)offset);
		return done < 0 ? -errno : done;
	}
	for (int i = 0; i < iov_count && offset < public->body_length; i++) {
		size_t piece = iov[i].iov_len;

		if (piece > public->body_length - offset)
			piece = (size_t)(public->body_length - offset);
		memcpy(iov[i].iov_base, answer->bytes + offset, piece);
		offset += piece;
		done += (ssize_t)piece;
	}
	return done;
}

struct svc_answer *svc_error(struct svc *svc, const struct head *head, unsigned int status,
			     const char *code, const char *message)
{
	struct answer *answer = make_answer(svc, status, code);

	(void)head;
	answer->bytes = (uint8_t *)strdup(message);
	answer->public.content_length = answer->public.body_length = strlen(message);
	return &answer->public;
}

/* ---------------------------------------------------------------- requests */

/* Remembers the answer of an effect; with svc->lock held. */
static void keep(struct svc *svc, const struct svc_caller *caller, struct svc_answer *answer)
{
	struct kept *kept;

	svc->effects++;
	if (!caller->session)
		return;
	answer->replayable = true;
	kept = calloc(1, sizeof(*kept));
	memcpy(kept->session, caller->session, sizeof(kept->session));
	kept->request = caller->request;
	kept->head_length = kept->length = svc_answer_head(answer, NULL, 0, NULL, 0);
	kept->bytes = malloc(kept->length);
	svc_answer_head(answer, NULL, 0, kept->bytes, kept->length);
	kept->next = svc->kept;
	svc->kept = kept;
}

static struct svc_answer *get_blob(struct svc *svc, const char *name, bool file, bool head_only)
{
	struct answer *answer = make_answer(svc, 200, "");
	struct blob *blob;

	pthread_mutex_lock(&svc->lock);
	blob = find(svc, name);
	if (blob) {
		answer->public.content_length = blob->length;
		answer->public.body_length = head_only ? 0 : blob->length;
		if (file) {
			answer->fd = dup(blob->fd);
		} else {
			answer->bytes = malloc(blob->length + 1);
			memcpy(answer->bytes, blob->bytes, blob->length);
		}
	}
	pthread_mutex_unlock(&svc->lock);
	if (blob)
		return &answer->public;
	svc_answer_put(&answer->public);
	return svc_error(svc, NULL, 404, "BlobNotFound", "no such blob");
}

enum svc_next svc_start(struct svc *svc, const struct head *head, const struct svc_caller *caller,
			struct svc_answer **answer, struct svc_upload **upload)
{
	struct answer *made;
	char target[64];
	const char *name = target + 3;

	snprintf(target, sizeof(target), "%.*s", (int)head->target.length, head->target.at);
	pass(svc, FAKE_START);
	if (head_str_is(&head->method, "PUT") && !strncmp(target, "/b/", 3)) {
		if (head->content_length < 0) {
			*answer = svc_error(svc, head, 411, "MissingContentLengthHeader", "");
			return SVC_ANSWER;
		}
		*upload = calloc(1, sizeof(**upload));
		(*upload)->svc = svc;
		snprintf((*upload)->name, sizeof((*upload)->name), "%s", name);
		(*upload)->only_new = head_get(head, "If-None-Match") != NULL;
		(*upload)->length = (uint64_t)head->content_length;
		(*upload)->bytes = malloc((*upload)->length + 1);
		pthread_mutex_lock(&svc->lock);
		svc->uploads++;
		pthread_mutex_unlock(&svc->lock);
		return SVC_BODY;
	}
	if (head_str_is(&head->method, "DELETE") && !strncmp(target, "/b/", 3)) {
		bool there;

		made = make_answer(svc, 202, "");
		pthread_mutex_lock(&svc->lock);
		there = take_out(svc, name);
		if (there)
			keep(svc, caller, &made->public);
		pthread_mutex_unlock(&svc->lock);
		*answer = &made->public;
		if (!there) {
			svc_answer_put(*answer);
			*answer = svc_error(svc, head, 404, "BlobNotFound", "no such blob");
		}
	} else if (head_str_is(&head->method, "HEAD") || !strncmp(target, "/b/", 3) ||
		   !strncmp(target, "/f/", 3)) {
		*answer = get_blob(svc, name, target[1] == 'f', head_str_is(&head->method, "HEAD"));
	} else if (!strcmp(target, "/list")) {
		made = make_answer(svc, 200, "");
		made->public.content_length = made->public.body_length = caller->body_room;
		made->bytes = malloc(caller->body_room + 1);
		memset(made->bytes, 'x', caller->body_room);
		*answer = &made->public;
	} else if (!strcmp(target, "/bad")) {
		made = make_answer(svc, 200, "");
		made->public.content_length = made->public.body_length = 100;
		made->bad = true;
		made->fd = memfd_create("bad", MFD_CLOEXEC);
		*answer = &made->public;
	} else {
		*answer = svc_error(svc, head, 400, "InvalidUri", "the fake knows no such target");
	}
	return SVC_ANSWER;
}

/* ----------------------------------------------------------------- uploads */

uint64_t svc_upload_length(const struct svc_upload *upload)
{
	return upload->length;
}

int svc_write(struct svc_upload *upload, uint64_t offset, const struct iovec *iov, int iov_count,
	      unsigned int flags, const uint64_t *expect, uint64_t *crc64)
{
	struct svc *svc = upload->svc;
	uint64_t length = 0, crc = 0;
	struct part *part;
	int error = 0;

	(void)flags;
	for (int i = 0; i < iov_count; i++)
		length += iov[i].iov_len;
	if (offset > upload->length || length > upload->length - offset)
		return -EINVAL;
	pthread_mutex_lock(&svc->lock);
	for (part = upload->parts; part; part = part->next) {
		if (part->offset == offset && part->length == length)
			break;
		if (part->offset < offset + length && offset < part->offset + part->length)
			error = -EEXIST;
	}
	pthread_mutex_unlock(&svc->lock);
	if (error)
		return error;
	for (uint64_t at = offset; iov_count; at += iov->iov_len, iov++, iov_count--) {
		memcpy(upload->bytes + at, iov->iov_base, iov->iov_len);
		crc = azb_crc64(crc, upload->bytes + at, iov->iov_len);
	}
	pass(svc, FAKE_WRITE);
	if (expect && *expect != crc)
		return -EBADMSG;
	if (crc64)
		*crc64 = crc;
	if (!part) {
		part = calloc(1, sizeof(*part));
		part->offset = offset;
		part->length = length;
		pthread_mutex_lock(&svc->lock);
		part->next = upload->parts;
		upload->parts = part;
		pthread_mutex_unlock(&svc->lock);
	}
	return 0;
}

void svc_abort(struct svc_upload *upload)
{
	if (!upload)
		return;
	pthread_mutex_lock(&upload->svc->lock);
	upload->svc->uploads--;
	pthread_mutex_unlock(&upload->svc->lock);
	while (upload->parts) {
		struct part *part = upload->parts;

		upload->parts = part->next;
		free(part);
	}
	free(upload->bytes);
	free(upload);
}

int svc_finish(struct svc_upload *upload, const struct svc_caller *caller,
	       struct svc_answer **answer)
{
	struct svc *svc = upload->svc;
	struct answer *made = make_answer(svc, 201, "");
	uint64_t have = 0;
	bool exists;

	pass(svc, FAKE_FINISH);
	for (struct part *part = upload->parts; part; part = part->next)
		have += part->length;
	if (have != upload->length) {
		svc_answer_put(&made->public);
		return -ENODATA;
	}
	pthread_mutex_lock(&svc->lock);
	exists = upload->only_new && find(svc, upload->name);
	if (!exists) {
		store(svc, upload->name, upload->bytes, upload->length);
		keep(svc, caller, &made->public);
	}
	pthread_mutex_unlock(&svc->lock);
	*answer = &made->public;
	if (exists) {
		svc_answer_put(*answer);
		*answer = svc_error(svc, NULL, 409, "BlobAlreadyExists", "it exists");
	}
	svc_abort(upload);
	return 0;
}

struct svc_answer *svc_upload_fail(const struct svc_upload *upload, int error)
{
	switch (error) {
	case -EINVAL:
		return svc_error(upload->svc, NULL, 416, "InvalidRange", "outside of the body");
	case -EEXIST:
		return svc_error(upload->svc, NULL, 409, "PartOverlap", "overlaps");
	default:
		return svc_error(upload->svc, NULL, 500, "InternalError", strerror(-error));
	}
}

/* ---------------------------------------------------------- effect records */

int svc_replay(struct svc *svc, const uint8_t session[16], uint64_t request, char **bytes,
	       size_t *head_length, size_t *length)
{
	struct kept *kept;

	pthread_mutex_lock(&svc->lock);
	for (kept = svc->kept; kept; kept = kept->next) {
		if (kept->request == request && !memcmp(kept->session, session, 16))
			break;
	}
	if (kept) {
		*bytes = malloc(kept->length);
		memcpy(*bytes, kept->bytes, kept->length);
		*head_length = kept->head_length;
		*length = kept->length;
	}
	pthread_mutex_unlock(&svc->lock);
	return kept ? 1 : 0;
}

static void forget(struct svc *svc, const uint8_t session[16], bool all, uint64_t request)
{
	pthread_mutex_lock(&svc->lock);
	for (struct kept **link = &svc->kept; *link;) {
		struct kept *kept = *link;

		if ((!all && kept->request != request) || memcmp(kept->session, session, 16)) {
			link = &kept->next;
			continue;
		}
		*link = kept->next;
		free(kept->bytes);
		free(kept);
	}
	pthread_mutex_unlock(&svc->lock);
}

void svc_acknowledge(struct svc *svc, const uint8_t session[16], uint64_t request)
{
	forget(svc, session, false, request);
}

void svc_session_end(struct svc *svc, const uint8_t session[16])
{
	forget(svc, session, true, 0);
}
