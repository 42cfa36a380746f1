/* SPDX-License-Identifier: MIT */
/* The HTTP door's clocks: whoever is too slow is cut off, and leaves nothing. */
#include "service_help.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "door/http.h"

#define BLOB "x-ms-blob-type: BlockBlob\r\n"
/* What a door of these tests allows.  Only that the end comes is tested, not when. */
#define SHORT_MS 1000
#define PATIENCE_MS 60000

static struct http_door *door;
static uint16_t port;

static int setup(void **state)
{
	struct http_door_config config = {
		.loops = 2, .head_ms = SHORT_MS, .idle_ms = SHORT_MS, .progress_ms = SHORT_MS
	};
	char bound[HTTP_ADDRESS_ROOM], error[200];
	struct service *s;

	service_setup(state);
	s = *state;
	door = http_door_new(&config, s->svc);
	assert_non_null(door);
	assert_int_equal(http_door_listen(door, "127.0.0.1:0", 0, bound, error, sizeof(error)), 0);
	port = (uint16_t)atoi(strrchr(bound, ':') + 1);
	assert_int_equal(http_door_start(door), 0);
	return 0;
}

static int teardown(void **state)
{
	http_door_close(door, 0);
	return service_teardown(state);
}

static int connect_to_door(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Everything until the door closes; it must.  Returns the bytes, in @text up to @room. */
static size_t until_end(int fd, char *text, size_t room)
{
	size_t total = 0;

	for (;;) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		char bytes[4096];
		ssize_t n;

		if (poll(&ready, 1, PATIENCE_MS) != 1)
			fail_msg("the connection was not closed");
		n = recv(fd, bytes, sizeof(bytes), 0);
		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n && total + (size_t)i + 1 < room; i++)
			text[total + (size_t)i] = bytes[i];
		total += (size_t)n;
	}
	close(fd);
	text[total < room ? total : room - 1] = 0;
	return total;
}

static void send_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void who_says_nothing_is_cut_off(void **state)
{
	char text[16];

	(void)state;
	assert_int_equal(until_end(connect_to_door(), text, sizeof(text)), 0);
}

static void half_a_head_is_cut_off(void **state)
{
	char text[16];
	int fd = connect_to_door();

	(void)state;
	send_text(fd, "GET / HTTP/1.1\r\nHost: ");
	assert_int_equal(until_end(fd, text, sizeof(text)), 0);
}

static void an_idle_connection_is_cut_off_after_its_answer(void **state)
{
	char text[64];
	int fd = connect_to_door();

	(void)state;
	send_text(fd, "GET /none/none HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_true(until_end(fd, text, sizeof(text)) > 100);
	assert_ptr_equal(strstr(text, "HTTP/1.1 401 "), text);
}

static void half_a_body_is_cut_off_and_leaves_nothing(void **state)
{
	struct service *s = *state;
	struct svc_answer *answer;
	char text[64];
	int fd = connect_to_door();

	service_head(s, "PUT", "/cont/half", BLOB "Content-Length: 100\r\n");
	send_text(fd, s->text);
	send_text(fd, "only this");
	assert_int_equal(until_end(fd, text, sizeof(text)), 0);
	answer = service_do(s, "GET", "/cont/half", "", 0);
	assert_int_equal(answer->status, 404);
	svc_answer_put(answer);
}

static void who_does_not_read_is_cut_off(void **state)
{
	struct service *s = *state;
	const size_t length = 64 * 1024 * 1024; /* more than the sockets hold */
	char *bytes = calloc(1, length), lines[96], text[64];
	struct iovec iov = { bytes, length };
	struct svc_caller caller = service_caller(0);
	struct svc_answer *answer;
	struct svc_upload *upload;
	struct pollfd end = { .events = POLLRDHUP };
	int fd = connect_to_door();

	assert_non_null(bytes);
	snprintf(lines, sizeof(lines), BLOB "Content-Length: %zu\r\n", length);
	upload = service_upload(s, "/cont/large", lines);
	assert_int_equal(svc_write(upload, 0, &iov, 1, 0, NULL, NULL), 0);
	assert_int_equal(svc_finish(upload, &caller, &answer), 0);
	assert_int_equal(answer->status, 201);
	svc_answer_put(answer);
	free(bytes);

	service_head(s, "GET", "/cont/large", "");
	close(fd);
	fd = connect_to_door();
	send_text(fd, s->text);
	/* the door's end of the connection ends although nothing is read here */
	end.fd = fd;
	for (;;) {
		int error = 0;
		socklen_t size = sizeof(error);

		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
		/* more of the same request: a closed door answers with a reset */
		if (error || send(fd, "x", 1, MSG_NOSIGNAL) < 0)
			break;
		poll(&end, 1, 10);
	}
	assert_true(until_end(fd, text, sizeof(text)) < length);
}

static void closing_does_not_wait_for_who_says_nothing(void **state)
{
	int fd = connect_to_door();
	char text[16];

	(void)state;
	send_text(fd, "GET");
	http_door_close(door, 0);
	door = NULL;
	assert_int_equal(until_end(fd, text, sizeof(text)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_says_nothing_is_cut_off),
		cmocka_unit_test(half_a_head_is_cut_off),
		cmocka_unit_test(an_idle_connection_is_cut_off_after_its_answer),
		cmocka_unit_test(half_a_body_is_cut_off_and_leaves_nothing),
		cmocka_unit_test(who_does_not_read_is_cut_off),
		cmocka_unit_test(closing_does_not_wait_for_who_says_nothing),
	};

	return cmocka_run_group_tests_name("http_door", tests, setup, teardown);
}
