// SPDX-License-Identifier: MIT
/* The commands there are, and --help. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: azblob [OPTION...] COMMAND ARGUMENT...\n"
	"\n"
	"  put [-r] FILE... DEST           upload; FILE may be - (standard input)\n"
	"  get [-r] NAME... [DEST]         download; DEST may be - (standard output)\n"
	"  cat NAME...                     to standard output\n"
	"  ls [-l] [NAME]                  list blobs whose names start with NAME's\n"
	"  stat NAME...                    show properties\n"
	"  rm [-r] NAME...                 delete blobs\n"
	"  cp [-r] SOURCE... DEST          copy: files start with / or . , others are blobs\n"
	"  sync [-n] SOURCE DEST           make DEST (directory or name) what SOURCE is\n"
	"  append FILE... NAME             add to the end of an append blob\n"
	"  snapshot NAME...                keep what is there now; prints the snapshot's time\n"
	"  tags NAME [TAG=VALUE...|-]      show tags, set them, or remove all (-)\n"
	"  lease acquire|renew|change|release|break NAME\n"
	"  sas [NAME] --expiry WHEN        an address with a SAS, made with the key\n"
	"  bench                           what this machine reads and writes, driver and HTTP\n"
	"  container create|rm NAME..., container ls\n"
	"\n"
	"NAME and DEST: azblob://ACCOUNT/CONTAINER/BLOB or CONTAINER/BLOB\n"
	"\n"
	"  --account NAME, --key BASE64    better: AZURE_STORAGE_ACCOUNT, AZURE_STORAGE_KEY or\n"
	"  --sas TOKEN                     AZURE_STORAGE_CONNECTION_STRING, _SAS_TOKEN\n"
	"  --endpoint URL                  http[s]://HOST[:PORT][/ACCOUNT]\n"
	"  --transport auto|driver|http    auto: the driver where it answers, else HTTP\n"
	"  --device PATH                   the driver's node [/dev/azure_blob]\n"
	"  --ca-file FILE                  authorities to trust for https\n"
	"  --parallel N                    requests under way at once [4]\n"
	"  --block-size SIZE               bytes of one part, such as 512K or 8M [8M]\n"
	"  --timeout SECONDS               for one request without progress [60]\n"
	"  --retries N                     [4]\n"
	"  --no-checksums                  neither send nor check them\n"
	"  -r, --recursive                 directories, or all blobs below a name\n"
	"  --content-type TYPE, --metadata NAME=VALUE, --tag NAME=VALUE, --tier TIER,\n"
	"  --no-clobber                                                    (put, cp, append)\n"
	"  --resume, --no-resume           go on where it was stopped: always, never [if large]\n"
	"  --offset SIZE, --length SIZE                                    (get, cat)\n"
	"  --snapshot TIME                 that one instead of the blob    (get, cat, stat, cp, "
	"rm)\n"
	"  --snapshots, --snapshots-only   with them, or only them         (rm; ls)\n"
	"  --lease ID, --if-match ETAG     what must be so for a change\n"
	"  --no-wait                       don't wait until it is copied   (cp)\n"
	"  --compare time|size|hash, --delete, -n, --dry-run               (sync)\n"
	"  --permissions LETTERS, --expiry WHEN, --start WHEN, --ip RANGE, --https-only,\n"
	"  --policy ID, --types LETTERS                                    (sas)\n"
	"  --size SIZE, --test read|write|both, --processes N, --threads N, --requests N,\n"
	"  --rounds N                                                      (bench)\n"
	"  --seconds N, --id ID            (lease)\n"
	"  -l, --long; --delimiter TEXT                                    (ls)\n"
	"  --json                          one JSON object a line on standard output\n"
	"  -q, --quiet   -v, --verbose   -h, --help   -V, --version\n"
	"\n"
	"Exit: 0 done, 1 service or transport, 2 usage, 3 not found, 4 denied, 5 checksum,\n"
	"6 conflict, 7 local file, 130 interrupted.  See azblob(1).\n";

void cli_usage(void)
{
	fputs(usage, stdout);
}

static const struct {
	const char *name;
	int (*run)(struct cli *cli);
} commands[] = {
	{ "container", cli_container },
	{ "put", cli_put },
	{ "get", cli_get },
	{ "cat", cli_cat },
	{ "ls", cli_ls },
	{ "stat", cli_stat },
	{ "rm", cli_rm },
	{ "cp", cli_cp },
	{ "append", cli_append },
	{ "snapshot", cli_snapshot },
	{ "tags", cli_tags },
	{ "lease", cli_lease },
	{ "sync", cli_sync },
	{ "sas", cli_sas },
	{ "bench", cli_bench },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

bool cli_is_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(name, commands[i].name))
			return true;
	return false;
}

void cli_print_commands(void)
{
	for (size_t i = 0; i < COMMANDS; i++)
		puts(commands[i].name);
}

int cli_run(struct cli *cli)
{
	char names[256] = "";
	size_t used = 0;

	for (size_t i = 0; i < COMMANDS; i++) {
		if (!strcmp(cli->command, commands[i].name))
			return commands[i].run(cli);
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "",
					 commands[i].name);
	}
	cli_error("unknown command \"%s\": %s are known", cli->command, names);
	return EXIT_USAGE;
}
