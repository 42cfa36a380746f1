// SPDX-License-Identifier: MIT
/* The command line: as mount helpers have it, everything with a value by -o. */
#include "mount.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCHEME "azblob://"

static const char usage[] =
	"usage: azblob-mount [-f] [-d] [-r] [-v] [-o OPTION[,OPTION...]] SOURCE DIRECTORY\n"
	"\n"
	"Mounts a container of Azure Blob Storage, or what is below a prefix of it.\n"
	"SOURCE: azblob://ACCOUNT/CONTAINER[/PREFIX] or CONTAINER[/PREFIX]\n"
	"Unmount with: fusermount3 -u DIRECTORY, or umount DIRECTORY\n"
	"\n"
	"  -f    stay in the foreground, messages on standard error\n"
	"  -d    the same, and tell of every request\n"
	"  -r    as -o ro\n"
	"  -v    say which way to the service is used\n"
	"\n"
	"  account=NAME, key=BASE64      better: credentials=FILE, or AZURE_STORAGE_ACCOUNT,\n"
	"                                AZURE_STORAGE_KEY, AZURE_STORAGE_CONNECTION_STRING\n"
	"  credentials=FILE              lines NAME=VALUE of those variables\n"
	"  endpoint=URL                  http[s]://HOST[:PORT][/ACCOUNT]\n"
	"  transport=auto|driver|http    auto: the driver where it answers, else HTTP\n"
	"  device=PATH                   the driver's node [/dev/azure_blob]\n"
	"  ca_file=FILE                  authorities to trust for https\n"
	"  timeout=SECONDS               for one request without progress [60]\n"
	"  retries=N                     [4]\n"
	"  parallel=N                    requests under way at once [16]\n"
	"  cache_size=SIZE               memory for blocks and buffers [256M]\n"
	"  block_size=SIZE               of the cache and of uploads, a power of two [4M]\n"
	"  read_ahead=SIZE               of each open file, at most; 0: none [32M]\n"
	"  checksums=auto|always|never   of what is read; auto: not through the driver\n"
	"  attr_timeout=SECONDS          how long names and attributes are trusted [3]\n"
	"  uid=N, gid=N                  owner of all files [who mounts]\n"
	"  file_mode=MODE, dir_mode=MODE [644, 755; 444, 555 with ro]\n"
	"  quiet                         chmod, chown and utimes do nothing instead of failing\n"
	"  ro, allow_other, auto_unmount, and what else libfuse knows\n"
	"\n"
	"Exit: 0 mounted, 1 usage, 2 system, 32 the mount failed.  See azblob-mount(8).\n";

static void usage_error(struct mnt_options *options) __attribute__((noreturn));
static void usage_error(struct mnt_options *options)
{
	mnt_options_free(options);
	fputs("azblob-mount: try azblob-mount --help\n", stderr);
	exit(MNT_EXIT_USAGE);
}

static void bad_value(struct mnt_options *options, const char *name, const char *value,
		      const char *accepted) __attribute__((noreturn));
static void bad_value(struct mnt_options *options, const char *name, const char *value,
		      const char *accepted)
{
	mnt_log(MNT_LOG_ERROR, "%s \"%s\": must be %s", name, value ? value : "", accepted);
	usage_error(options);
}

static void must(struct mnt_options *options, int result, const struct azblob_error *error)
{
	if (!result)
		return;
	mnt_log(MNT_LOG_ERROR, "%s", error->message);
	usage_error(options);
}

static void out_of_memory(void) __attribute__((noreturn));
static void out_of_memory(void)
{
	mnt_log(MNT_LOG_ERROR, "out of memory");
	exit(MNT_EXIT_SYSTEM);
}

static char *copy_of(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		out_of_memory();
	return copy;
}

/* ---- values ---- */

/* "64", "512K", "8M", "1G", up to @high. */
static uint64_t number(struct mnt_options *options, const char *name, const char *text,
		       uint64_t low, uint64_t high, bool units, const char *accepted)
{
	static const char letters[] = "KMG";
	unsigned int shift = 0;
	uint64_t value;
	char *end;

	if (!text || !isdigit((unsigned char)*text))
		bad_value(options, name, text, accepted);
	errno = 0;
	value = strtoull(text, &end, 10);
	if (units && *end) {
		const char *unit = strchr(letters, toupper((unsigned char)*end));

		if (unit) {
			shift = 10 * (unsigned int)(unit - letters + 1);
			end++;
		}
	}
	if (errno || *end || value > high >> shift || value << shift < low)
		bad_value(options, name, text, accepted);
	return value << shift;
}

