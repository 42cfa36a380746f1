// SPDX-License-Identifier: MIT
/*
 * azblob bench: reads and writes of this machine, by the driver and by HTTP.  The ways take turns
 * within each round, so that what else the machine does falls on both; figures are medians of
 * the rounds, ratios are taken within a round.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define MAX_ROUNDS 100
/* What all workers together may hold. */
#define MAX_MEMORY (UINT64_C(8) << 30)

enum {
	WAY_DRIVER,
	WAY_HTTP,
	WAYS
};
enum {
	TEST_READ,
	TEST_WRITE,
	TESTS
};

static const char *const way_names[WAYS] = { "driver", "http" };
static const char *const test_names[TESTS] = { "read", "write" };

/* One way of one test, over all rounds. */
struct cell {
	double rate[MAX_ROUNDS]; /* MB/s */
	double *latency;
	size_t count;
};

struct bench {
	struct cli *cli;
	char container[64];
	bool way[WAYS];
	bool test[TESTS];
	struct cell cell[TESTS][WAYS];
	int code; /* of preparing; under the output lock */
};

/* ---- figures ---- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Of sorted values: the least one that so many hundredths are not above. */
static double percentile(const double *sorted, size_t count, unsigned int hundredths)
{
	size_t rank = (count * hundredths + 99) / 100;

	return count ? sorted[rank ? rank - 1 : 0] : 0;
}

static double median(const double *values, size_t count, double *least, double *most)
{
	double sorted[MAX_ROUNDS];

	memcpy(sorted, values, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), compare);
	*least = sorted[0];
	*most = sorted[count - 1];
	return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

static void keep(struct cell *cell, unsigned int round, const struct bench_run *run, size_t size)
{
	double *grown = reallocarray(cell->latency, cell->count + run->count, sizeof(*grown));

	if (!grown)
		abort();
	memcpy(grown + cell->count, run->latency, run->count * sizeof(*grown));
	cell->latency = grown;
	cell->count += run->count;
	cell->rate[round] = (double)run->count * (double)size / 1e6 / run->seconds;
}

/* ---- output ---- */

static void json_cell(const struct bench *bench, unsigned int test, unsigned int way)
{
	const struct cli *cli = bench->cli;
	const struct cell *cell = &bench->cell[test][way];
	double least, most;
	double rate = median(cell->rate, cli->rounds, &least, &most);

	cli_json_begin();
	cli_json_string("op", "bench");
	cli_json_string("test", test_names[test]);
	cli_json_string("via", way_names[way]);
	cli_json_number("size", cli->size);
	cli_json_number("processes", cli->processes);
	cli_json_number("threads", cli->threads);
	cli_json_number("rounds", cli->rounds);
	cli_json_number("requests", cell->count);
	cli_json_real("mb_per_s", rate);
	cli_json_real("mb_per_s_min", least);
	cli_json_real("mb_per_s_max", most);
	cli_json_real("requests_per_s", rate * 1e6 / (double)cli->size);
	cli_json_real("p50_ms", 1e3 * percentile(cell->latency, cell->count, 50));
	cli_json_real("p90_ms", 1e3 * percentile(cell->latency, cell->count, 90));
	cli_json_real("p99_ms", 1e3 * percentile(cell->latency, cell->count, 99));
	cli_json_real("max_ms", 1e3 * percentile(cell->latency, cell->count, 100));
	cli_json_end();
}

static void show_cell(const struct bench *bench, unsigned int test, unsigned int way)
{
	const struct cli *cli = bench->cli;
	const struct cell *cell = &bench->cell[test][way];
	double least, most;
	double rate = median(cell->rate, cli->rounds, &least, &most);

	printf("%-6s %-7s %9.1f %9.1f %9.1f %9.0f %8.2f %8.2f %8.2f %8.2f\n", test_names[test],
	       way_names[way], rate, least, most, rate * 1e6 / (double)cli->size,
	       1e3 * percentile(cell->latency, cell->count, 50),
	       1e3 * percentile(cell->latency, cell->count, 90),
	       1e3 * percentile(cell->latency, cell->count, 99),
	       1e3 * percentile(cell->latency, cell->count, 100));
}

static void show_ratio(const struct bench *bench, unsigned int test)
{
	const struct cell *cell = bench->cell[test];
	double ratio[MAX_ROUNDS];
	double least, most, middle;

	for (unsigned int i = 0; i < bench->cli->rounds; i++)
		ratio[i] = cell[WAY_DRIVER].rate[i] / cell[WAY_HTTP].rate[i];
	middle = median(ratio, bench->cli->rounds, &least, &most);
	if (bench->cli->json) {
		cli_json_begin();
		cli_json_string("op", "bench");
		cli_json_string("test", test_names[test]);
		cli_json_string("ratio", "driver/http");
		cli_json_real("median", middle);
		cli_json_real("min", least);
		cli_json_real("max", most);
		cli_json_end();
	} else {
		printf("%-6s driver is %.2f times http (%.2f to %.2f)\n", test_names[test], middle,
		       least, most);
	}
}

