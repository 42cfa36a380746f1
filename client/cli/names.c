// SPDX-License-Identifier: MIT
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEME "azblob://"

void cli_name_free(struct cli_name *name)
{
	free(name->account);
	free(name->container);
	free(name->blob);
	memset(name, 0, sizeof(*name));
}

int cli_name_parse(const char *text, struct cli_name *name)
{
	const char *rest = text;
	size_t length;

	memset(name, 0, sizeof(*name));
	if (!strncmp(text, SCHEME, strlen(SCHEME))) {
		rest = text + strlen(SCHEME);
		length = strcspn(rest, "/");
		if (!length || !rest[length] || !rest[length + 1])
			goto bad;
		name->account = strndup(rest, length);
		if (!name->account)
			abort();
		rest += length + 1;
	} else if (strstr(text, "://")) {
		goto bad;
	}
	length = strcspn(rest, "/");
	if (!length)
		goto bad;
	name->container = strndup(rest, length);
	rest += length;
	if (*rest)
		rest++;
	name->blob = strdup(rest);
	if (!name->container || !name->blob)
		abort();
	return 0;
bad:
	cli_error("\"%s\": must be azblob://ACCOUNT/CONTAINER[/BLOB] or CONTAINER[/BLOB]", text);
	cli_name_free(name);
	return EXIT_USAGE;
}

int cli_name_for(struct cli *cli, const char *text, struct cli_name *name)
{
	const char *configured = azblob_config_account(cli->config);
	struct azblob_error error;
	int code = cli_name_parse(text, name);

	if (code || !name->account)
		return code;
	if (!configured) {
		if (!azblob_config_set_account(cli->config, name->account, &error))
			return 0;
		code = cli_report(text, &error);
	} else if (strcmp(configured, name->account)) {
		cli_error("\"%s\" is in the account %s, but the key given is for %s", text,
			  name->account, configured);
		code = EXIT_USAGE;
	}
	if (code)
		cli_name_free(name);
	return code;
}

bool cli_safe_path(const char *relative)
{
	while (true) {
		size_t length = strcspn(relative, "/");

		if (!length || length > 255 || (length == 1 && relative[0] == '.') ||
		    (length == 2 && relative[0] == '.' && relative[1] == '.'))
			return false;
		if (!relative[length])
			return true;
		relative += length + 1;
	}
}

char *cli_tree_prefix(const char *blob)
{
	size_t length = strlen(blob);
	char *prefix = malloc(length + 2);

	if (!prefix)
		abort();
	memcpy(prefix, blob, length + 1);
	if (length && blob[length - 1] != '/')
		memcpy(prefix + length, "/", 2);
	return prefix;
}

char *cli_text(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		abort();
	va_end(args);
	return text;
}