static mode_t octal(struct mnt_options *options, const char *name, const char *text)
{
	static const char accepted[] = "an octal mode, such as 644";
	unsigned long value;
	char *end;

	if (!text || *text < '0' || *text > '7')
		bad_value(options, name, text, accepted);
	value = strtoul(text, &end, 8);
	if (*end || value > 0777)
		bad_value(options, name, text, accepted);
	return (mode_t)value;
}

static void set_transport(struct mnt_options *options, const char *text)
{
	static const char *const names[] = { "auto", "driver", "http" };
	struct azblob_error error;

	for (size_t i = 0; text && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) != 0)
			continue;
		must(options,
		     azblob_config_set_transport(options->config, (enum azblob_transport)i, &error),
		     &error);
		return;
	}
	bad_value(options, "transport", text, "auto, driver or http");
}

/*
 * The variables of a file count as if they were in the environment, but before those that are.
 * So the file of a systemd unit's EnvironmentFile= will do.
 */
static void read_credentials(struct mnt_options *options, const char *path)
{
	FILE *file = path ? fopen(path, "re") : NULL;
	char *line = NULL;
	size_t room = 0;
	ssize_t length;

	if (!file) {
		mnt_log(MNT_LOG_ERROR, "credentials \"%s\": %s", path ? path : "", strerror(errno));
		usage_error(options);
	}
	while ((length = getline(&line, &room, file)) >= 0) {
		char *value;

		while (length && isspace((unsigned char)line[length - 1]))
			line[--length] = '\0';
		if (!*line || *line == '#')
			continue;
		value = strchr(line, '=');
		if (!value || strncmp(line, "AZURE_STORAGE_", 14) != 0) {
			free(line);
			fclose(file);
			mnt_log(MNT_LOG_ERROR,
				"credentials \"%s\": lines must be AZURE_STORAGE_...=VALUE", path);
			usage_error(options);
		}
		*value++ = '\0';
		/* Quotes as a shell's or systemd's. */
		length = (ssize_t)strlen(value);
		if (length > 1 && (*value == '"' || *value == '\'') &&
		    value[length - 1] == *value) {
			value[length - 1] = '\0';
			value++;
		}
		if (setenv(line, value, 0))
			out_of_memory();
	}
	if (line)
		explicit_bzero(line, room);
	free(line);
	fclose(file);
}

/* ---- -o ---- */

/* To libfuse, which says so when it does not know it either. */
static void hand_on(struct mnt_options *options, const char *text)
{
	if (fuse_opt_add_arg(&options->fuse, "-o") || fuse_opt_add_arg(&options->fuse, text))
		out_of_memory();
}

/* What mount(8) and fstab(5) add for themselves. */
static bool is_for_others(const char *name)
{
	static const char *const names[] = { "defaults", "_netdev", "nofail",  "noauto",
					     "auto",     "user",    "nouser",  "users",
					     "owner",    "group",   "relatime" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return true;
	return !strncmp(name, "x-", 2) || !strncmp(name, "comment", 7);
}

static void set_checksums(struct mnt_options *options, const char *text)
{
	static const char *const names[] = { "auto", "always", "never" };

	for (size_t i = 0; text && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) != 0)
			continue;
		options->checksums = (enum mnt_checksums)i;
		return;
	}
	bad_value(options, "checksums", text, "auto, always or never");
}

/* The options that lead to the service; false when it is none of them. */
static bool connection_option(struct mnt_options *options, const char *name, char *value)
{
	static const struct {
		const char *name;
		int (*set)(azblob_config *config, const char *value, struct azblob_error *error);
	} texts[] = {
		{ "account", azblob_config_set_account },   { "key", azblob_config_set_key },
		{ "endpoint", azblob_config_set_endpoint }, { "device", azblob_config_set_device },
		{ "ca_file", azblob_config_set_ca_file },
	};
	azblob_config *config = options->config;
	struct azblob_error error;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (strcmp(name, texts[i].name) != 0)
			continue;
		if (!value || !*value)
			bad_value(options, name, value, "followed by = and a value");
		must(options, texts[i].set(config, value, &error), &error);
		/* Others can read our command line for as long as we run. */
		if (!strcmp(name, "key"))
			explicit_bzero(value, strlen(value));
		return true;
	}
	if (!strcmp(name, "transport"))
		set_transport(options, value);
	else if (!strcmp(name, "timeout"))
		must(options,
		     azblob_config_set_timeout(config,
					       1000 * (unsigned int)number(options, name, value, 1,
									   3600, false,
									   "1 to 3600 seconds"),
					       &error),
		     &error);
	else if (!strcmp(name, "retries"))
		must(options,
		     azblob_config_set_retries(
			     config,
			     (unsigned int)number(options, name, value, 0, 20, false, "0 to 20"),
			     &error),
		     &error);
	else
		return false;
	return true;
}

