// SPDX-License-Identifier: MIT
/* What the command prints: lines for people on stderr, results on stdout. */
#include "cli.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t output_lock = PTHREAD_MUTEX_INITIALIZER;
/* JSON: whether a comma is due. */
static bool need_comma;

/* As one write, so that lines of several threads stay whole; control characters made harmless. */
static void say(const char *format, va_list args)
{
	char line[2048];
	int length;

	length = vsnprintf(line, sizeof(line) - 1, format, args);
	if (length < 0)
		return;
	if ((size_t)length > sizeof(line) - 2)
		length = sizeof(line) - 2;
	for (int i = 0; i < length; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[length] = '\0';
	cli_progress_clear();
	fprintf(stderr, "azblob: %s\n", line);
}

void cli_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
}

void cli_note(const struct cli *cli, const char *format, ...)
{
	va_list args;

	if (cli->quiet)
		return;
	va_start(args, format);
	say(format, args);
	va_end(args);
}

static int code_of(const struct azblob_error *error)
{
	switch (error->kind) {
	case AZBLOB_BAD_ARGUMENT:
		return EXIT_USAGE;
	case AZBLOB_CHECKSUM:
		return EXIT_CHECKSUM;
	case AZBLOB_LOCAL_IO:
		return EXIT_LOCAL;
	case AZBLOB_CANCELLED:
		return cli_interrupted_code();
	}
	switch (error->http_status) {
	case 404:
		/* The transfer's own handle, lost in a restart of the host: the blob may well be
		 * there. */
		if (!strcmp(error->code, "HandleNotFound"))
			return EXIT_FAILED;
		return EXIT_NOT_FOUND;
	case 401:
	case 403:
		return EXIT_DENIED;
	case 409:
	case 412:
		return EXIT_CONFLICT;
	}
	return EXIT_FAILED;
}

int cli_report(const char *what, const struct azblob_error *error)
{
	/* Everything that a signal ended would say so: the user knows. */
	if (error->kind == AZBLOB_CANCELLED && !error->outcome_unknown)
		return code_of(error);
	if (what)
		cli_error("%s: %s", what, error->message);
	else
		cli_error("%s", error->message);
	return code_of(error);
}

int cli_worse(int so_far, int code)
{
	return so_far ? so_far : code;
}

/* ---- JSON ---- */

void cli_output_lock(void)
{
	pthread_mutex_lock(&output_lock);
}

void cli_output_unlock(void)
{
	pthread_mutex_unlock(&output_lock);
}

/* Bytes that are no UTF-8 (file names) become U+FFFD, so that the line always parses. */
static size_t utf8_length(const unsigned char *s)
{
	static const unsigned char least[5] = { 0, 0, 0x80, 0xa0, 0x90 };
	size_t length = s[0] < 0x80                    ? 1
			: s[0] >= 0xc2 && s[0] <= 0xdf ? 2
			: (s[0] & 0xf0) == 0xe0        ? 3
			: s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
						       : 0;

	for (size_t i = 1; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 || s[0] == 0xf0) && s[1] < least[length])
		return 0;
	if ((s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return length;
}

static void quoted(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	putchar('"');
	while (*s) {
		size_t length = utf8_length(s);

		if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			printf("\\u%04x", *s);
		else if (!length)
			fputs("\\ufffd", stdout);
		else
			fwrite(s, 1, length, stdout);
		s += length ? length : 1;
	}
	putchar('"');
}

static void field(const char *name)
{
	if (need_comma)
		putchar(',');
	need_comma = true;
	quoted(name);
	putchar(':');
}

void cli_json_begin(void)
{
	putchar('{');
	need_comma = false;
}

void cli_json_string(const char *name, const char *value)
{
	field(name);
	quoted(value);
}

void cli_json_number(const char *name, uint64_t value)
{
	field(name);
	printf("%llu", (unsigned long long)value);
}

void cli_json_real(const char *name, double value)
{
	field(name);
	printf("%.6f", value);
}

void cli_json_bool(const char *name, bool value)
{
	field(name);
	fputs(value ? "true" : "false", stdout);
}

void cli_json_object(const char *name)
{
	field(name);
	putchar('{');
	need_comma = false;
}

void cli_json_object_end(void)
{
	putchar('}');
	need_comma = true;
}

void cli_json_end(void)
{
	fputs("}\n", stdout);
	fflush(stdout);
}

void cli_print_name(const char *name)
{
	static int terminal = -1;

	if (terminal < 0)
		terminal = isatty(STDOUT_FILENO);
	for (; *name; name++)
		putchar(terminal && ((unsigned char)*name < 0x20 || *name == 0x7f) ? '?' : *name);
}

/* errno of the first write to standard output that failed, or 0. */
static int output_errno;

bool cli_output_ok(void)
{
	if (ferror(stdout) && !output_errno)
		output_errno = errno ? errno : EIO;
	return !output_errno;
}

int cli_close_output(void)
{
	if (cli_output_ok() && (fflush(stdout) || (close(STDOUT_FILENO) && errno != EBADF)))
		output_errno = errno;
	/* A reader that has seen enough (head) is no failure. */
	if (!output_errno || output_errno == EPIPE)
		return EXIT_OK;
	cli_error("writing the output failed: %s", strerrordesc_np(output_errno));
	return EXIT_LOCAL;
}