static void show(struct bench *bench)
{
	const struct cli *cli = bench->cli;
	char size[16];

	cli_human(cli->size, size);
	if (!cli->json)
		printf("%s, %u processes of %u threads, %u rounds of %u requests each\n\n"
		       "%-6s %-7s %9s %9s %9s %9s %8s %8s %8s %8s\n",
		       size, cli->processes, cli->threads, cli->rounds, cli->requests, "test",
		       "via", "MB/s", "least", "most", "req/s", "p50 ms", "p90 ms", "p99 ms",
		       "max ms");
	for (unsigned int test = 0; test < TESTS; test++) {
		for (unsigned int way = 0; bench->test[test] && way < WAYS; way++) {
			struct cell *cell = &bench->cell[test][way];

			if (!bench->way[way])
				continue;
			qsort(cell->latency, cell->count, sizeof(double), compare);
			if (cli->json)
				json_cell(bench, test, way);
			else
				show_cell(bench, test, way);
		}
		if (bench->test[test] && bench->way[WAY_DRIVER] && bench->way[WAY_HTTP])
			show_ratio(bench, test);
	}
}

/* ---- rounds ---- */

static int run_cell(struct bench *bench, unsigned int round, unsigned int test, unsigned int way)
{
	struct cli *cli = bench->cli;
	struct bench_load load = {
		.cli = cli,
		.container = bench->container,
		.way = way == WAY_DRIVER ? AZBLOB_TRANSPORT_DRIVER : AZBLOB_TRANSPORT_HTTP,
		.writes = test == TEST_WRITE,
		.processes = cli->processes,
		.threads = cli->threads,
		.requests = cli->requests,
		.size = (size_t)cli->size,
	};
	struct bench_run run;
	int code = bench_run(&load, &run);

	if (code)
		return code;
	keep(&bench->cell[test][way], round, &run, load.size);
	free(run.latency);
	if (cli->verbose)
		cli_note(cli, "round %u of %u, %s, %s: %.1f MB/s", round + 1, cli->rounds,
			 test_names[test], way_names[way], bench->cell[test][way].rate[round]);
	return EXIT_OK;
}

static int run_rounds(struct bench *bench)
{
	int code = EXIT_OK;

	for (unsigned int round = 0; round < bench->cli->rounds; round++)
		for (unsigned int test = 0; test < TESTS; test++)
			for (unsigned int i = 0; !code && bench->test[test] && i < WAYS; i++) {
				/* The first one of a round is not always the same. */
				unsigned int way = (i + round) % WAYS;

				if (bench->way[way])
					code = run_cell(bench, round, test, way);
			}
	return code;
}

/* ---- before and after ---- */

static void prepare_one(void *context, size_t index)
{
	struct bench *bench = context;
	size_t size = (size_t)bench->cli->size;
	char *data = malloc(size);
	struct azblob_error error;
	char name[32];

	if (!data)
		abort();
	bench_fill((unsigned int)index, data, size);
	bench_blob_name((unsigned int)index, name);
	if (azblob_put_blob(bench->cli->conn, bench->container, name, data, size, NULL, NULL,
			    &error)) {
		cli_output_lock();
		bench->code = cli_worse(bench->code, cli_report(name, &error));
		cli_output_unlock();
	}
	free(data);
}

static int end(struct bench *bench)
{
	struct azblob_error error;

	/* Also after a signal. */
	cli_signals_conn(NULL);
	if (!azblob_container_delete(bench->cli->conn, bench->container, &error))
		return EXIT_OK;
	cli_error("the container %s could not be deleted", bench->container);
	return cli_report(bench->container, &error);
}

static int begin(struct bench *bench)
{
	struct cli *cli = bench->cli;
	struct azblob_error error;
	uint64_t number = 0;
	int code = cli_connect(cli);

	if (code)
		return code;
	bench->way[WAY_DRIVER] = azblob_conn_transport(cli->conn) == AZBLOB_TRANSPORT_DRIVER;
	bench->way[WAY_HTTP] = cli->transport != AZBLOB_TRANSPORT_DRIVER;
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		abort();
	snprintf(bench->container, sizeof(bench->container), "azblob-bench-%016llx",
		 (unsigned long long)number);
	if (!azblob_container_create(cli->conn, bench->container, &error))
		return EXIT_OK;
	code = cli_report(bench->container, &error);
	/* Most likely it is there. */
	if (error.outcome_unknown)
		end(bench);
	return code;
}
static int check(const struct cli *cli)
{
	uint64_t workers = (uint64_t)cli->processes * cli->threads;

	if (cli->arguments) {
		cli_error("bench takes no names: it makes a container and deletes it");
		return EXIT_USAGE;
	}
	if (workers * cli->size > MAX_MEMORY) {
		cli_error("bench: %llu workers with %llu bytes each are more than 8 GiB",
			  (unsigned long long)workers, (unsigned long long)cli->size);
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

int cli_bench(struct cli *cli)
{
	struct bench bench = { .cli = cli };
	int code = check(cli);

	if (code)
		return code;
	bench.test[TEST_READ] = strcmp(cli->test, "write") != 0;
	bench.test[TEST_WRITE] = strcmp(cli->test, "read") != 0;
	/* A container is not to be left behind. */
	cli_signals_grace(60);
	code = begin(&bench);
	if (code)
		return code;
	cli_for_each((size_t)cli->processes * cli->threads, cli->parallel, prepare_one, &bench);
	code = bench.code;
	if (!code)
		code = run_rounds(&bench);
	/* Also after a failure or a signal: it is nobody else's. */
	code = cli_worse(code, end(&bench));
	if (!code)
		show(&bench);
	for (unsigned int i = 0; i < TESTS; i++)
		for (unsigned int k = 0; k < WAYS; k++)
			free(bench.cell[i][k].latency);
	return code;
}