static bool size_option(struct mnt_options *options, const char *name, const char *value)
{
	if (!strcmp(name, "cache_size"))
		options->cache_size = (size_t)number(options, name, value, 1 << 20, INT64_MAX, true,
						     "a size of 1M or more, such as 512M");
	else if (!strcmp(name, "block_size"))
		options->block_size = (size_t)number(options, name, value, 256 << 10, 32 << 20,
						     true, "256K, 512K, 1M, 2M, 4M, 8M or 16M");
	else if (!strcmp(name, "read_ahead"))
		options->read_ahead = (size_t)number(options, name, value, 0, UINT64_C(1) << 40,
						     true, "a size, such as 0 or 32M");
	else if (!strcmp(name, "checksums"))
		set_checksums(options, value);
	else if (!strcmp(name, "parallel"))
		options->parallel =
			(unsigned int)number(options, name, value, 1, 64, false, "1 to 64");
	else if (!strcmp(name, "attr_timeout"))
		options->ttl = 1000 * (unsigned int)number(options, name, value, 0, 86400, false,
							   "0 to 86400 seconds");
	else
		return false;
	return true;
}

static bool owner_option(struct mnt_options *options, const char *name, const char *value)
{
	if (!strcmp(name, "uid"))
		options->uid =
			(uid_t)number(options, name, value, 0, UINT32_MAX - 1, false, "a number");
	else if (!strcmp(name, "gid"))
		options->gid =
			(gid_t)number(options, name, value, 0, UINT32_MAX - 1, false, "a number");
	else if (!strcmp(name, "file_mode"))
		options->file_mode = octal(options, name, value);
	else if (!strcmp(name, "dir_mode"))
		options->directory_mode = octal(options, name, value);
	else
		return false;
	return true;
}

static void one_option(struct mnt_options *options, char *text)
{
	char *value = strchr(text, '=');
	char *whole = copy_of(text);

	if (value)
		*value++ = '\0';
	if (!strcmp(text, "quiet"))
		options->quiet = true;
	else if (!strcmp(text, "credentials"))
		; /* before all others; see early_options() */
	else if (!connection_option(options, text, value) && !size_option(options, text, value) &&
		 !owner_option(options, text, value) && !is_for_others(text)) {
		if (!strcmp(text, "ro"))
			options->read_only = true;
		else if (!strcmp(text, "rw"))
			options->read_only = false;
		if (strcmp(text, "rw") != 0)
			hand_on(options, whole);
	}
	explicit_bzero(whole, strlen(whole));
	free(whole);
}

/* "a,b=c": backslashes keep commas, as in libfuse.  Calls @each with every one. */
static void split(struct mnt_options *options, const char *list,
		  void (*each)(struct mnt_options *options, char *text))
{
	char *copy = copy_of(list);
	char *from = copy;
	bool more = true;

	while (more) {
		char *start = from;
		char *to = from;

		while (*from && *from != ',') {
			if (*from == '\\' && from[1])
				from++;
			*to++ = *from++;
		}
		more = *from;
		from++;
		*to = '\0';
		if (*start)
			each(options, start);
	}
	explicit_bzero(copy, strlen(list));
	free(copy);
}

static void early_option(struct mnt_options *options, char *text)
{
	if (!strncmp(text, "credentials=", 12))
		read_credentials(options, text + 12);
	else if (!strcmp(text, "credentials"))
		bad_value(options, text, "", "followed by = and a file");
}

/* ---- the source ---- */

static void set_source(struct mnt_options *options, const char *text)
{
	static const char form[] = "azblob://ACCOUNT/CONTAINER[/PREFIX] or CONTAINER[/PREFIX]";
	const char *configured = azblob_config_account(options->config);
	const char *rest = text;
	struct azblob_error error;
	char *account = NULL;
	size_t length;

	if (!strncmp(text, SCHEME, strlen(SCHEME))) {
		rest += strlen(SCHEME);
		length = strcspn(rest, "/");
		if (!length || !rest[length])
			bad_value(options, "source", text, form);
		account = strndup(rest, length);
		if (!account)
			out_of_memory();
		rest += length + 1;
	}
	length = strcspn(rest, "/");
	if (!length || strstr(rest, "//"))
		bad_value(options, "source", text, form);
	if (account && configured && strcmp(account, configured) != 0) {
		mnt_log(MNT_LOG_ERROR, "\"%s\" is in the account %s, but the key given is for %s",
			text, account, configured);
		free(account);
		usage_error(options);
	}
	if (account && !configured)
		must(options, azblob_config_set_account(options->config, account, &error), &error);
	free(account);
	options->source = copy_of(text);
	options->container = strndup(rest, length);
	rest += length;
	rest += *rest == '/';
	length = strlen(rest);
	options->prefix = calloc(1, length + 2);
	if (!options->container || !options->prefix)
		out_of_memory();
	memcpy(options->prefix, rest, length);
	if (length && rest[length - 1] != '/')
		options->prefix[length] = '/';
}

