// SPDX-License-Identifier: MIT
#include "transfer.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double transfer_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static char *copy(const char *text)
{
	char *made = strdup(text);

	if (!made)
		abort();
	return made;
}

struct job *transfer_add(struct transfer *transfer, const char *path, const char *container,
			 const char *blob, uint64_t size)
{
	struct job *job;

	if (transfer->count == transfer->room) {
		size_t room = transfer->room ? 2 * transfer->room : 64;
		struct job *grown = reallocarray(transfer->job, room, sizeof(*grown));

		if (!grown)
			abort();
		transfer->job = grown;
		transfer->room = room;
	}
	job = &transfer->job[transfer->count++];
	job->path = copy(path);
	job->container = copy(container);
	job->blob = copy(blob);
	job->size = size;
	job->source = NULL;
	job->has_mtime = false;
	job->root = 0;
	job->md5[0] = '\0';
	if (size != AZBLOB_SIZE_UNKNOWN)
		cli_progress_expect(size);
	return job;
}

void transfer_free(struct transfer *transfer)
{
	for (size_t i = 0; i < transfer->count; i++) {
		free(transfer->job[i].path);
		free(transfer->job[i].container);
		free(transfer->job[i].blob);
		free(transfer->job[i].source);
	}
	free(transfer->job);
	transfer->job = NULL;
	transfer->count = 0;
}

void transfer_local_error(struct azblob_error *error, int sys_errno, const char *format, ...)
{
	size_t used;
	va_list args;

	memset(error, 0, sizeof(*error));
	error->kind = AZBLOB_LOCAL_IO;
	error->sys_errno = sys_errno;
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	used = strlen(error->message);
	if (sys_errno)
		snprintf(error->message + used, sizeof(error->message) - used, ": %s",
			 strerrordesc_np(sys_errno));
}

int64_t transfer_read(int fd, void *buffer, size_t room, bool now)
{
	struct pollfd ready[2] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = cli_interrupt_fd(), .events = POLLIN },
	};
	ssize_t got;

	do {
		if (poll(ready, 2, now ? 0 : -1) < 0 && errno != EINTR)
			return -1;
		if (cli_interrupted()) {
			errno = EINTR;
			return -1;
		}
		if (now && !ready[0].revents) {
			errno = EAGAIN;
			return -1;
		}
	} while (!ready[0].revents);
	do {
		got = read(fd, buffer, room);
	} while (got < 0 && errno == EINTR);
	return got;
}

static void json_names(const struct transfer *transfer, const struct job *job)
{
	cli_json_string("op", transfer->op);
	cli_json_string("path", job->path);
	cli_json_string("container", job->container);
	cli_json_string("name", job->blob);
}

static void json_good(const struct transfer *transfer, const struct job *job,
		      const struct outcome *outcome)
{
	cli_json_begin();
	json_names(transfer, job);
	cli_json_number("bytes", outcome->bytes);
	cli_json_number("resumed", outcome->resumed);
	cli_json_real("seconds", outcome->seconds);
	cli_json_string("etag", outcome->etag);
	cli_json_number("requests", outcome->requests);
	cli_json_number("retries", outcome->retries);
	cli_json_bool("verified", outcome->verified);
	cli_json_end();
}

static void json_bad(const struct transfer *transfer, const struct job *job,
		     const struct azblob_error *error, int code)
{
	cli_json_begin();
	json_names(transfer, job);
	cli_json_string("error", error->message);
	cli_json_string("code", error->code);
	cli_json_number("http_status", (uint64_t)error->http_status);
	cli_json_bool("outcome_unknown", error->outcome_unknown);
	cli_json_number("exit", (uint64_t)code);
	cli_json_end();
}

/* Standard output may be the destination itself. */
static bool json_to_stdout(const struct transfer *transfer, const struct job *job)
{
	return transfer->cli->json && (strcmp(transfer->op, "get") || strcmp(job->path, "-"));
}

