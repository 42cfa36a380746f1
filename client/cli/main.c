// SPDX-License-Identifier: MIT
/* azblob: Azure Blob Storage from the command line.  See azblob(1). */
#include "cli.h"

#include <string.h>

static const struct {
	const char *name;
	int (*run)(struct cli *cli);
} commands[] = {
	{ "container", cli_container }, { "put", cli_put }, { "get", cli_get }, { "ls", cli_ls },
	{ "stat", cli_stat },           { "rm", cli_rm },
};

static int run(struct cli *cli)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(cli->command, commands[i].name))
			return commands[i].run(cli);
	cli_error("unknown command \"%s\": container, put, get, ls, stat, rm are known",
		  cli->command);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct cli cli;
	int code;

	cli_parse(&cli, argc, argv);
	cli_signals_start();
	code = run(&cli);
	azblob_close(cli.conn);
	cli_free(&cli);
	cli_signals_done();
	if (cli_interrupted())
		code = cli_interrupted_code();
	return cli_worse(code, cli_close_output());
}
