/*
 * Hyper-V under TCG: the synthetic MSRs
 *
 * A register that the guest was not offered in CPUID, or a value with a
 * meaning that it doesn't have here, is #GP, as on Hyper-V.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "exec/address-spaces.h"
#include "exec/memory.h"
#include "hw/core/cpu.h"
#include "hw/hyperv/hyperv.h"
#include "system/runstate.h"
#include "target/i386/kvm/hyperv.h"
#include "target/i386/kvm/hyperv-proto.h"
#include "target/i386/tcg/hyperv.h"
#include "trace.h"

/* The range that the interface reserves for the hypervisor */
#define HV_MSR_FIRST    0x40000000
#define HV_MSR_LAST     0x400fffff

/* VMMCALL; RET */
static const uint8_t hypercall_code[] = { 0x0f, 0x01, 0xd9, 0xc3 };

/* Where the MSRs of the whole virtual machine are kept */
static CPUX86State *hv_partition(void)
{
    return cpu_env(first_cpu);
}

static bool hv_feature_of_msr(X86CPU *cpu, uint32_t msr)
{
    switch (msr) {
    case HV_X64_MSR_GUEST_OS_ID:
    case HV_X64_MSR_HYPERCALL:
        return true;
    case HV_X64_MSR_VP_INDEX:
        return hyperv_feat_enabled(cpu, HYPERV_FEAT_VPINDEX);
    case HV_X64_MSR_RESET:
        return hyperv_feat_enabled(cpu, HYPERV_FEAT_RESET);
    case HV_X64_MSR_TIME_REF_COUNT:
        return hyperv_feat_enabled(cpu, HYPERV_FEAT_TIME);
    case HV_X64_MSR_APIC_ASSIST_PAGE:
        /*
         * Linux sets this page up on every Hyper-V.  Without the APIC
         * enlightenments nothing is ever read from it or written to it.
         */
        return true;
    case HV_X64_MSR_SCONTROL ... HV_X64_MSR_EOM:
    case HV_X64_MSR_SINT0 ... HV_X64_MSR_SINT15:
        return hyperv_feat_enabled(cpu, HYPERV_FEAT_SYNIC);
    case HV_X64_MSR_REFERENCE_TSC:
        /* Linux turns it off before a kexec, whether there is one or not. */
        return true;
    case HV_X64_MSR_CRASH_P0 ... HV_X64_MSR_CRASH_CTL:
        return hyperv_feat_enabled(cpu, HYPERV_FEAT_CRASH);
    default:
        return false;
    }
}

HvTcgMsrResult hv_tcg_rdmsr(CPUX86State *env, uint32_t msr, uint64_t *val)
{
    X86CPU *cpu = env_archcpu(env);

    if (msr < HV_MSR_FIRST || msr > HV_MSR_LAST || !hv_tcg_enabled(cpu)) {
        return HV_TCG_MSR_OTHER;
    }
    if (!hv_feature_of_msr(cpu, msr)) {
        trace_hv_tcg_msr_fault(CPU(cpu)->cpu_index, msr);
        return HV_TCG_MSR_FAULT;
    }

    *val = 0;
    switch (msr) {
    case HV_X64_MSR_GUEST_OS_ID:
        *val = qatomic_read(&hv_partition()->msr_hv_guest_os_id);
        break;
    case HV_X64_MSR_HYPERCALL:
        *val = qatomic_read(&hv_partition()->msr_hv_hypercall);
        break;
    case HV_X64_MSR_VP_INDEX:
        *val = hyperv_vp_index(CPU(cpu));
        break;
    case HV_X64_MSR_RESET:
        break;
    case HV_X64_MSR_TIME_REF_COUNT:
        *val = hv_tcg_reference_time();
        break;
    case HV_X64_MSR_REFERENCE_TSC:
        *val = qatomic_read(&hv_partition()->msr_hv_tsc);
        break;
    case HV_X64_MSR_APIC_ASSIST_PAGE:
        *val = env->msr_hv_vapic;
        break;
    case HV_X64_MSR_SCONTROL:
        *val = env->msr_hv_synic_control;
        break;
    case HV_X64_MSR_SVERSION:
        *val = HV_SYNIC_VERSION;
        break;
    case HV_X64_MSR_SIEFP:
        *val = env->msr_hv_synic_evt_page;
        break;
    case HV_X64_MSR_SIMP:
        *val = env->msr_hv_synic_msg_page;
        break;
    case HV_X64_MSR_EOM:
        break;
    case HV_X64_MSR_SINT0 ... HV_X64_MSR_SINT15:
        *val = env->msr_hv_synic_sint[msr - HV_X64_MSR_SINT0];
        break;
    case HV_X64_MSR_CRASH_P0 ... HV_X64_MSR_CRASH_P4:
        *val = qatomic_read(&hv_partition()->msr_hv_crash_params[
                                msr - HV_X64_MSR_CRASH_P0]);
        break;
    case HV_X64_MSR_CRASH_CTL:
        *val = HV_CRASH_CTL_NOTIFY;
        break;
    default:
        g_assert_not_reached();
    }
    return HV_TCG_MSR_DONE;
}

