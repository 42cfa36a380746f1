// SPDX-License-Identifier: MIT
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No configuration is so long; /dev/zero is. */
#define FILE_MAX 65536u

static bool add(struct config *c, char *word)
{
	/* one more: argv ends with a NULL */
	if (c->argc + 1 >= c->room) {
		int room = c->room ? c->room * 2 : 64;
		char **argv = realloc(c->argv, (size_t)room * sizeof(*argv));

		if (!argv)
			return false;
		c->argv = argv;
		c->room = room;
	}
	c->argv[c->argc++] = word;
	c->argv[c->argc] = NULL;
	return true;
}

/* Takes @text over, also when it fails. */
static bool add_text(struct config *c, char *text)
{
	char **more = text ? realloc(c->text, (c->texts + 1) * sizeof(*more)) : NULL;

	if (!more) {
		free(text);
		return false;
	}
	c->text = more;
	c->text[c->texts++] = text;
	return add(c, text);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool out_of_memory(char *error, size_t error_size)
{
	snprintf(error, error_size, "out of memory");
	return false;
}

/* One line without its end. */
static bool add_line(struct config *c, char *line, const char *file, unsigned int number,
		     char *error, size_t error_size)
{
	char *end = line + strlen(line), *value, *name;

	while (is_blank(*line))
		line++;
	while (end > line && is_blank(end[-1]))
		*--end = '\0';
	if (!*line || *line == '#')
		return true;
	value = line + strcspn(line, " \t");
	if (*value)
		*value++ = '\0';
	while (is_blank(*value))
		value++;
	if (line[0] == '-' || strchr(line, '=')) {
		snprintf(error, error_size,
			 "%s:%u: '%.60s': a line is NAME VALUE, as \"http 127.0.0.1:10000\"", file,
			 number, line);
		return false;
	}
	if (!strcmp(line, "config")) {
		snprintf(error, error_size, "%s:%u: a file can't name another one", file, number);
		return false;
	}
	if (asprintf(&name, "--%s", line) < 0 || !add_text(c, name))
		return out_of_memory(error, error_size);
	return !*value || add_text(c, strdup(value)) || out_of_memory(error, error_size);
}

/* All of a file, with a final zero; NULL: one line in @error. */
static char *read_file(const char *path, size_t *length, char *error, size_t error_size)
{
	char *text = malloc(FILE_MAX + 2);
	FILE *file = fopen(path, "re");

	if (!file || !text) {
		snprintf(error, error_size, "--config: %s: %s", path, strerror(errno));
		free(text);
		if (file)
			(void)fclose(file);
		return NULL;
	}
	errno = 0;
	*length = fread(text, 1, FILE_MAX + 1, file);
	if (ferror(file) || *length > FILE_MAX) {
		snprintf(error, error_size, "--config: %s: %s", path,
			 ferror(file) ? strerror(errno) : "it is too long for a file of options");
		free(text);
		text = NULL;
	} else {
		text[*length] = '\0';
	}
	(void)fclose(file);
	return text;
}

static bool add_file(struct config *c, const char *path, char *error, size_t error_size)
{
	unsigned int number = 0;
	size_t length = 0;
	char *text = read_file(path, &length, error, error_size);
	bool good = text;

	for (char *line = text; good && line < text + length;) {
		char *end = memchr(line, '\n', (size_t)(text + length - line));

		if (!end)
			end = text + length;
		*end = '\0';
		number++;
		if (strlen(line) != (size_t)(end - line)) {
			snprintf(error, error_size, "--config: %s:%u: this is no text of options",
				 path, number);
			good = false;
		} else {
			good = add_line(c, line, path, number, error, error_size);
		}
		line = end + 1;
	}
	if (text)
		explicit_bzero(text, length);
	free(text);
	return good;
}

bool config_expand(struct config *c, int argc, char **argv, char *error, size_t error_size)
{
	bool good = true;

	*c = (struct config){ 0 };
	for (int i = 0; i < argc && good; i++) {
		const char *path = NULL;

		if (i && !strcmp(argv[i], "--config")) {
			path = argv[i + 1];
			if (!path) {
				snprintf(error, error_size, "--config: a file is missing");
				return false;
			}
			i++;
		} else if (i && !strncmp(argv[i], "--config=", 9)) {
			path = argv[i] + 9;
		}
		good = path ? add_file(c, path, error, error_size)
			    : add(c, argv[i]) || out_of_memory(error, error_size);
	}
	return good;
}

void config_free(struct config *c)
{
	for (size_t i = 0; i < c->texts; i++) {
		/* keys may be among them */
		explicit_bzero(c->text[i], strlen(c->text[i]));
		free(c->text[i]);
	}
	free(c->text);
	free(c->argv);
}
