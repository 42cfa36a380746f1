// SPDX-License-Identifier: MIT
/*
 * kexec - starts another kernel from this one
 *
 * usage: kexec [crash] KERNEL INITRD COMMANDLINE
 *
 * Loads it and jumps there at once, without telling anybody; with "crash" it is what
 * runs after a panic.  It needs no tools of a distribution.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fail(const char *what)
{
	fprintf(stderr, "kexec: %s: %s\n", what, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	int crash = argc == 5 && !strcmp(argv[1], "crash"), kernel, initrd;

	if (argc != 4 + crash) {
		fputs("usage: kexec [crash] KERNEL INITRD COMMANDLINE\n", stderr);
		return 2;
	}
	argv += crash;
	kernel = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (kernel < 0)
		return fail(argv[1]);
	initrd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (initrd < 0)
		return fail(argv[2]);
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[3]) + 1, argv[3],
		    crash ? KEXEC_FILE_ON_CRASH : 0))
		return fail("kexec_file_load");
	if (crash)
		return 0;
	reboot(RB_KEXEC);
	return fail("reboot");
}
