/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A plugin for QEMU that counts the guest's instructions
 *
 *   -plugin count.so[,socket=PATH][,blocks=PATH]
 *
 * Whoever connects to PATH is told how many instructions all processors together
 * have executed so far, as a decimal number and a newline.  The difference of two
 * answers is the cost of what happened in between; scripts/count-instructions makes
 * it.  At the end the total goes to QEMU's log, where -d plugin lets it through.
 * An idle processor is halted and executes nothing.
 *
 * blocks=PATH: the same for each piece of code without a jump in it, as lines with its
 * address in hexadecimal and the instructions executed in it so far (counted as a whole,
 * so that a fault in its middle makes it a little more).  The guest gets slower by it.
 */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <glib.h>
#include <qemu-plugin.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static qemu_plugin_u64 executed; /* one counter for each processor */

/* A door and what it tells whoever comes. */
struct door {
    int listener;
    void (*tell)(FILE *);
};

/*
 * So many instructions from an address on; the same one when it is translated again,
 * or is of another process.  Never freed: translated code points at it.
 */
struct block {
    uint64_t address, length;
    uint64_t times; /* atomic: all processors add to it */
};

static bool by_block;
static pthread_mutex_t blocks_lock = PTHREAD_MUTEX_INITIALIZER;
static GHashTable *blocks; /* under blocks_lock */

static unsigned int block_hash(const void *key)
{
    const struct block *b = key;

    return g_int64_hash(&b->address) ^ b->length;
}

static int block_equal(const void *left, const void *right)
{
    const struct block *a = left, *b = right;

    return a->address == b->address && a->length == b->length;
}

static struct block *block_of(struct qemu_plugin_tb *tb)
{
    struct block key = { .address = qemu_plugin_tb_vaddr(tb),
                         .length = qemu_plugin_tb_n_insns(tb) };
    struct block *block;

    pthread_mutex_lock(&blocks_lock);
    block = g_hash_table_lookup(blocks, &key);
    if (!block) {
        block = g_memdup2(&key, sizeof(key));
        g_hash_table_add(blocks, block);
    }
    pthread_mutex_unlock(&blocks_lock);
    return block;
}

static void count_block(unsigned int cpu, void *block)
{
    __atomic_fetch_add(&((struct block *)block)->times, 1, __ATOMIC_RELAXED);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    size_t n = qemu_plugin_tb_n_insns(tb);

    /* each by itself: a fault leaves the rest of its block undone */
    for (size_t i = 0; i < n; i++) {
        qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
            qemu_plugin_tb_get_insn(tb, i), QEMU_PLUGIN_INLINE_ADD_U64,
            executed, 1);
    }
    if (by_block) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, count_block,
                                             QEMU_PLUGIN_CB_NO_REGS,
                                             block_of(tb));
    }
}

static void tell_total(FILE *to)
{
    fprintf(to, "%" PRIu64 "\n", qemu_plugin_u64_sum(executed));
}

static void tell_blocks(FILE *to)
{
    GHashTableIter iter;
    gpointer block;

    pthread_mutex_lock(&blocks_lock);
    g_hash_table_iter_init(&iter, blocks);
    while (g_hash_table_iter_next(&iter, NULL, &block)) {
        struct block *b = block;

        fprintf(to, "%" PRIx64 " %" PRIu64 "\n", b->address,
                __atomic_load_n(&b->times, __ATOMIC_RELAXED) * b->length);
    }
    pthread_mutex_unlock(&blocks_lock);
}

static void *answer(void *opaque)
{
    struct door *door = opaque;
    char *text;
    size_t size;
    FILE *to;
    int fd;

    while ((fd = accept(door->listener, NULL, NULL)) >= 0 || errno == EINTR) {
        if (fd < 0) {
            continue;
        }
        to = open_memstream(&text, &size);
        if (to) {
            door->tell(to);
            fclose(to);
            /* nobody is the worse for an answer that is not read */
            for (ssize_t n = 0, at = 0; n >= 0 && at < (ssize_t)size; at += n) {
                n = send(fd, text + at, size - at, MSG_NOSIGNAL);
            }
            free(text);
        }
        close(fd);
    }
    return NULL;
}

static void finished(qemu_plugin_id_t id, void *unused)
{
    char line[64];

    snprintf(line, sizeof(line), "instructions %" PRIu64 "\n",
             qemu_plugin_u64_sum(executed));
    qemu_plugin_outs(line);
}

static int serve(struct door *door, const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    pthread_t thread;

    if (strlen(path) >= sizeof(addr.sun_path)) {
        fprintf(stderr, "count: the path of the socket is too long\n");
        return -1;
    }
    strcpy(addr.sun_path, path);
    door->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (door->listener < 0 ||
        bind(door->listener, (void *)&addr, sizeof(addr)) ||
        listen(door->listener, 8)) {
        fprintf(stderr, "count: %s: %s\n", path, strerror(errno));
        return -1;
    }
    errno = pthread_create(&thread, NULL, answer, door);
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
    blocks = g_hash_table_new(block_hash, block_equal);
    for (int i = 0; i < argc; i++) {
        bool total = !strncmp(argv[i], "socket=", 7);
        static struct door doors[] = { { .tell = tell_total },
                                       { .tell = tell_blocks } };

        if (!total && strncmp(argv[i], "blocks=", 7)) {
            fprintf(stderr, "count: '%s' is not socket=PATH or blocks=PATH\n",
                    argv[i]);
            return -1;
        }
        by_block |= !total;
        if (serve(&doors[!total], argv[i] + 7)) {
            return -1;
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finished, NULL);
    return 0;
}
