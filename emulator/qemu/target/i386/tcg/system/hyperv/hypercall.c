/*
 * Hyper-V under TCG: hypercalls
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/hyperv/hyperv.h"
#include "target/i386/kvm/hyperv-proto.h"
#include "target/i386/tcg/hyperv.h"
#include "trace.h"

/*
 * Bits of the input value: the call code, and "fast" for parameters that
 * travel in registers.  All else (rep counts, variable headers, reserved
 * bits) means nothing for the calls here and must be zero.
 */
#define HV_HCALL_CODE_MASK      0xffffULL
#define HV_HCALL_ALLOWED        (HV_HCALL_CODE_MASK | HV_HYPERCALL_FAST)

static uint64_t hv_reg_pair(CPUX86State *env, int high, int low)
{
    return (uint64_t)(uint32_t)env->regs[high] << 32 |
           (uint32_t)env->regs[low];
}

static uint16_t hv_do_hypercall(X86CPU *cpu, uint64_t input, uint64_t param)
{
    uint16_t code = input & HV_HCALL_CODE_MASK;
    bool fast = input & HV_HYPERCALL_FAST;

    if (!hyperv_feat_enabled(cpu, HYPERV_FEAT_SYNIC) ||
        (code != HV_POST_MESSAGE && code != HV_SIGNAL_EVENT)) {
        return HV_STATUS_INVALID_HYPERCALL_CODE;
    }
    if (input & ~HV_HCALL_ALLOWED) {
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    }
    if (code == HV_POST_MESSAGE) {
        return hyperv_hcall_post_message(param, fast);
    }
    return hyperv_hcall_signal_event(param, fast);
}

bool hv_tcg_hypercall(CPUX86State *env)
{
    X86CPU *cpu = env_archcpu(env);
    CPUX86State *part = cpu_env(first_cpu);
    bool long_mode = env->hflags & HF_CS64_MASK;
    uint64_t input, param;
    uint16_t status;

    if (!hv_tcg_enabled(cpu) ||
        !(qatomic_read(&part->msr_hv_hypercall) & HV_HYPERCALL_ENABLE) ||
        !(env->cr[0] & CR0_PE_MASK) || (env->eflags & VM_MASK) ||
        (env->hflags & HF_CPL_MASK)) {
        return false;
    }

    if (long_mode) {
        input = env->regs[R_ECX];
        param = env->regs[R_EDX];
    } else {
        input = hv_reg_pair(env, R_EDX, R_EAX);
        param = hv_reg_pair(env, R_EBX, R_ECX);
    }

    status = hv_do_hypercall(cpu, input, param);
    trace_hv_tcg_hypercall(CPU(cpu)->cpu_index, input, param, status);

    /* The result's upper half would count finished reps; there are none. */
    env->regs[R_EAX] = status;
    if (!long_mode) {
        env->regs[R_EDX] = 0;
    }
    return true;
}
