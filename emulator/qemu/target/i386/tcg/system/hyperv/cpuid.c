/*
 * Hyper-V under TCG: CPUID leaves 0x40000000-0x40000005
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "target/i386/kvm/hyperv-proto.h"
#include "target/i386/tcg/hyperv.h"

static uint32_t hv_tcg_bit(X86CPU *cpu, int feature, uint32_t bit)
{
    return hyperv_feat_enabled(cpu, feature) ? bit : 0;
}

bool hv_tcg_cpuid(X86CPU *cpu, uint32_t leaf, uint32_t *eax, uint32_t *ebx,
                  uint32_t *ecx, uint32_t *edx)
{
    if (leaf < HV_CPUID_VENDOR_AND_MAX_FUNCTIONS || leaf > HV_CPUID_MAX ||
        !hv_tcg_enabled(cpu)) {
        return false;
    }

    *eax = *ebx = *ecx = *edx = 0;
    switch (leaf) {
    case HV_CPUID_VENDOR_AND_MAX_FUNCTIONS:
        *eax = HV_CPUID_IMPLEMENT_LIMITS;
        *ebx = cpu->hyperv_vendor_id[0];
        *ecx = cpu->hyperv_vendor_id[1];
        *edx = cpu->hyperv_vendor_id[2];
        break;
    case HV_CPUID_INTERFACE:
        *eax = cpu->hyperv_interface_id[0];
        *ebx = cpu->hyperv_interface_id[1];
        *ecx = cpu->hyperv_interface_id[2];
        *edx = cpu->hyperv_interface_id[3];
        break;
    case HV_CPUID_VERSION:
        *eax = cpu->hyperv_ver_id_build;
        *ebx = cpu->hyperv_ver_id_major << 16 | cpu->hyperv_ver_id_minor;
        *ecx = cpu->hyperv_ver_id_sp;
        *edx = (uint32_t)cpu->hyperv_ver_id_sb << 24 |
               (cpu->hyperv_ver_id_sn & 0xffffff);
        break;
    case HV_CPUID_FEATURES:
        *eax = HV_HYPERCALL_AVAILABLE |
               hv_tcg_bit(cpu, HYPERV_FEAT_TIME, HV_TIME_REF_COUNT_AVAILABLE) |
               hv_tcg_bit(cpu, HYPERV_FEAT_TCG_TSC_PAGE,
                          HV_REFERENCE_TSC_AVAILABLE) |
               hv_tcg_bit(cpu, HYPERV_FEAT_SYNIC, HV_SYNIC_AVAILABLE) |
               hv_tcg_bit(cpu, HYPERV_FEAT_VPINDEX, HV_VP_INDEX_AVAILABLE) |
               hv_tcg_bit(cpu, HYPERV_FEAT_RESET, HV_RESET_AVAILABLE);
        *ebx = hv_tcg_bit(cpu, HYPERV_FEAT_SYNIC,
                          HV_POST_MESSAGES | HV_SIGNAL_EVENTS);
        *edx = hv_tcg_bit(cpu, HYPERV_FEAT_CRASH, HV_GUEST_CRASH_MSR_AVAILABLE);
        break;
    case HV_CPUID_ENLIGHTMENT_INFO:
        /* QEMU's APIC has no AutoEOI, so guests must not rely on it. */
        *eax = HV_DEPRECATING_AEOI_RECOMMENDED |
               hv_tcg_bit(cpu, HYPERV_FEAT_RELAXED,
                          HV_RELAXED_TIMING_RECOMMENDED);
        *ebx = cpu->hyperv_spinlock_attempts;
        break;
    case HV_CPUID_IMPLEMENT_LIMITS:
        *eax = cpu->hv_max_vps;
        *ebx = cpu->hyperv_limits[0];
        *ecx = cpu->hyperv_limits[1];
        *edx = cpu->hyperv_limits[2];
        break;
    }
    return true;
}
