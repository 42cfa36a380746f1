/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A plugin for QEMU that counts the guest's instructions
 *
 *   -plugin count.so[,socket=PATH]
 *
 * Whoever connects to PATH is told how many instructions all processors together
 * have executed so far, as a decimal number and a newline.  The difference of two
 * answers is the cost of what happened in between; scripts/count-instructions makes
 * it.  At the end the total goes to QEMU's log, where -d plugin lets it through.
 * An idle processor is halted and executes nothing.
 */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <qemu-plugin.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static qemu_plugin_u64 executed; /* one counter for each processor */
static int listener = -1;

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    size_t n = qemu_plugin_tb_n_insns(tb);

    /* each by itself: a fault leaves the rest of its block undone */
    for (size_t i = 0; i < n; i++) {
        qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
            qemu_plugin_tb_get_insn(tb, i), QEMU_PLUGIN_INLINE_ADD_U64,
            executed, 1);
    }
}

static int tell(char *buf, size_t size)
{
    return snprintf(buf, size, "%" PRIu64 "\n", qemu_plugin_u64_sum(executed));
}

static void *answer(void *unused)
{
    char line[32];
    int fd;

    while ((fd = accept(listener, NULL, NULL)) >= 0 || errno == EINTR) {
        if (fd >= 0) {
            /* nobody is the worse for an answer that is not read */
            (void)!send(fd, line, tell(line, sizeof(line)), MSG_NOSIGNAL);
            close(fd);
        }
    }
    return NULL;
}

static void finished(qemu_plugin_id_t id, void *unused)
{
    char line[64] = "instructions ";

    tell(line + strlen(line), sizeof(line) - strlen(line));
    qemu_plugin_outs(line);
}

static int serve(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    pthread_t thread;

    if (strlen(path) >= sizeof(addr.sun_path)) {
        fprintf(stderr, "count: the path of the socket is too long\n");
        return -1;
    }
    strcpy(addr.sun_path, path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (void *)&addr, sizeof(addr)) ||
        listen(listener, 8)) {
        fprintf(stderr, "count: %s: %s\n", path, strerror(errno));
        return -1;
    }
    errno = pthread_create(&thread, NULL, answer, NULL);
    if (errno) {
        perror("count");
        return -1;
    }
    pthread_detach(thread);
    return 0;
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id,
                                           const qemu_info_t *info,
                                           int argc, char **argv)
{
    executed = qemu_plugin_scoreboard_u64(
        qemu_plugin_scoreboard_new(sizeof(uint64_t)));
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "socket=", 7)) {
            fprintf(stderr, "count: '%s' is not socket=PATH\n", argv[i]);
            return -1;
        }
        if (serve(argv[i] + 7)) {
            return -1;
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finished, NULL);
    return 0;
}