/* Put the hypercall code where the guest wants it; false for #GP. */
static bool hv_set_hypercall_page(X86CPU *cpu, uint64_t val)
{
    CPUX86State *part = hv_partition();
    MemTxResult res;

    BQL_LOCK_GUARD();

    /* Without a guest OS id the page can't be enabled; not an error. */
    if (!part->msr_hv_guest_os_id) {
        return true;
    }
    if (val & HV_HYPERCALL_ENABLE) {
        res = address_space_write(&address_space_memory,
                                  val & TARGET_PAGE_MASK,
                                  MEMTXATTRS_UNSPECIFIED, hypercall_code,
                                  sizeof(hypercall_code));
        if (res != MEMTX_OK) {
            return false;
        }
    }
    qatomic_set(&part->msr_hv_hypercall, val);
    return true;
}

static void hv_set_guest_os_id(uint64_t val)
{
    CPUX86State *part = hv_partition();

    BQL_LOCK_GUARD();
    qatomic_set(&part->msr_hv_guest_os_id, val);
    if (!val) {
        qatomic_set(&part->msr_hv_hypercall, 0);
    }
}

static void hv_synic_update_work(CPUState *cs, run_on_cpu_data data)
{
    BQL_LOCK_GUARD();
    hyperv_x86_synic_update(X86_CPU(cs));
}

/*
 * The SynIC pages lie over guest memory, so this changes the memory map: done
 * before this vCPU's next instruction, while all the others stand still.
 */
static void hv_synic_changed(CPUState *cs)
{
    async_safe_run_on_cpu(cs, hv_synic_update_work, RUN_ON_CPU_NULL);
    cpu_exit(cs);
}

/* True if @val names a page that this CPU can address. */
static bool hv_page_msr_valid(X86CPU *cpu, uint64_t val)
{
    return !(val >> cpu->phys_bits);
}

static bool hv_sint_valid(uint64_t val)
{
    /* Vectors 0-15 can't be delivered; a masked SINT need not have any. */
    return (val & HV_SINT_MASKED) || (val & HV_SINT_VECTOR_MASK) >= 16;
}

static void hv_guest_crashed(X86CPU *cpu)
{
    BQL_LOCK_GUARD();
    qemu_system_guest_panicked(cpu_get_crash_info(first_cpu));
}

HvTcgMsrResult hv_tcg_wrmsr(CPUX86State *env, uint32_t msr, uint64_t val)
{
    X86CPU *cpu = env_archcpu(env);
    CPUState *cs = CPU(cpu);

    if (msr < HV_MSR_FIRST || msr > HV_MSR_LAST || !hv_tcg_enabled(cpu)) {
        return HV_TCG_MSR_OTHER;
    }
    trace_hv_tcg_wrmsr(cs->cpu_index, msr, val);
    if (!hv_feature_of_msr(cpu, msr)) {
        goto fault;
    }

    switch (msr) {
    case HV_X64_MSR_GUEST_OS_ID:
        hv_set_guest_os_id(val);
        break;
    case HV_X64_MSR_HYPERCALL:
        if (!hv_page_msr_valid(cpu, val) || !hv_set_hypercall_page(cpu, val)) {
            goto fault;
        }
        break;
    case HV_X64_MSR_RESET:
        if (val & 1) {
            qemu_system_reset_request(SHUTDOWN_CAUSE_GUEST_RESET);
        }
        break;
    case HV_X64_MSR_REFERENCE_TSC:
        /* without the property, off is all it can be */
        if (!hyperv_feat_enabled(cpu, HYPERV_FEAT_TCG_TSC_PAGE)) {
            if (val & 1) {
                goto fault;
            }
            break;
        }
        if (!hv_page_msr_valid(cpu, val) || !hv_tcg_set_reference_page(val)) {
            goto fault;
        }
        break;
    case HV_X64_MSR_APIC_ASSIST_PAGE:
        if (!hv_page_msr_valid(cpu, val)) {
            goto fault;
        }
        env->msr_hv_vapic = val;
        break;
    case HV_X64_MSR_SCONTROL:
        env->msr_hv_synic_control = val;
        hv_synic_changed(cs);
        break;
    case HV_X64_MSR_SIEFP:
        if (!hv_page_msr_valid(cpu, val)) {
            goto fault;
        }
        env->msr_hv_synic_evt_page = val;
        hv_synic_changed(cs);
        break;
    case HV_X64_MSR_SIMP:
        if (!hv_page_msr_valid(cpu, val)) {
            goto fault;
        }
        env->msr_hv_synic_msg_page = val;
        hv_synic_changed(cs);
        break;
    case HV_X64_MSR_EOM:
        hyperv_synic_eom(cs);
        break;
    case HV_X64_MSR_SINT0 ... HV_X64_MSR_SINT15:
        if (!hv_sint_valid(val)) {
            goto fault;
        }
        qatomic_set(&env->msr_hv_synic_sint[msr - HV_X64_MSR_SINT0], val);
        break;
    case HV_X64_MSR_CRASH_P0 ... HV_X64_MSR_CRASH_P4:
        qatomic_set(&hv_partition()->msr_hv_crash_params[
                        msr - HV_X64_MSR_CRASH_P0], val);
        break;
    case HV_X64_MSR_CRASH_CTL:
        if (val & HV_CRASH_CTL_NOTIFY) {
            hv_guest_crashed(cpu);
        }
        break;
    default:
        /* VP_INDEX, TIME_REF_COUNT, SVERSION are read-only. */
        goto fault;
    }
    return HV_TCG_MSR_DONE;

fault:
    trace_hv_tcg_msr_fault(cs->cpu_index, msr);
    return HV_TCG_MSR_FAULT;
}
