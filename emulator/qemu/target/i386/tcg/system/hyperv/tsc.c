/*
 * Hyper-V under TCG: the page of reference time
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * With it a guest computes the reference time from its TSC, without an exit:
 *
 *     time = (tsc * scale >> 64) + offset
 *
 * The TSC that TCG shows is the host's, or with -icount a count of
 * nanoseconds.  The host's frequency is not known, so it is measured, against
 * the host's clock, from the making of the first CPU to the moment that the
 * guest asks for the page.  Both ways to read the time have to agree, so from
 * then on the counter's MSR is computed in the same way.
 *
 * Where there is nothing to compute with (the host's TSC may change its pace,
 * or too little time has passed to measure it) the page says so by sequence 0,
 * and the guest reads the MSR, as it is meant to.
 *
 * A scale that was measured is not quite right, so the time departs from QEMU's
 * clock; and a machine that is loaded may have a host with another TSC, and is
 * measured anew.  So the time itself is saved with a machine, and goes on from
 * there: no guest sees it go back.
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "qemu/main-loop.h"
#include "qemu/seqlock.h"
#include "qemu/thread.h"
#include "qemu/timer.h"
#include "exec/address-spaces.h"
#include "exec/memory.h"
#include "migration/vmstate.h"
#include "system/cpu-timers.h"
#include "system/runstate.h"
#include "target/i386/kvm/hyperv-proto.h"
#include "target/i386/tcg/hyperv.h"
#include "trace.h"

#ifdef CONFIG_CPUID_H
#include "qemu/cpuid.h"
#endif

#define HV_REFERENCE_TSC_ENABLE     1ULL
/* Units of the reference time: 100 ns */
#define HV_NS_PER_UNIT              100
/* 10 ms give the frequency to a few millionths */
#define HV_MEASURE_NS               (10 * 1000 * 1000)

/* As in Microsoft's specification */
typedef struct HvReferenceTscPage {
    uint32_t sequence;      /* 0: don't use it */
    uint32_t reserved;
    uint64_t scale;
    int64_t offset;
} HvReferenceTscPage;

/* When the measurement began */
static int64_t start_ticks, start_ns;

/*
 * What the time is computed with, once a page was asked for; scale 0 before:
 * then it is QEMU's clock and @ahead.  Written with the BQL held, read by any
 * vCPU.
 */
static QemuSeqLock lock;
static uint64_t scale;
static int64_t offset;
static int64_t ahead;

/* With the machine's state, unless the time is that of QEMU's clock */
typedef struct SavedTime {
    uint64_t time;
    bool loaded;    /* and the machine has not run since */
} SavedTime;

static SavedTime saved;

static int64_t compute(uint64_t by_scale, int64_t by_offset)
{
    uint64_t low, high;

    mulu64(&low, &high, cpus_get_elapsed_ticks(), by_scale);
    return high + by_offset;
}

uint64_t hv_tcg_reference_time(void)
{
    uint64_t now_scale;
    int64_t now_offset, now_ahead;
    unsigned start;

    do {
        start = seqlock_read_begin(&lock);
        now_scale = qatomic_read(&scale);
        now_offset = qatomic_read(&offset);
        now_ahead = qatomic_read(&ahead);
    } while (seqlock_read_retry(&lock, start));

    if (now_scale) {
        return compute(now_scale, now_offset);
    }
    /* since the machine was created, paused with it */
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) / HV_NS_PER_UNIT + now_ahead;
}

/* Whether the host's TSC has one pace at all times; only known of x86. */
static bool host_tsc_is_steady(void)
{
#ifdef CONFIG_CPUID_H
    unsigned a, b, c, d;

    return __get_cpuid(0x80000007, &a, &b, &c, &d) &&
           (d & CPUID_APM_INVTSC);
#else
    return false;
#endif
}

/* Units of reference time for each tick, times 2^64; 0 if that is not known. */
static uint64_t measure(void)
{
    uint64_t low = 0, high = get_clock() - start_ns;
    uint64_t ticks = cpu_get_host_ticks() - start_ticks;

    if (icount_enabled()) {
        return UINT64_MAX / HV_NS_PER_UNIT;
    }
    if (!host_tsc_is_steady() || high < HV_MEASURE_NS ||
        ticks > UINT64_MAX / HV_NS_PER_UNIT) {
        return 0;
    }
    divu128(&low, &high, ticks * HV_NS_PER_UNIT);
    return high ? 0 : low;
}

