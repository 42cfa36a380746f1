// SPDX-License-Identifier: MIT
/* azblob: Azure Blob Storage from the command line.  See azblob(1). */
#include "cli.h"

int main(int argc, char **argv)
{
	struct cli cli;
	int code;

	cli_parse(&cli, argc, argv);
	cli_signals_start();
	code = cli_run(&cli);
	azblob_close(cli.conn);
	cli_free(&cli);
	cli_signals_done();
	if (cli_interrupted())
		code = cli_interrupted_code();
	return cli_worse(code, cli_close_output());
}
	cli_signals_conn(NULL);
