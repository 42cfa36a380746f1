/* SPDX-License-Identifier: MIT */
/* What the files of the azblob command share. */
#ifndef AZBLOB_CLI_H
#define AZBLOB_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "azblob.h"

/* Exit codes; azblob.1 documents them. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1, /* the service or the way to it */
	EXIT_USAGE = 2,
	EXIT_NOT_FOUND = 3,
	EXIT_DENIED = 4, /* 401, 403 */
	EXIT_CHECKSUM = 5,
	EXIT_CONFLICT = 6, /* 409, 412 */
	EXIT_LOCAL = 7,    /* a local file, or the output */
	EXIT_INTERRUPTED = 130,
};

/* ---- options (options.c) ---- */

enum cli_resume {
	CLI_RESUME_LARGE, /* transfers of many parts */
	CLI_RESUME_ALWAYS,
	CLI_RESUME_NEVER,
};

enum cli_compare {
	CLI_COMPARE_TIME, /* and size, as in the others */
	CLI_COMPARE_SIZE,
	CLI_COMPARE_HASH,
};

/**
 * struct cli - the command line, taken apart
 * @argument: what follows the command; @arguments of them.
 */
struct cli {
	azblob_config *config;
	bool json;
	bool quiet;
	bool verbose;
	bool recursive;
	bool long_list;
	bool no_clobber;
	bool dry_run;
	enum cli_resume resume;
	enum cli_compare compare;
	bool delete_others;              /* sync --delete */
	enum azblob_transport transport; /* as it was asked for */
	/* of bench */
	unsigned int processes;
	unsigned int threads;
	unsigned int requests;
	unsigned int rounds;
	uint64_t size;
	const char *test; /* "read", "write" or "both" */
	/* of a SAS; NULL: not given */
	const char *permissions;
	const char *start;
	const char *expiry;
	const char *ip;
	const char *policy;
	const char *types;
	bool https_only;
	bool no_wait;
	enum azblob_delete snapshots; /* for ls: not 0: them too */
	unsigned int list_include;    /* enum azblob_include, for cli_walk() */
	int seconds;                  /* -1: not given */
	const char *lease_id;
	const char *tier;
	struct azblob_access access; /* snapshot, lease and condition that were given */
	const char *delimiter;
	const char *content_type;
	uint64_t offset;
	uint64_t length; /* AZBLOB_LENGTH_REST: all */
	unsigned int parallel;
	size_t block_size;
	bool no_checksums;
	struct azblob_pair *metadata;
	size_t metadata_count;
	struct azblob_pair *tags;
	size_t tag_count;
	const char *command;
	char **argument;
	int arguments;
	azblob_conn *conn; /* after cli_connect() */
};

/* Fills @cli or ends the program: help, version, usage errors. */
void cli_parse(struct cli *cli, int argc, char **argv);
void cli_free(struct cli *cli);
/* 0 or an exit code, with a line on stderr; says which way is used where that may surprise. */
int cli_connect(struct cli *cli);
/* Does what the command line says; an exit code. */
int cli_run(struct cli *cli);
/* The text of --help. */
void cli_usage(void);
bool cli_is_command(const char *name);
/* One a line. */
void cli_print_commands(void);
/* "64K", "8M", "1G": false when it is none, or too large. */
bool cli_parse_size(const char *text, uint64_t *size);

/* Room for a time on the command line, its zero included. */
#define CLI_TIME_ROOM 40
/*
 * "30m", "12h", "7d" from @now on, as "2026-01-02T03:04:05Z"; what looks like a time stays as it
 * is. False when it is neither.
 */
bool cli_parse_when(const char *text, time_t now, char when[CLI_TIME_ROOM]);

/* ---- names (names.c) ---- */

/**
 * struct cli_name - azblob://ACCOUNT/CONTAINER/BLOB or CONTAINER/BLOB
 * @account: NULL when the name has none.
 * @blob: "" for the container alone; may end in "/".
 */
struct cli_name {
	char *account;
	char *container;
	char *blob;
};

/* 0, or EXIT_USAGE with a line on stderr. */
int cli_name_parse(const char *text, struct cli_name *name);
void cli_name_free(struct cli_name *name);
/*
 * Parses, and makes the name's account the configuration's when that has none; another account
 * than the configured one is a usage error.
 */
int cli_name_for(struct cli *cli, const char *text, struct cli_name *name);
/*
 * Path below a directory for the part of a blob's name that follows @prefix: false for names
 * that would leave the directory or can't be file names.
 */
bool cli_safe_path(const char *relative);

/*
 * The prefix of a tree: "docs" and "docs/" both mean what is below docs/, never docs2; a
 * container alone means all of it.  The caller's to free.
 */
char *cli_tree_prefix(const char *blob);

/*
 * Where something of cp or sync is: files start with "/" or "." or are "-".  A name that is both is
 * refused, with EXIT_USAGE and a line.
 */
int cli_place(const char *text, bool *local);