int transfer_done(struct transfer *transfer, const struct job *job, const struct outcome *outcome)
{
	const char *what = strcmp(transfer->op, "put") ? job->blob : job->path;
	int code = EXIT_OK;

	cli_output_lock();
	if (outcome->error) {
		code = cli_report(what, outcome->error);
		transfer->failed++;
		if (json_to_stdout(transfer, job))
			json_bad(transfer, job, outcome->error, code);
	} else {
		transfer->files++;
		transfer->bytes += outcome->bytes;
		transfer->requests += outcome->requests;
		transfer->retries += outcome->retries;
		transfer->unverified += !outcome->verified;
		if (json_to_stdout(transfer, job))
			json_good(transfer, job, outcome);
		else if (transfer->cli->verbose)
			cli_note(transfer->cli, "%s: %llu bytes, %llu requests%s", what,
				 (unsigned long long)outcome->bytes,
				 (unsigned long long)outcome->requests,
				 outcome->retries ? ", some repeated" : "");
	}
	transfer->code = cli_worse(transfer->code, code);
	cli_output_unlock();
	return code;
}

/* ---- running ---- */

struct small {
	struct transfer *transfer;
	size_t *index;
	size_t count;
};

static void move_small(void *context, size_t index)
{
	struct small *small = context;

	small->transfer->move(small->transfer, &small->transfer->job[small->index[index]]);
}

static bool is_small(const struct transfer *transfer, const struct job *job)
{
	return transfer->any_small ||
	       (job->size <= transfer->cli->block_size && strcmp(job->path, "-"));
}

static void json_summary(const struct transfer *transfer, double seconds)
{
	cli_json_begin();
	cli_json_string("op", "summary");
	cli_json_string("command", transfer->command ? transfer->command : transfer->op);
	cli_json_number("files", transfer->files);
	cli_json_number("failed", transfer->failed);
	if (transfer->command) {
		cli_json_number("deleted", transfer->deleted);
		cli_json_number("unchanged", transfer->unchanged);
	}
	cli_json_number("bytes", transfer->bytes);
	cli_json_real("seconds", seconds);
	cli_json_real("mb_per_s", seconds > 0 ? (double)transfer->bytes / 1e6 / seconds : 0);
	cli_json_number("requests", transfer->requests);
	cli_json_number("retries", transfer->retries);
	cli_json_bool("verified", transfer->files && !transfer->unverified);
	cli_json_string("transport",
			azblob_conn_transport(transfer->cli->conn) == AZBLOB_TRANSPORT_DRIVER
				? "driver"
				: "http");
	cli_json_end();
}

static void summary(const struct transfer *transfer, double seconds)
{
	const struct cli *cli = transfer->cli;
	char bytes[16];

	if (transfer->unverified && !cli->no_checksums)
		cli_note(cli, "the service sent no checksums for %llu of %llu files",
			 (unsigned long long)transfer->unverified,
			 (unsigned long long)transfer->files);
	if (cli->json) {
		/* Not into the blob that goes to standard output. */
		if (transfer->count != 1 || json_to_stdout(transfer, &transfer->job[0]))
			json_summary(transfer, seconds);
		return;
	}
	if (!cli->verbose && !isatty(STDERR_FILENO))
		return;
	cli_human(transfer->bytes, bytes);
	cli_note(cli, "%s: %llu file%s, %s in %.2f s, %.1f MB/s%s", transfer->op,
		 (unsigned long long)transfer->files, transfer->files == 1 ? "" : "s", bytes,
		 seconds, seconds > 0 ? (double)transfer->bytes / 1e6 / seconds : 0,
		 transfer->failed ? "; some failed" : "");
}

int transfer_run(struct transfer *transfer)
{
	struct small small = { .transfer = transfer };
	double seconds;

	small.index = calloc(transfer->count + 1, sizeof(*small.index));
	if (!small.index)
		abort();
	for (size_t i = 0; i < transfer->count; i++)
		if (is_small(transfer, &transfer->job[i]))
			small.index[small.count++] = i;
	cli_for_each(small.count, transfer->cli->parallel, move_small, &small);
	free(small.index);
	/* A large file keeps all requests busy by itself. */
	for (size_t i = 0; i < transfer->count && !cli_interrupted(); i++)
		if (!is_small(transfer, &transfer->job[i]))
			transfer->move(transfer, &transfer->job[i]);
	if (transfer->finish && !cli_interrupted())
		transfer->finish(transfer);
	seconds = cli_progress_stop();
	if (!cli_interrupted())
		summary(transfer, seconds);
	return transfer->code;
}
