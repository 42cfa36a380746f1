// SPDX-License-Identifier: MIT
/*
 * A program that is its own operating system: runs the case that its command line
 * names, writes "pass" or why not to port 0xe9 and ends QEMU by port 0xf4.
 */
#include "guest.h"

#define EXIT_PORT 0xf4
#define RESET_PORT 0xcf9
#define APIC_BASE 0xfee00000u
#define APIC_SPURIOUS 0xf0
#define APIC_ICR_LOW 0x300
#define APIC_ICR_HIGH 0x310
#define AP_START 0x8000

/*
 * What a case ends with.  QEMU exits with twice this and one more; 1, with which it also says that
 * it can't go on, is none of these.
 */
#define PASSED 0x10
#define FAILED 0x11
#define NO_SUCH_CASE 0x12

struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper, boot_device;
	const char *cmdline;
	uint32_t mods_count;
	const struct {
		const uint8_t *start, *end;
	} * mods;
};

#define HAS_MODULES 0x08 /* of flags: -initrd was given */

const uint8_t *script, *script_end;

struct gate {
	uint16_t low, segment, type, high;
};

static struct gate idt[256];
extern char fault_ud[], fault_gp[], fault_other[], interrupt_sint[], interrupt_spurious[];
extern char ap_trampoline[], ap_trampoline_end[];
extern uint8_t gdt_tss[8];
extern uint32_t tss[26];
extern volatile uint32_t recover_eip, fault_vector;
void run_in_user_mode(void (*function)(void));
void guest_main(const struct multiboot_info *info);
void ap_main(void);

static uint8_t __attribute__((aligned(4096))) hypercall_page[4096];
static void (*volatile ap_function)(void);

/* gcc makes calls of these on its own. */
void *memcpy(void *to, const void *from, unsigned int n);
void *memset(void *to, int c, unsigned int n);

void *memcpy(void *to, const void *from, unsigned int n)
{
	void *ret = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
	return ret;
}

void *memset(void *to, int c, unsigned int n)
{
	void *ret = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
	return ret;
}

void outb(uint16_t port, uint8_t val)
{
	__asm__ volatile("outb %0, %1" ::"a"(val), "Nd"(port));
}

uint8_t inb(uint16_t port)
{
	uint8_t val;

	__asm__ volatile("inb %1, %0" : "=a"(val) : "Nd"(port));
	return val;
}

static void print(const char *s)
{
	for (; *s; s++)
		outb(DEBUG_PORT, *s);
}

static void print_number(uint32_t n)
{
	if (n >= 10)
		print_number(n / 10);
	outb(DEBUG_PORT, '0' + n % 10);
}