/* ---- the whole ---- */

static void set_defaults(struct mnt_options *options)
{
	memset(options, 0, sizeof(*options));
	options->uid = getuid();
	options->gid = getgid();
	options->file_mode = 01000;
	options->directory_mode = 01000;
	options->cache_size = (size_t)256 << 20;
	options->block_size = (size_t)4 << 20;
	options->read_ahead = (size_t)32 << 20;
	options->parallel = 16;
	options->ttl = 3000;
	options->config = azblob_config_new();
	if (!options->config || fuse_opt_add_arg(&options->fuse, "azblob-mount"))
		out_of_memory();
}

static void check(struct mnt_options *options)
{
	if (options->block_size & (options->block_size - 1) ||
	    options->block_size > (size_t)16 << 20) {
		mnt_log(MNT_LOG_ERROR, "block_size: must be 256K, 512K, 1M, 2M, 4M, 8M or 16M");
		usage_error(options);
	}
	if (options->cache_size < 4 * options->block_size) {
		mnt_log(MNT_LOG_ERROR, "cache_size: must be at least 4 blocks: %zuK",
			4 * options->block_size >> 10);
		usage_error(options);
	}
	if (options->file_mode == 01000)
		options->file_mode = options->read_only ? 0444 : 0644;
	if (options->directory_mode == 01000)
		options->directory_mode = options->read_only ? 0555 : 0755;
}

static const struct option long_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static const char short_options[] = "o:fdrvswnhV";

/* What has to be known before the others: where the credentials are. */
static void early_options(struct mnt_options *options, int argc, char **argv)
{
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1)
		if (option == 'o')
			split(options, optarg, early_option);
	opterr = 1;
	optind = 0;
}

static void one_argument(struct mnt_options *options, int option)
{
	switch (option) {
	case 'o':
		split(options, optarg, one_option);
		/* Others can read our command line for as long as we run. */
		if (strstr(optarg, "key="))
			explicit_bzero(optarg, strlen(optarg));
		break;
	case 'd':
		options->debug = true;
		options->foreground = true;
		break;
	case 'f':
		options->foreground = true;
		break;
	case 'r':
		options->read_only = true;
		hand_on(options, "ro");
		break;
	case 'v':
		options->verbose = true;
		break;
	case 's': /* sloppy, read-write, no mtab: what mount(8) hands on */
	case 'w':
	case 'n':
		break;
	case 'h':
		fputs(usage, stdout);
		exit(fflush(stdout) ? MNT_EXIT_SYSTEM : MNT_EXIT_OK);
	case 'V':
		printf("azblob-mount %s, libfuse %s\n", azblob_version(), fuse_pkgversion());
		exit(fflush(stdout) ? MNT_EXIT_SYSTEM : MNT_EXIT_OK);
	default:
		usage_error(options);
	}
}

void mnt_parse(struct mnt_options *options, int argc, char **argv)
{
	struct azblob_error error;
	int bad_environment;
	int option;

	set_defaults(options);
	/* getopt's own messages start with argv[0]. */
	argv[0] = (char *)"azblob-mount";
	early_options(options, argc, argv);
	/* First, for options to win; told later, since it is not --help's business. */
	bad_environment = azblob_config_from_environment(options->config, &error);
	while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1)
		one_argument(options, option);
	if (bad_environment) {
		mnt_log(MNT_LOG_ERROR, "environment: %s", error.message);
		usage_error(options);
	}
	if (argc - optind != 2) {
		mnt_log(MNT_LOG_ERROR,
			argc - optind < 2 ? "a source and a directory are needed"
					  : "one source and one directory are all that is taken");
		usage_error(options);
	}
	set_source(options, argv[optind]);
	options->mount_point = realpath(argv[optind + 1], NULL);
	if (!options->mount_point) {
		mnt_log(MNT_LOG_ERROR, "%s: %s", argv[optind + 1], strerror(errno));
		mnt_options_free(options);
		exit(MNT_EXIT_SERVICE);
	}
	check(options);
}

void mnt_options_free(struct mnt_options *options)
{
	azblob_config_free(options->config);
	options->config = NULL;
	fuse_opt_free_args(&options->fuse);
	free(options->source);
	free(options->container);
	free(options->prefix);
	free(options->mount_point);
	options->source = NULL;
	options->container = NULL;
	options->prefix = NULL;
	options->mount_point = NULL;
}
