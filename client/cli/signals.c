// SPDX-License-Identifier: MIT
/*
 * One thread takes the signals.  The first one ends the requests that are under way, wherever they
 * are, and asks the transfers to stop, which remove their temporary files, drop their handles, and
 * let main() return.  Some can't be ended (at a host of protocol 1, a probe), and a file or a name
 * may hang in the system: after a grace, or at a second signal, the thread removes the temporary
 * files itself and ends the program.
 */
#include "cli.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define GRACE_SECONDS 10
/* A call that began just after a look, with one from before it, is ended at the next. */
#define LOOK_MS 500
#define MAX_TEMPS 128

static atomic_int caught;
static int caught_event = -1; /* an eventfd, readable once something was caught */
static atomic_bool done;
static atomic_int grace_seconds = GRACE_SECONDS;

static pthread_mutex_t conn_lock = PTHREAD_MUTEX_INITIALIZER; /* protects conn */
static azblob_conn *conn;

static pthread_mutex_t temp_lock = PTHREAD_MUTEX_INITIALIZER; /* protects temps */
static struct {
	int directory;
	char *name; /* NULL: free */
} temps[MAX_TEMPS];

int cli_temp_register(int directory, const char *name)
{
	int slot = -1;

	pthread_mutex_lock(&temp_lock);
	for (int i = 0; i < MAX_TEMPS && slot < 0; i++) {
		if (temps[i].name)
			continue;
		temps[i].directory = directory;
		temps[i].name = strdup(name);
		if (temps[i].name)
			slot = i;
	}
	pthread_mutex_unlock(&temp_lock);
	return slot;
}

void cli_temp_forget(int slot)
{
	if (slot < 0)
		return;
	pthread_mutex_lock(&temp_lock);
	free(temps[slot].name);
	temps[slot].name = NULL;
	pthread_mutex_unlock(&temp_lock);
}

bool cli_interrupted(void)
{
	return atomic_load(&caught);
}

int cli_interrupt_fd(void)
{
	return caught_event;
}

int cli_interrupted_code(void)
{
	int number = atomic_load(&caught);

	return number ? 128 + number : EXIT_INTERRUPTED;
}

static void end_now(void)
{
	/* Kept: a transfer that still runs must not rename what is removed here. */
	pthread_mutex_lock(&temp_lock);
	for (int i = 0; i < MAX_TEMPS; i++)
		if (temps[i].name)
			unlinkat(temps[i].directory, temps[i].name, 0);
	_exit(cli_interrupted_code());
}

/* Those that were not ignored at the start: nohup and a shell's background jobs mean it. */
static sigset_t handled;

static void choose_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction before;

	sigemptyset(&handled);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!sigaction(numbers[i], NULL, &before) && before.sa_handler != SIG_IGN)
			sigaddset(&handled, numbers[i]);
}

void cli_signals_conn(azblob_conn *given)
{
	pthread_mutex_lock(&conn_lock);
	conn = given;
	pthread_mutex_unlock(&conn_lock);
}

static void interrupt(void)
{
	pthread_mutex_lock(&conn_lock);
	if (conn)
		azblob_interrupt(conn);
	pthread_mutex_unlock(&conn_lock);
}

static void *signal_main(void *data)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	int looks;
	int number;

	(void)data;
	if (sigwait(&handled, &number))
		return NULL;
	atomic_store(&caught, number);
	eventfd_write(caught_event, 1);
	/* Until a second signal, or the end of the grace. */
	looks = atomic_load(&grace_seconds) * 1000 / LOOK_MS;
	do {
		interrupt();
	} while (sigtimedwait(&handled, NULL, &pause) < 0 && --looks > 0);
	if (!atomic_load(&done))
		end_now();
	return NULL;
}

void cli_signals_start(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	pthread_t thread;

	/* Writing to a closed pipe becomes EPIPE, which is reported where it matters. */
	sigaction(SIGPIPE, &ignore, NULL);
	caught_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	choose_signals();
	pthread_sigmask(SIG_BLOCK, &handled, NULL);
	if (!pthread_create(&thread, NULL, signal_main, NULL))
		pthread_detach(thread);
	else
		pthread_sigmask(SIG_UNBLOCK, &handled, NULL);
}

void cli_signals_grace(int seconds)
{
	atomic_store(&grace_seconds, seconds);
}

void cli_signals_done(void)
{
	atomic_store(&done, true);
}
