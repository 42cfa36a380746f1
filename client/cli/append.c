// SPDX-License-Identifier: MIT
/* azblob append: what a file or a pipe brings, as it comes. */
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct append {
	struct cli *cli;
	struct cli_name name;
	char *buffer; /* AZBLOB_APPEND_MAX bytes */
	uint64_t bytes;
	uint64_t blocks;
	char etag[128];
};

/*
 * What is there, up to a full buffer: at least one byte, however long that takes; 0 at the end.  A
 * line of a log goes out when it is written, and a large file in large pieces.
 */
static ssize_t read_available(int fd, char *buffer, size_t room)
{
	size_t used = 0;

	while (used < room) {
		int64_t got = transfer_read(fd, buffer + used, room - used, used > 0);

		if (got < 0)
			return used && errno == EAGAIN ? (ssize_t)used : -1;
		if (!got)
			break;
		used += (size_t)got;
	}
	return (ssize_t)used;
}

static int create(struct append *append, struct azblob_error *error)
{
	struct azblob_put_options options = AZBLOB_PUT_OPTIONS_INIT;
	const struct cli *cli = append->cli;

	options.content_type = cli->content_type;
	options.metadata = cli->metadata;
	options.metadata_count = cli->metadata_count;
	options.tags = cli->tags;
	options.tag_count = cli->tag_count;
	options.if_none_match = "*";
	if (!azblob_append_create(cli->conn, append->name.container, append->name.blob, &options,
				  NULL, error))
		return 0;
	/* Somebody else was faster, which will do. */
	return strcmp(error->code, "BlobAlreadyExists") ? -1 : 0;
}

static int send(struct append *append, const char *data, size_t size, struct azblob_error *error)
{
	struct azblob_append_result result;
	const struct cli *cli = append->cli;
	int status;

	for (int i = 0; i < 2; i++) {
		status = azblob_append_block(cli->conn, append->name.container, append->name.blob,
					     data, size, AZBLOB_APPEND_ANYWHERE,
					     AZBLOB_APPEND_ANYWHERE, &cli->access, &result, error);
		if (!status || i || strcmp(error->code, "BlobNotFound") || cli->access.if_match)
			break;
		if (create(append, error))
			break;
	}
	if (status)
		return -1;
	append->bytes += size;
	append->blocks = result.blocks;
	memcpy(append->etag, result.etag, sizeof(append->etag));
	cli_progress_add(size);
	return 0;
}

static int append_fd(struct append *append, int fd, struct azblob_error *error)
{
	while (true) {
		ssize_t got = read_available(fd, append->buffer, AZBLOB_APPEND_MAX);

		if (got < 0 && cli_interrupted()) {
			error->kind = AZBLOB_CANCELLED;
			return -1;
		}
		if (got < 0) {
			transfer_local_error(error, errno, "reading failed");
			return -1;
		}
		if (!got)
			return 0;
		if (send(append, append->buffer, (size_t)got, error))
			return -1;
		/* A condition on what was there is met by our own change no more. */
		if (append->cli->access.if_match)
			append->cli->access.if_match = append->etag;
	}
}

static int append_file(struct append *append, const char *path)
{
	struct azblob_error error = { 0 };
	int fd = STDIN_FILENO;
	int status = 0;
	int code = EXIT_OK;

	if (strcmp(path, "-")) {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd < 0) {
			transfer_local_error(&error, errno, "can't be opened");
			return cli_report(path, &error);
		}
	}
	status = append_fd(append, fd, &error);
	if (status)
		code = cli_report(path, &error);
	if (fd > STDIN_FILENO)
		close(fd);
	return code;
}

static void append_json(const struct append *append)
{
	cli_json_begin();
	cli_json_string("op", "append");
	cli_json_string("container", append->name.container);
	cli_json_string("name", append->name.blob);
	cli_json_number("bytes", append->bytes);
	cli_json_number("blocks", append->blocks);
	cli_json_string("etag", append->etag);
	cli_json_end();
}

int cli_append(struct cli *cli)
{
	struct append append = { .cli = cli };
	const char *dest = cli->arguments ? cli->argument[cli->arguments - 1] : NULL;
	int code;

	if (cli->arguments < 2) {
		cli_error("append: files (or -) and a blob are needed");
		return EXIT_USAGE;
	}
	code = cli_name_for(cli, dest, &append.name);
	if (code)
		return code;
	if (!*append.name.blob) {
		cli_error("\"%s\": must name a blob", dest);
		code = EXIT_USAGE;
	} else {
		code = cli_connect(cli);
	}
	append.buffer = malloc(AZBLOB_APPEND_MAX);
	if (!append.buffer)
		abort();
	cli_progress_start(cli, "append");
	/* In order, and no further than the first failure: what follows would be out of place. */
	for (int i = 0; !code && i + 1 < cli->arguments && !cli_interrupted(); i++)
		code = append_file(&append, cli->argument[i]);
	cli_progress_stop();
	if (append.bytes && cli->json)
		append_json(&append);
	free(append.buffer);
	cli_name_free(&append.name);
	return code;
}
