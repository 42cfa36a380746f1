/* SPDX-License-Identifier: MIT */
/*
 * What the cases of the bare Hyper-V guest are made of: registers, hypercalls,
 * faults caught, one line of outcome.
 */
#ifndef HV_GUEST_H
#define HV_GUEST_H

#include <stdbool.h>
#include <stdint.h>

/* Numbers from Microsoft's Hypervisor Top-Level Functional Specification */
#define HV_MSR_GUEST_OS_ID 0x40000000
#define HV_MSR_HYPERCALL 0x40000001
#define HV_MSR_VP_INDEX 0x40000002
#define HV_MSR_RESET 0x40000003
#define HV_MSR_TIME_REF_COUNT 0x40000020
#define HV_MSR_REFERENCE_TSC 0x40000021
#define HV_MSR_VP_ASSIST_PAGE 0x40000073
#define HV_MSR_SCONTROL 0x40000080
#define HV_MSR_SVERSION 0x40000081
#define HV_MSR_SIEFP 0x40000082
#define HV_MSR_SIMP 0x40000083
#define HV_MSR_EOM 0x40000084
#define HV_MSR_SINT0 0x40000090
#define HV_MSR_STIMER0_CONFIG 0x400000b0
#define HV_MSR_CRASH_P0 0x40000100
#define HV_MSR_CRASH_CTL 0x40000105
#define HV_SINT_MASKED 0x10000

#define HV_POST_MESSAGE 0x5c
#define HV_SIGNAL_EVENT 0x5d
#define HV_FAST 0x10000

#define HV_SUCCESS 0
#define HV_INVALID_HYPERCALL_CODE 2
#define HV_INVALID_HYPERCALL_INPUT 3
#define HV_INVALID_ALIGNMENT 4
#define HV_INSUFFICIENT_MEMORY 11
#define HV_INVALID_PORT_ID 17
#define HV_INVALID_CONNECTION_ID 18

#define FAULT_UD 6
#define FAULT_GP 13

/* VMBus: its SINT and connection, and the two messages that are used here */
#define VMBUS_SINT 2
#define VMBUS_CONNECTION 1
#define VMBUS_INITIATE_CONTACT 14
#define VMBUS_VERSION_RESPONSE 15
#define VMBUS_VERSION_4_0 0x40000

struct hv_message {
	uint32_t type;
	uint8_t size;
	uint8_t flags; /* bit 0: another one is waiting */
	uint16_t reserved;
	uint64_t sender;
	uint32_t payload[60];
};

struct hv_post_message {
	uint32_t connection;
	uint32_t reserved;
	uint32_t type;
	uint32_t size;
	uint32_t payload[60];
};

/* The vector of SINTs in these cases; its handler counts in sint_count. */
#define SINT_VECTOR 0x50
extern volatile uint32_t sint_count;

/* Ends the case.  The words after it come out as one line. */
void __attribute__((noreturn)) fail(const char *what, const char *file, int line);
#define CHECK(cond) ((cond) ? (void)0 : fail(#cond, __FILE__, __LINE__))

/* These return the vector of the fault the instruction raised, or 0. */
int rdmsr_fault(uint32_t msr, uint64_t *val);
int wrmsr_fault(uint32_t msr, uint64_t val);
int vmmcall_fault(void);
int vmmcall_user_mode_fault(void);

/* These must not fault. */
uint64_t rdmsr(uint32_t msr);
void wrmsr(uint32_t msr, uint64_t val);

void cpuid(uint32_t leaf, uint32_t r[4]);

/* A hypercall through the page set up by enable_hypercalls(). */
void enable_hypercalls(void);
uint16_t hypercall(uint64_t input, uint64_t in_param);

/* Port 0xe9 is the runner's. */
#define DEBUG_PORT 0xe9
#define COM1_DATA 0x3f8
#define COM1_LINE_STATUS 0x3fd
#define COM1_DATA_READY 0x01
void outb(uint16_t port, uint8_t val);
uint8_t inb(uint16_t port);

/* Interrupts of this processor on or off */
void interrupts_on(void);
void interrupts_off(void);

/* True once @cond holds; gives up after what is minutes on any machine. */
#define EVENTUALLY(cond)                                                \
	({                                                              \
		bool met_ = false;                                      \
		for (uint32_t n_ = 0; n_ < 200000000u && !met_; n_++) { \
			met_ = (cond);                                  \
			__asm__ volatile("pause" ::: "memory");         \
		}                                                       \
		met_;                                                   \
	})

/* Runs @function on the second processor, from INIT on; doesn't wait for it. */
void start_second_cpu(void (*function)(void));
void init_second_cpu(void);

/* Resets the machine; main runs again from the start. */
void __attribute__((noreturn)) reset_machine(void);

/* A page for SIMP or SIEFP, and one that keeps its contents over a reset */
#define PAGE_A ((volatile uint8_t *)0x200000)
#define PAGE_B ((volatile uint8_t *)0x201000)
#define PAGE_KEPT ((volatile uint32_t *)0x202000)

struct test_case {
	const char *name;
	void (*run)(void);
};

/* What QEMU's -initrd has put into memory, if it was given */
extern const uint8_t *script, *script_end;

extern const struct test_case msr_cases[];
extern const struct test_case message_cases[];

/* The program's tables, each ended by a case without a name; ended by a NULL. */
extern const struct test_case *const all_cases[];

/* One word for whoever reads port 0xe9, while the case goes on */
void tell(const char *word);

#endif