/* A new string, by printf()'s rules; ends the program when there is no memory. */
char *cli_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- output (output.c) ---- */

/* One line on stderr, "azblob: " first; clears the progress bar before. */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same unless --quiet. */
void cli_note(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* An error of the library about @what (may be NULL); returns the exit code for it. */
int cli_report(const char *what, const struct azblob_error *error);
/* The worse of two exit codes: the first failure stays. */
int cli_worse(int so_far, int code);

/*
 * JSON lines on stdout: begin, fields, end.  One thread at a time; the caller holds
 * cli_output_lock() where there are several.
 */
void cli_json_begin(void);
void cli_json_string(const char *name, const char *value);
void cli_json_number(const char *name, uint64_t value);
void cli_json_real(const char *name, double value);
void cli_json_bool(const char *name, bool value);
void cli_json_object(const char *name); /* opens a nested object */
void cli_json_object_end(void);
void cli_json_end(void);
void cli_output_lock(void);
void cli_output_unlock(void);
/* A name on stdout: control characters become '?' on a terminal. */
void cli_print_name(const char *name);
/* Whether all that was printed so far went well. */
bool cli_output_ok(void);
/* Flushes and closes stdout; EXIT_LOCAL when something could not be written. */
int cli_close_output(void);

/* ---- progress (progress.c) ---- */

/* The state of a transfer of several files, drawn as a bar when stderr is a terminal. */
void cli_progress_start(const struct cli *cli, const char *verb);
/* Bytes that will be moved, as they become known. */
void cli_progress_expect(uint64_t bytes);
void cli_progress_add(uint64_t bytes);
/* Takes the bar off the screen until it is drawn again. */
void cli_progress_clear(void);
/* Removes the bar; seconds since the start. */
double cli_progress_stop(void);
/* For azblob_*_options: @context is a struct cli_meter of the transfer; cancels on SIGINT. */
struct cli_meter {
	uint64_t done;
	bool size_unknown; /* set by the caller: the transfer's total is not expected yet */
	uint64_t expected;
};
int cli_meter(void *context, uint64_t done, uint64_t total);
/* Takes back what a failed transfer had counted. */
void cli_meter_undo(struct cli_meter *meter);
/* "12.3 MiB" */
void cli_human(uint64_t bytes, char text[16]);

/* ---- signals and temporary files (signals.c) ---- */

/* SIGINT, SIGTERM and SIGHUP become cli_interrupted(), see there; SIGPIPE is ignored. */
void cli_signals_start(void);
/* True after such a signal. */
bool cli_interrupted(void);
/* Readable after such a signal, for poll(); -1 when there is none. */
int cli_interrupt_fd(void);
/* The exit code for it: 130 for SIGINT. */
int cli_interrupted_code(void);
/* What follows a signal may take so long. */
void cli_signals_grace(int seconds);
/*
 * The connection whose calls a signal ends; NULL before it is closed, or where what follows is to
 * be done in any case.
 */
void cli_signals_conn(azblob_conn *conn);
/* The program is about to return from main(): nothing ends it early any more. */
void cli_signals_done(void);
/*
 * Files that must not outlive the program: removed when it is ended by a signal and does not get
 * to it in time.  @directory stays open until cli_temp_forget(), which takes the slot that is
 * returned, or -1 when there is none left.
 */
int cli_temp_register(int directory, const char *name);
void cli_temp_forget(int slot);

/* ---- work on many things (work.c) ---- */

/* Runs @each(@context, 0 .. @count - 1) in up to @threads threads; stops early when interrupted. */
void cli_for_each(size_t count, unsigned int threads, void (*each)(void *context, size_t index),
		  void *context);

/* ---- listing (listing.c) ---- */

/*
 * Calls @each for every entry of all pages; anything but 0 from it ends the walk and is returned.
 * Failures are reported.
 */
int cli_walk(struct cli *cli, const char *container, const char *prefix, const char *delimiter,
	     int (*each)(void *context, const struct azblob_entry *entry), void *context);

/*
 * An empty blob that stands for a directory, as azblob-mount and other Blob file systems make them.
 * The walk must ask for AZBLOB_INCLUDE_METADATA.
 */
bool cli_is_directory_mark(const struct azblob_entry *entry);

/* ---- commands: an exit code ---- */

int cli_container(struct cli *cli);
int cli_put(struct cli *cli);
int cli_get(struct cli *cli);
int cli_ls(struct cli *cli);
int cli_stat(struct cli *cli);
int cli_rm(struct cli *cli);
int cli_cat(struct cli *cli);
int cli_append(struct cli *cli);
int cli_cp(struct cli *cli);
int cli_snapshot(struct cli *cli);
int cli_tags(struct cli *cli);
int cli_lease(struct cli *cli);
int cli_sync(struct cli *cli);
int cli_sas(struct cli *cli);
int cli_bench(struct cli *cli);

#endif /* AZBLOB_CLI_H */