static void __attribute__((noreturn)) end(uint8_t status)
{
	outb(EXIT_PORT, status);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void fail(const char *what, const char *file, int line)
{
	print(file);
	print(":");
	print_number(line);
	print(": ");
	print(what);
	print("\n");
	end(FAILED);
}

void tell(const char *word)
{
	print(word);
	print("\n");
}

static bool same(const char *a, const char *b)
{
	for (; *a == *b; a++, b++)
		if (!*a)
			return true;
	return false;
}

/* --- instructions that may fault --- */

#define CATCH(instruction, ...)                                                               \
	do {                                                                                  \
		fault_vector = 0;                                                             \
		__asm__ volatile("movl $9f, recover_eip\n\t" instruction "\n9:" __VA_ARGS__); \
	} while (0)

int rdmsr_fault(uint32_t msr, uint64_t *val)
{
	uint64_t got = 0;

	CATCH("rdmsr", : "+A"(got) : "c"(msr) : "memory");
	*val = got;
	return fault_vector;
}

int wrmsr_fault(uint32_t msr, uint64_t val)
{
	CATCH("wrmsr", ::"A"(val), "c"(msr) : "memory");
	return fault_vector;
}

int vmmcall_fault(void)
{
	uint32_t a = 0, b = 0, c = 0, d = 0;

	CATCH("vmmcall", : "+a"(a), "+b"(b), "+c"(c), "+d"(d)::"memory");
	return fault_vector;
}

static void user_vmmcall(void)
{
	__asm__ volatile("vmmcall" ::"a"(0), "b"(0), "c"(0), "d"(0) : "memory");
	/* Privileged: whatever the first did, this ends user mode. */
	__asm__ volatile("hlt");
}

int vmmcall_user_mode_fault(void)
{
	fault_vector = 0;
	run_in_user_mode(user_vmmcall);
	return fault_vector;
}

uint64_t rdmsr(uint32_t msr)
{
	uint64_t val;

	CHECK(rdmsr_fault(msr, &val) == 0);
	return val;
}

void wrmsr(uint32_t msr, uint64_t val)
{
	CHECK(wrmsr_fault(msr, val) == 0);
}

void cpuid(uint32_t leaf, uint32_t r[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "a"(leaf), "c"(0));
}

/* --- hypercalls --- */

void enable_hypercalls(void)
{
	wrmsr(HV_MSR_GUEST_OS_ID, 1);
	wrmsr(HV_MSR_HYPERCALL, (uint32_t)hypercall_page | 1);
}

uint16_t hypercall(uint64_t input, uint64_t in_param)
{
	uint32_t a = input, d = input >> 32, b = in_param >> 32, c = in_param;

	/* 32-bit convention: edx:eax what, ebx:ecx parameter, edi:esi output */
	__asm__ volatile("call *%[page]"
			 : "+a"(a), "+d"(d), "+b"(b), "+c"(c)
			 : [page] "m"((void *){ hypercall_page }), "D"(0), "S"(0)
			 : "memory", "cc");
	CHECK(d == 0);
	CHECK(a >> 16 == 0);
	return a;
}

/* --- interrupts, processors --- */

static volatile uint32_t *apic(uint32_t reg)
{
	return (volatile uint32_t *)(APIC_BASE + reg);
}

void interrupts_on(void)
{
	*apic(APIC_SPURIOUS) = 0x1ff;
	__asm__ volatile("sti" ::: "memory");
}

void interrupts_off(void)
{
	__asm__ volatile("cli" ::: "memory");
}

static void send_ipi(uint32_t to, uint32_t what)
{
	*apic(APIC_SPURIOUS) = 0x1ff;
	*apic(APIC_ICR_HIGH) = to << 24;
	*apic(APIC_ICR_LOW) = what;
}

void init_second_cpu(void)
{
	send_ipi(1, 0x4500);
}

void start_second_cpu(void (*function)(void))
{
	ap_function = function;
	memcpy((void *)AP_START, ap_trampoline, ap_trampoline_end - ap_trampoline);
	init_second_cpu();
	send_ipi(1, 0x4600 | AP_START >> 12);
}

void ap_main(void)
{
	struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, (uint32_t)idt };

	__asm__ volatile("lidt %0" ::"m"(pointer));
	ap_function();
}

void reset_machine(void)
{
	outb(RESET_PORT, 0x06);
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void set_gate(int vector, char *entry)
{
	idt[vector].low = (uint32_t)entry;
	idt[vector].high = (uint32_t)entry >> 16;
	idt[vector].segment = 0x08;
	idt[vector].type = 0x8e00;
}

static void set_up(void)
{
	struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, (uint32_t)idt };
	uint32_t base = (uint32_t)tss;

	for (int v = 0; v < 32; v++)
		set_gate(v, fault_other);
	set_gate(FAULT_UD, fault_ud);
	set_gate(FAULT_GP, fault_gp);
	for (int v = 32; v < 256; v++)
		set_gate(v, interrupt_spurious);
	set_gate(SINT_VECTOR, interrupt_sint);
	__asm__ volatile("lidt %0" ::"m"(pointer));

	gdt_tss[0] = sizeof(tss) - 1;
	gdt_tss[2] = base;
	gdt_tss[3] = base >> 8;
	gdt_tss[4] = base >> 16;
	gdt_tss[5] = 0x89;
	gdt_tss[7] = base >> 24;
	__asm__ volatile("ltr %w0" ::"r"(0x28));

	/* The timer's interrupts are none of our business. */
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}

static bool run_case(const struct test_case *cases, const char *name)
{
	for (; cases->name; cases++)
		if (same(cases->name, name)) {
			cases->run();
			return true;
		}
	return false;
}

/* The last word of the command line, which begins with the program's name */
static const char *last_word(const char *s)
{
	const char *word = s;

	for (; *s; s++)
		if (*s == ' ')
			word = s + 1;
	return word;
}

void guest_main(const struct multiboot_info *info)
{
	const char *name = last_word(info->cmdline);

	if ((info->flags & HAS_MODULES) && info->mods_count) {
		script = info->mods->start;
		script_end = info->mods->end;
	}
	set_up();
	for (int i = 0; all_cases[i]; i++)
		if (run_case(all_cases[i], name)) {
			print("pass\n");
			end(PASSED);
		}
	print("no such case: ");
	print(name);
	print("\n");
	end(NO_SUCH_CASE);
}
