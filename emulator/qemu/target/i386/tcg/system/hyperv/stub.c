/*
 * Hyper-V under TCG: a build without it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "target/i386/tcg/hyperv.h"

/* hv-* properties have never had an effect in such a build, nor an error. */
bool hv_tcg_realize(X86CPU *cpu, Error **errp)
{
    return true;
}

bool hv_tcg_enabled(X86CPU *cpu)
{
    return false;
}

void hv_tcg_after_reset(X86CPU *cpu)
{
}

void hv_tcg_init_vcpu(X86CPU *cpu, const CPUX86State *old)
{
}

bool hv_tcg_cpuid(X86CPU *cpu, uint32_t leaf, uint32_t *eax, uint32_t *ebx,
                  uint32_t *ecx, uint32_t *edx)
{
    return false;
}

HvTcgMsrResult hv_tcg_rdmsr(CPUX86State *env, uint32_t msr, uint64_t *val)
{
    return HV_TCG_MSR_OTHER;
}

HvTcgMsrResult hv_tcg_wrmsr(CPUX86State *env, uint32_t msr, uint64_t val)
{
    return HV_TCG_MSR_OTHER;
}

bool hv_tcg_hypercall(CPUX86State *env)
{
    return false;
}
