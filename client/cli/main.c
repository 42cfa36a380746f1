// SPDX-License-Identifier: MIT
/* azblob: Azure Blob Storage from the command line.  See azblob(1). */
#include "cli.h"

#include <fcntl.h>
#include <unistd.h>

/*
 * Nothing that is opened here may take the place of a standard stream that the caller has closed: a
 * file would get our messages.  What stands for it can't be read, or written: an error, rather than
 * an empty blob or lost output.
 */
static void fill_streams(void)
{
	static const int modes[] = { O_WRONLY, O_RDONLY, O_RDWR };

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
			_exit(EXIT_LOCAL);
}

int main(int argc, char **argv)
{
	struct cli cli;
	int code;

	fill_streams();
	cli_parse(&cli, argc, argv);
	cli_signals_start();
	code = cli_run(&cli);
	cli_signals_conn(NULL);
	azblob_close(cli.conn);
	cli_free(&cli);
	cli_signals_done();
	if (cli_interrupted())
		code = cli_interrupted_code();
	return cli_worse(code, cli_close_output());
}
