// SPDX-License-Identifier: MIT
/* The bar on a terminal's stderr: bytes, rate, time left. */
#include "cli.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define DRAW_EVERY 0.1 /* seconds */
/* The rate follows what was moved in about this many seconds. */
#define RATE_MEMORY 3.0

static struct {
	pthread_mutex_t lock; /* protects the rest */
	bool shown;           /* there is a terminal to draw on */
	bool drawn;           /* a bar is on the screen */
	const char *verb;
	uint64_t done;
	uint64_t expected;
	double started;
	double last_draw;
	uint64_t last_done;
	double rate;
} bar = { .lock = PTHREAD_MUTEX_INITIALIZER };

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void cli_human(uint64_t bytes, char text[16])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(text, 16, "%u B", (unsigned int)bytes);
		return;
	}
	while (value >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	snprintf(text, 16, "%.1f %s", value, units[unit]);
}

void cli_progress_start(const struct cli *cli, const char *verb)
{
	pthread_mutex_lock(&bar.lock);
	bar.shown = !cli->quiet && !cli->json && isatty(STDERR_FILENO);
	bar.verb = verb;
	bar.done = 0;
	bar.expected = 0;
	bar.started = now();
	bar.last_draw = bar.started;
	bar.last_done = 0;
	bar.rate = 0;
	pthread_mutex_unlock(&bar.lock);
}

static int columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return 80;
	return size.ws_col;
}

static void time_left(char *text, size_t room)
{
	uint64_t left = bar.expected > bar.done ? bar.expected - bar.done : 0;
	double seconds = bar.rate > 0 ? (double)left / bar.rate : 0;

	if (bar.rate <= 0 || seconds > 359999)
		snprintf(text, room, "-:-- left");
	else if (seconds >= 3600)
		snprintf(text, room, "%d:%02d:%02d left", (int)seconds / 3600,
			 (int)seconds / 60 % 60, (int)seconds % 60);
	else
		snprintf(text, room, "%d:%02d left", (int)seconds / 60, (int)(seconds + 0.5) % 60);
}

/* Called with the lock held. */
static void draw(double time)
{
	double passed = time - bar.last_draw;
	double current = (double)(bar.done - bar.last_done) / passed;
	double weight = passed / RATE_MEMORY;
	char done[16], expected[16], rate[16], left[32];
	char line[160];
	char hashes[41];
	int filled = 0;
	int percent = 0;

	if (bar.done < bar.last_done)
		current = 0;
	/* Young transfers: the plain average. */
	if (time - bar.started < RATE_MEMORY)
		bar.rate = (double)bar.done / (time - bar.started);
	else
		bar.rate += (current - bar.rate) * (weight < 1 ? weight : 1);
	if (bar.expected) {
		percent = (int)(100.0 * (double)bar.done / (double)bar.expected);
		filled = percent * 20 / 100;
	}
	percent = percent > 100 ? 100 : percent;
	filled = filled > 20 ? 20 : filled;
	memset(hashes, '.', 20);
	memset(hashes, '#', (size_t)filled);
	hashes[20] = '\0';
	cli_human(bar.done, done);
	cli_human(bar.expected, expected);
	cli_human((uint64_t)bar.rate, rate);
	time_left(left, sizeof(left));
	if (bar.expected)
		snprintf(line, sizeof(line), "%s [%s] %3d%% %s of %s  %s/s  %s", bar.verb, hashes,
			 percent, done, expected, rate, left);
	else
		snprintf(line, sizeof(line), "%s %s  %s/s", bar.verb, done, rate);
	fprintf(stderr, "\r%.*s\033[K", columns() - 1, line);
	fflush(stderr);
	bar.drawn = true;
	bar.last_draw = time;
	bar.last_done = bar.done;
}

void cli_progress_expect(uint64_t bytes)
{
	pthread_mutex_lock(&bar.lock);
	bar.expected += bytes;
	pthread_mutex_unlock(&bar.lock);
}

void cli_progress_add(uint64_t bytes)
{
	double time;

	pthread_mutex_lock(&bar.lock);
	bar.done += bytes;
	if (bar.shown) {
		time = now();
		if (time - bar.last_draw >= DRAW_EVERY)
			draw(time);
	}
	pthread_mutex_unlock(&bar.lock);
}

void cli_progress_clear(void)
{
	pthread_mutex_lock(&bar.lock);
	if (bar.drawn)
		fputs("\r\033[K", stderr);
	bar.drawn = false;
	pthread_mutex_unlock(&bar.lock);
}

double cli_progress_stop(void)
{
	double seconds;

	cli_progress_clear();
	pthread_mutex_lock(&bar.lock);
	bar.shown = false;
	seconds = now() - bar.started;
	pthread_mutex_unlock(&bar.lock);
	return seconds;
}

int cli_meter(void *context, uint64_t done, uint64_t total)
{
	struct cli_meter *meter = context;

	if (meter->size_unknown && total != AZBLOB_SIZE_UNKNOWN && total > meter->expected) {
		cli_progress_expect(total - meter->expected);
		meter->expected = total;
	}
	/* Also without news: a stalled bar must not look alive, nor a slow start frozen. */
	cli_progress_add(done - meter->done);
	meter->done = done;
	return cli_interrupted();
}

void cli_meter_undo(struct cli_meter *meter)
{
	pthread_mutex_lock(&bar.lock);
	bar.done -= meter->done;
	pthread_mutex_unlock(&bar.lock);
	meter->done = 0;
}
