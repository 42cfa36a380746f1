// SPDX-License-Identifier: MIT
/*
 * agent - runs commands in a test guest for a test on the host
 *
 * usage: agent [PORT]
 *
 * It talks on a virtio-serial port (the one named azblob.agent, or PORT) so that
 * exit status and output arrive exactly, apart from whatever the kernel prints on
 * the console.  It may be process 1: it then also reaps what its commands leave.
 *
 * Every frame is a struct frame and then its payload, little-endian.  Frames of
 * one command carry the id that the host chose in RUN.
 *
 *   host                                    agent
 *                                           HELLO  at start; payload: the boot id
 *   RUN     payload: struct run, argv,      STARTED  arg: pid
 *           env and stdin                   OUT    arg: 1 or 2; payload: bytes
 *                                           EXIT   arg: wait status; payload: u32,
 *                                                  1 when the time-out ended it
 *   SIGNAL  arg: number, to the command's   (none)
 *           whole process group
 *   PUT     arg: mode, APPEND; payload:     DONE   arg: errno
 *           path, 0, bytes
 *   PING                                    DONE
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAGIC 0x47415a41u /* "AZAG" */
#define MAX_PAYLOAD (64u << 20)
#define MAX_COMMANDS 512
#define MAX_STRINGS 1024
#define PORT_NAME "azblob.agent"

enum frame_type {
	RUN = 1,
	SIGNAL = 2,
	PUT = 3,
	PING = 4,
	HELLO = 101,
	STARTED = 102,
	OUT = 103,
	EXIT = 104,
	DONE = 105,
};

#define PUT_APPEND 0x80000000u

struct frame {
	uint32_t magic;
	uint32_t type;
	uint64_t id;
	uint32_t length; /* bytes of payload */
	uint32_t arg;
};

struct run {
	uint32_t argc;
	uint32_t envc;
	uint32_t stdin_length;
	uint32_t timeout_ms; /* 0: none */
};

struct command {
	uint64_t id;
	pid_t pid;         /* 0: free */
	int out[2];        /* what it writes to 1 and 2; -1 at the end */
	uint64_t deadline; /* ms, 0: none */
	bool timed_out;
};

static struct command commands[MAX_COMMANDS];
static int port = -1;

