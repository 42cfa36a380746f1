/*
 * Hyper-V for guests that run under TCG
 *
 * Enough of the hypervisor's interface (CPUID leaves, synthetic MSRs,
 * hypercalls) for a guest kernel to find Hyper-V and its VMBus.  Switched on
 * by the same hv-* CPU properties as with KVM; without any of them every
 * function here says "not mine" and the CPU behaves as it always did.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TARGET_I386_TCG_HYPERV_H
#define TARGET_I386_TCG_HYPERV_H

#include "cpu.h"

/*
 * Bit in hyperv_features of the property x-hv-tsc-page, which is for TCG alone;
 * those of QEMU's own begin at 0.
 */
#define HYPERV_FEAT_TCG_TSC_PAGE    63

/* What became of an access to an MSR */
typedef enum HvTcgMsrResult {
    HV_TCG_MSR_OTHER,       /* not a Hyper-V MSR, or Hyper-V is off */
    HV_TCG_MSR_DONE,
    HV_TCG_MSR_FAULT,       /* the guest gets #GP */
} HvTcgMsrResult;

/*
 * Check the hv-* properties of @cpu and give it a SynIC if it asks for one.
 * Called at realize, once the CPU has its index.  False with @errp set when
 * a property asks for something that TCG lacks.
 */
bool hv_tcg_realize(X86CPU *cpu, Error **errp);

/* True if any hv-* property is on, that is, if the guest sees Hyper-V. */
bool hv_tcg_enabled(X86CPU *cpu);

/* System reset: back to power-on state, after all devices were reset. */
void hv_tcg_after_reset(X86CPU *cpu);

/*
 * INIT: @old is the state before it.  What belongs to the virtual machine
 * stays, what belongs to the virtual processor goes.  BQL held.
 */
void hv_tcg_init_vcpu(X86CPU *cpu, const CPUX86State *old);

/* Answer a CPUID leaf in 0x40000000-0x4fffffff; false if it isn't ours. */
bool hv_tcg_cpuid(X86CPU *cpu, uint32_t leaf, uint32_t *eax, uint32_t *ebx,
                  uint32_t *ecx, uint32_t *edx);

/* From the vCPU's own thread, without the BQL. */
HvTcgMsrResult hv_tcg_rdmsr(CPUX86State *env, uint32_t msr, uint64_t *val);
HvTcgMsrResult hv_tcg_wrmsr(CPUX86State *env, uint32_t msr, uint64_t val);

/*
 * The guest executed VMMCALL: run the hypercall in its registers and put the
 * result there.  False if the instruction is undefined here (Hyper-V off, no
 * hypercall page set up, not in kernel mode).  vCPU thread, without the BQL.
 */
bool hv_tcg_hypercall(CPUX86State *env);

/* ---- between the files of tcg/system/hyperv ---- */

/* The reference time, in units of 100 ns.  From any thread. */
uint64_t hv_tcg_reference_time(void);
/* HV_X64_MSR_REFERENCE_TSC was written: false for #GP. */
bool hv_tcg_set_reference_page(uint64_t val);
/* Begin to measure the host's TSC; once is enough. */
void hv_tcg_init_reference_time(void);
/* System reset: there is no page any more.  BQL held. */
void hv_tcg_reset_reference_time(void);

#endif