/*
 * Measure anew and fill the page; the time goes on from where it is.  False if
 * there is nothing at @page that could be written.  BQL held.
 */
static bool fill(hwaddr page)
{
    HvReferenceTscPage contents = {};
    uint64_t new_scale = measure();
    int64_t now = hv_tcg_reference_time();
    uint32_t sequence;

    /* a reader who began with another one, maybe elsewhere, has to notice */
    sequence = address_space_ldl_le(&address_space_memory, page,
                                    MEMTXATTRS_UNSPECIFIED, NULL) + 1;
    if (!sequence || sequence == UINT32_MAX) {
        sequence = 1;
    }
    if (address_space_write(&address_space_memory, page,
                            MEMTXATTRS_UNSPECIFIED, &contents,
                            sizeof(contents)) != MEMTX_OK) {
        return false;
    }
    if (!new_scale) {
        return true;
    }

    seqlock_write_begin(&lock);
    qatomic_set(&scale, new_scale);
    qatomic_set(&offset, now - compute(new_scale, 0));
    seqlock_write_end(&lock);

    contents.scale = cpu_to_le64(scale);
    contents.offset = cpu_to_le64(offset);
    address_space_write(&address_space_memory, page, MEMTXATTRS_UNSPECIFIED,
                        &contents, sizeof(contents));
    /* it is valid when all of it is there */
    smp_wmb();
    contents.sequence = cpu_to_le32(sequence);
    address_space_write(&address_space_memory, page, MEMTXATTRS_UNSPECIFIED,
                        &contents.sequence, sizeof(contents.sequence));
    trace_hv_tcg_reference_page(page, scale, offset);
    return true;
}

bool hv_tcg_set_reference_page(uint64_t val)
{
    CPUX86State *part = cpu_env(first_cpu);

    BQL_LOCK_GUARD();
    if (val & HV_REFERENCE_TSC_ENABLE && !fill(val & TARGET_PAGE_MASK)) {
        return false;
    }
    part->msr_hv_tsc = val;
    return true;
}

/* The time is QEMU's clock again, and so many units.  BQL held. */
static void begin_at_the_clock(int64_t units)
{
    seqlock_write_begin(&lock);
    qatomic_set(&scale, 0);
    qatomic_set(&ahead, units);
    seqlock_write_end(&lock);
}

void hv_tcg_reset_reference_time(void)
{
    begin_at_the_clock(0);
    saved.loaded = false;
}

/* A machine that was loaded has a page that was right where it was saved. */
static void vm_state_changed(void *opaque, bool running, RunState state)
{
    CPUX86State *part = cpu_env(first_cpu);

    if (!running) {
        return;
    }
    if (saved.loaded) {
        saved.loaded = false;
        begin_at_the_clock(0);
        begin_at_the_clock(saved.time - hv_tcg_reference_time());
    }
    if (!scale && part->msr_hv_tsc & HV_REFERENCE_TSC_ENABLE) {
        fill(part->msr_hv_tsc & TARGET_PAGE_MASK);
    }
}

static bool is_needed(void *opaque)
{
    return scale || ahead || saved.loaded;
}

static int pre_save(void *opaque)
{
    /* one that was loaded and has not run is where it was */
    if (!saved.loaded) {
        saved.time = hv_tcg_reference_time();
    }
    return 0;
}

static int post_load(void *opaque, int version_id)
{
    saved.loaded = true;
    return 0;
}

/*
 * A section of its own, so that a machine that was saved without it, by an
 * older QEMU or before it had a page, is loaded as ever.
 */
static const VMStateDescription vmstate_reference_time = {
    .name = "hv-tcg-reference-time",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = is_needed,
    .pre_save = pre_save,
    .post_load = post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(time, SavedTime),
        VMSTATE_END_OF_LIST()
    },
};

void hv_tcg_init_reference_time(void)
{
    if (!start_ns) {
        seqlock_init(&lock);
        start_ticks = cpu_get_host_ticks();
        start_ns = get_clock();
        qemu_add_vm_change_state_handler(vm_state_changed, NULL);
        vmstate_register(NULL, 0, &vmstate_reference_time, &saved);
    }
}
