// SPDX-License-Identifier: MIT
/*
 * compat32 - one request of each kind from a 32-bit program
 *
 * Built with -m32 and without a C library, so that no second one has to be
 * installed.  Prints a line for each of the three numbers: number, result
 * (negative: errno), status, first 12 bytes of the response.
 */
typedef unsigned int u32;
typedef unsigned long long u64;

#define SYS_EXIT 1
#define SYS_WRITE 4
#define SYS_OPEN 5
#define SYS_IOCTL 54
#define O_RDWR 2

static long call3(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(a), "c"(b), "d"(c)
			 : "memory");
	return result;
}

static const char dev[] = "/dev/azure_blob";
static const char head[] = "GET /.azblob HTTP/1.1\r\nHost: localhost\r\n\r\n";
static char response[16384] __attribute__((aligned(4096)));
static char line[128];
static u32 used;

static void put_char(char c)
{
	line[used++] = c;
}

static void put_number(long value)
{
	char digits[12];
	int n = 0;

	if (value < 0) {
		put_char('-');
		value = -value;
	}
	do {
		digits[n++] = (char)('0' + (u32)value % 10);
		value = (long)((u32)value / 10);
	} while (value);
	while (n)
		put_char(digits[--n]);
	put_char(' ');
}

/* Offsets as published, see vspraw.h; a 32-bit program has the same ones. */
static void request(int fd, u32 number, int is_short)
{
	static union {
		u32 words[18];
		u64 align;
	} raw;
	u32 *buffers = raw.words + (is_short ? 8 : 10), *out = raw.words + (is_short ? 14 : 16);
	long result;

	for (u32 i = 0; i < 18; i++)
		raw.words[i] = 0;
	for (u32 i = 0; i < sizeof(response); i++)
		((volatile char *)response)[i] = '-';
	raw.words[4] = 60000;
	raw.words[5] = sizeof(head) - 1;
	raw.words[6] = sizeof(response);
	buffers[0] = (u32)head;
	buffers[2] = (u32)response;
	out[0] = 0x0ace0ace;
	result = call3(SYS_IOCTL, fd, (long)number, (long)&raw);
	used = 0;
	put_char(is_short ? 's' : 'l');
	put_char(' ');
	put_number(result);
	put_number((long)out[0]);
	for (u32 i = 0; i < 12; i++)
		put_char(response[i]);
	put_char('\n');
	call3(SYS_WRITE, 1, (long)line, used);
}

void _start(void);
void _start(void)
{
	int fd = (int)call3(SYS_OPEN, (long)dev, O_RDWR, 0);

	if (fd >= 0) {
		request(fd, 0xc04852f0u, 0);
		request(fd, 0xc048520au, 0);
		request(fd, 0xc040520au, 1);
	}
	call3(SYS_EXIT, fd < 0 ? -fd : 0, 0, 0);
}
