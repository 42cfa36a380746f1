/*
 * Hyper-V under TCG: life cycle of a virtual processor, SINT delivery
 *
 * The state of the synthetic MSRs lives in CPUX86State, where KVM keeps its
 * copy too, so migration needs nothing new.  MSRs of the whole virtual
 * machine are kept in the first CPU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "hw/i386/apic_internal.h"
#include "hw/i386/apic-msidef.h"
#include "hw/pci/msi.h"
#include "hw/hyperv/hyperv.h"
#include "target/i386/kvm/hyperv.h"
#include "target/i386/tcg/hyperv.h"
#include "trace.h"

/* Properties that need something TCG lacks; all others are honoured. */
static const struct {
    int feature;
    const char *name;
} hv_tcg_missing[] = {
    { HYPERV_FEAT_VAPIC, "hv-vapic" },
    { HYPERV_FEAT_RUNTIME, "hv-runtime" },
    { HYPERV_FEAT_STIMER, "hv-stimer" },
    { HYPERV_FEAT_FREQUENCIES, "hv-frequencies" },
    { HYPERV_FEAT_REENLIGHTENMENT, "hv-reenlightenment" },
    { HYPERV_FEAT_TLBFLUSH, "hv-tlbflush" },
    { HYPERV_FEAT_EVMCS, "hv-evmcs" },
    { HYPERV_FEAT_IPI, "hv-ipi" },
    { HYPERV_FEAT_STIMER_DIRECT, "hv-stimer-direct" },
    { HYPERV_FEAT_AVIC, "hv-avic" },
    { HYPERV_FEAT_SYNDBG, "hv-syndbg" },
    { HYPERV_FEAT_MSR_BITMAP, "hv-emsr-bitmap" },
    { HYPERV_FEAT_XMM_INPUT, "hv-xmm-input" },
    { HYPERV_FEAT_TLBFLUSH_EXT, "hv-tlbflush-ext" },
    { HYPERV_FEAT_TLBFLUSH_DIRECT, "hv-tlbflush-direct" },
};

bool hv_tcg_enabled(X86CPU *cpu)
{
    return cpu->hyperv_features != 0;
}

static void hv_tcg_sint_raise(CPUState *cs, uint32_t sint)
{
    X86CPU *cpu = X86_CPU(cs);
    uint64_t config = qatomic_read(&cpu->env.msr_hv_synic_sint[sint]);
    uint64_t id = cpu->apic_id;
    MSIMessage msi = {
        /* the id's upper 24 bits travel in the address's upper word */
        .address = APIC_DEFAULT_ADDRESS |
                   (id & 0xff) << MSI_ADDR_DEST_ID_SHIFT |
                   (id & ~0xffULL) << 32,
        .data = config & HV_SINT_VECTOR_MASK,
    };

    trace_hv_tcg_sint_raise(cs->cpu_index, sint, config);
    if (config & HV_SINT_MASKED) {
        return;
    }

    BQL_LOCK_GUARD();
    apic_get_class(NULL)->send_msi(&msi);
}

static const HypervAccelOps hv_tcg_ops = {
    .sint_raise = hv_tcg_sint_raise,
};

static void hv_tcg_mask_sints(CPUX86State *env)
{
    for (int i = 0; i < HV_SINT_COUNT; i++) {
        env->msr_hv_synic_sint[i] = HV_SINT_MASKED;
    }
}

/* The name of a property of @cpu that can't be honoured, or NULL */
static const char *hv_tcg_unsupported(X86CPU *cpu)
{
    if (cpu->hyperv_passthrough) {
        return "hv-passthrough";
    }
    if (cpu->hyperv_spinlock_attempts != HYPERV_SPINLOCK_NEVER_NOTIFY) {
        return "hv-spinlocks";
    }
    for (int i = 0; i < ARRAY_SIZE(hv_tcg_missing); i++) {
        if (hyperv_feat_enabled(cpu, hv_tcg_missing[i].feature)) {
            return hv_tcg_missing[i].name;
        }
    }
    return NULL;
}

bool hv_tcg_realize(X86CPU *cpu, Error **errp)
{
    const char *name = hv_tcg_unsupported(cpu);

    if (name) {
        error_setg(errp, "CPU property %s is not available with TCG", name);
        error_append_hint(errp, "TCG has hv-relaxed, hv-vpindex, hv-synic, "
                          "hv-time, hv-reset and hv-crash.\n");
        return false;
    }

    if (hyperv_feat_enabled(cpu, HYPERV_FEAT_TCG_TSC_PAGE)) {
        if (!hyperv_feat_enabled(cpu, HYPERV_FEAT_TIME)) {
            error_setg(errp, "x-hv-tsc-page needs hv-time");
            return false;
        }
        hv_tcg_init_reference_time();
    }

    if (!hyperv_feat_enabled(cpu, HYPERV_FEAT_SYNIC)) {
        return true;
    }
    if (!hyperv_feat_enabled(cpu, HYPERV_FEAT_VPINDEX)) {
        error_setg(errp, "hv-synic needs hv-vpindex");
        return false;
    }

    hv_tcg_mask_sints(&cpu->env);
    hyperv_synic_add(CPU(cpu), &hv_tcg_ops);
    return true;
}

void hv_tcg_after_reset(X86CPU *cpu)
{
    if (CPU(cpu) == first_cpu) {
        hv_tcg_reset_reference_time();
    }
    if (hyperv_feat_enabled(cpu, HYPERV_FEAT_SYNIC)) {
        hv_tcg_mask_sints(&cpu->env);
        hyperv_x86_synic_reset(cpu);
    }
}

void hv_tcg_init_vcpu(X86CPU *cpu, const CPUX86State *old)
{
    CPUX86State *env = &cpu->env;

    env->msr_hv_guest_os_id = old->msr_hv_guest_os_id;
    env->msr_hv_hypercall = old->msr_hv_hypercall;
    env->msr_hv_tsc = old->msr_hv_tsc;
    memcpy(env->msr_hv_crash_params, old->msr_hv_crash_params,
           sizeof(env->msr_hv_crash_params));

    if (hyperv_feat_enabled(cpu, HYPERV_FEAT_SYNIC)) {
        hv_tcg_mask_sints(env);
        hyperv_synic_init(CPU(cpu));
    }
}