static void fail(const char *what)
{
	fprintf(stderr, "agent: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* Opens the port by its name in sysfs: there is no udev to make links. */
static int open_port(void)
{
	const char *base = "/sys/class/virtio-ports";
	DIR *dir = opendir(base);
	struct dirent *entry;
	int fd = -1;

	while (dir && fd < 0 && (entry = readdir(dir))) {
		char path[512], name[64] = "";
		FILE *file;

		snprintf(path, sizeof(path), "%s/%s/name", base, entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (!fgets(name, sizeof(name), file))
			name[0] = '\0';
		fclose(file);
		name[strcspn(name, "\n")] = '\0';
		if (strcmp(name, PORT_NAME) != 0)
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (dir)
		closedir(dir);
	return fd;
}

static void write_all(const void *data, size_t length)
{
	const char *p = data;

	while (length) {
		ssize_t n = write(port, p, length);

		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			/* Nobody listens at the other end at the moment. */
			pause_ms(5);
			continue;
		}
		if (n < 0)
			fail("write to the port");
		p += n;
		length -= (size_t)n;
	}
}

/* Returns false when the other end has gone. */
static bool read_all(void *data, size_t length)
{
	char *p = data;

	while (length) {
		ssize_t n = read(port, p, length);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			fail("read from the port");
		if (n == 0)
			return false;
		p += n;
		length -= (size_t)n;
	}
	return true;
}

static void send_frame(uint32_t type, uint64_t id, uint32_t arg, const void *data, size_t length)
{
	struct frame frame = {
		.magic = FRAME_MAGIC,
		.type = type,
		.id = id,
		.length = (uint32_t)length,
		.arg = arg,
	};

	write_all(&frame, sizeof(frame));
	write_all(data, length);
}

static void send_hello(void)
{
	char boot_id[64] = "";
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, boot_id, sizeof(boot_id) - 1);

	if (fd >= 0)
		close(fd);
	send_frame(HELLO, 0, 1, boot_id, n > 0 ? (size_t)n : 0);
}

static struct command *find_command(uint64_t id)
{
	for (int i = 0; i < MAX_COMMANDS; i++) {
		if (commands[i].pid && commands[i].id == id)
			return &commands[i];
	}
	return NULL;
}

/* Splits count strings off *data; false when they are not all there. */
static bool take_strings(char **data, char *end, uint32_t count, char **out)
{
	for (uint32_t i = 0; i < count; i++) {
		char *zero = *data < end ? memchr(*data, 0, (size_t)(end - *data)) : NULL;

		if (!zero)
			return false;
		out[i] = *data;
		*data = zero + 1;
	}
	out[count] = NULL;
	return true;
}

/* A file in memory as standard input: nothing has to be pumped. */
static int stdin_file(const char *data, size_t length)
{
	int fd;

	if (!length)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	fd = memfd_create("stdin", MFD_CLOEXEC);
	while (fd >= 0 && length) {
		ssize_t n = write(fd, data, length);

		if (n < 0)
			fail("write to a memfd");
		data += n;
		length -= (size_t)n;
	}
	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	return fd;
}

static void run_child(char **argv, char **env, int in, int out, int err)
{
	sigset_t none;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	for (; *env; env++)
		putenv(*env);
	execvp(argv[0], argv);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static void start_command(uint64_t id, char *payload, uint32_t length)
{
	static char *argv[MAX_STRINGS + 1], *env[MAX_STRINGS + 1];
	char *p = payload + sizeof(struct run), *end = payload + length;
	struct command *command = NULL;
	int out[2], err[2], in;
	struct run run;

	if (length < sizeof(run)) {
		send_frame(DONE, id, EINVAL, NULL, 0);
		return;
	}
	memcpy(&run, payload, sizeof(run));
	for (int i = 0; i < MAX_COMMANDS && !command; i++) {
		if (!commands[i].pid)
			command = &commands[i];
	}
	if (!command || find_command(id)) {
		send_frame(DONE, id, command ? EEXIST : EAGAIN, NULL, 0);
		return;
	}
	if (!run.argc || run.argc > MAX_STRINGS || run.envc > MAX_STRINGS ||
	    !take_strings(&p, end, run.argc, argv) || !take_strings(&p, end, run.envc, env) ||
	    (size_t)(end - p) != run.stdin_length) {
		send_frame(DONE, id, EINVAL, NULL, 0);
		return;
	}
	in = stdin_file(p, run.stdin_length);
	if (in < 0 || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		fail("descriptors for a command");
	command->pid = fork();
	if (command->pid < 0)
		fail("fork");
	if (!command->pid)
		run_child(argv, env, in, out[1], err[1]);
	close(in);
	close(out[1]);
	close(err[1]);
	command->id = id;
	command->out[0] = out[0];
	command->out[1] = err[0];
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	command->deadline = run.timeout_ms ? now_ms() + run.timeout_ms : 0;
	command->timed_out = false;
	send_frame(STARTED, id, (uint32_t)command->pid, NULL, 0);
}

/* Forwards what is there on stream 0 (stdout) or 1; at most one buffer's worth
 * unless to_end.
 */
static void forward_output(struct command *command, int stream, bool to_end)
{
	static char buffer[65536];

	do {
		ssize_t n;

		if (command->out[stream] < 0)
			return;
		n = read(command->out[stream], buffer, sizeof(buffer));
		if (n < 0)
			return;
		if (n == 0) {
			close(command->out[stream]);
			command->out[stream] = -1;
			return;
		}
		send_frame(OUT, command->id, (uint32_t)stream + 1, buffer, (size_t)n);
	} while (to_end);
}

static void reap(void)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (int i = 0; i < MAX_COMMANDS; i++) {
			struct command *command = &commands[i];
			uint32_t timed_out;

			if (command->pid != pid)
				continue;
			for (int stream = 0; stream < 2; stream++) {
				forward_output(command, stream, true);
				/* A child it left behind may still hold the pipe. */
				if (command->out[stream] >= 0)
					close(command->out[stream]);
			}
			timed_out = command->timed_out;
			command->pid = 0;
			send_frame(EXIT, command->id, (uint32_t)status, &timed_out,
				   sizeof(timed_out));
		}
	}
}

static void put_file(uint64_t id, uint32_t arg, char *payload, uint32_t length)
{
	char *zero = memchr(payload, 0, length);
	char *data;
	int append = arg & PUT_APPEND ? O_APPEND : O_TRUNC;
	int fd, error = 0;
	size_t left;

	if (!zero) {
		send_frame(DONE, id, EINVAL, NULL, 0);
		return;
	}
	data = zero + 1;
	left = (size_t)(payload + length - data);
	fd = open(payload, O_WRONLY | O_CREAT | O_CLOEXEC | append, arg & 07777);
	if (fd < 0)
		error = errno;
	while (!error && left) {
		ssize_t n = write(fd, data, left);

		if (n < 0) {
			error = errno;
		} else {
			data += n;
			left -= (size_t)n;
		}
	}
	if (fd >= 0 && close(fd) && !error)
		error = errno;
	send_frame(DONE, id, (uint32_t)error, NULL, 0);
}

static void serve_frame(void)
{
	struct command *command;
	struct frame frame;
	char *payload;

	if (!read_all(&frame, sizeof(frame)))
		return;
	if (frame.magic != FRAME_MAGIC || frame.length > MAX_PAYLOAD) {
		errno = EPROTO;
		fail("frame");
	}
	payload = malloc((size_t)frame.length + 1);
	if (!payload)
		fail("memory for a frame");
	if (!read_all(payload, frame.length)) {
		free(payload);
		return;
	}
	switch (frame.type) {
	case RUN:
		start_command(frame.id, payload, frame.length);
		break;
	case SIGNAL:
		command = find_command(frame.id);
		if (command)
			kill(-command->pid, (int)frame.arg);
		break;
	case PUT:
		put_file(frame.id, frame.arg, payload, frame.length);
		break;
	case PING:
		send_frame(DONE, frame.id, 0, NULL, 0);
		break;
	default:
		errno = EPROTO;
		fail("frame type");
	}
	free(payload);
}

/* Ends what is overdue; returns ms until the next deadline, -1 for none. */
static int check_deadlines(void)
{
	uint64_t now = now_ms();
	int wait = -1;

	for (int i = 0; i < MAX_COMMANDS; i++) {
		struct command *command = &commands[i];

		if (!command->pid || !command->deadline || command->timed_out)
			continue;
		if (command->deadline <= now) {
			command->timed_out = true;
			kill(-command->pid, SIGKILL);
		} else if (wait < 0 || command->deadline - now < (uint64_t)wait) {
			wait = (int)(command->deadline - now);
		}
	}
	return wait;
}

static void serve(int signals)
{
	static struct pollfd fds[2 + 2 * MAX_COMMANDS];
	static int owner[2 + 2 * MAX_COMMANDS];
	nfds_t count = 2;
	int wait;

	wait = check_deadlines();
	fds[0] = (struct pollfd){ .fd = port, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = signals, .events = POLLIN };
	for (int i = 0; i < 2 * MAX_COMMANDS; i++) {
		if (!commands[i / 2].pid || commands[i / 2].out[i % 2] < 0)
			continue;
		fds[count] = (struct pollfd){ .fd = commands[i / 2].out[i % 2], .events = POLLIN };
		owner[count++] = i;
	}
	if (poll(fds, count, wait) < 0 && errno != EINTR)
		fail("poll");
	for (nfds_t i = 2; i < count; i++) {
		if (fds[i].revents)
			forward_output(&commands[owner[i] / 2], owner[i] % 2, false);
	}
	if (fds[1].revents) {
		struct signalfd_siginfo info;

		(void)!read(signals, &info, sizeof(info));
		reap();
	}
	if (fds[0].revents & POLLIN)
		serve_frame();
	else if (fds[0].revents & POLLHUP)
		pause_ms(20); /* the host is not connected, and nothing will say when it is */
}

int main(int argc, char **argv)
{
	sigset_t set;
	int signals;

	if (argc > 2) {
		fprintf(stderr, "usage: agent [PORT]\n");
		return 2;
	}
	/* The port shows up some time after its driver was loaded. */
	for (int tries = 0; port < 0 && tries < 3000; tries++) {
		port = argc == 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : open_port();
		if (port < 0)
			pause_ms(10);
	}
	if (port < 0)
		fail("no port " PORT_NAME);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals < 0)
		fail("signalfd");
	send_hello();
	for (;;)
		serve(signals);
}
