/* SPDX-License-Identifier: MIT */
/*
 * A multiboot program for one processor in 32-bit protected mode without paging,
 * what a second processor does after its start-up interrupt, and the interrupt
 * entries.  The C side is in lib.c.
 */
#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x00000002	/* memory information, wanted for nothing */

#define CODE_SEG 0x08
#define DATA_SEG 0x10
#define AP_STACK_SIZE 0x1000

	.section .multiboot, "a"
	.align 4
	.long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

	.text
	.globl _start
_start:
	cli
	lgdt	gdt_pointer
	ljmp	$CODE_SEG, $1f
1:	mov	$DATA_SEG, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$stack_top, %esp
	push	%ebx			/* multiboot information */
	call	guest_main
2:	cli
	hlt
	jmp	2b

	/* Copied below 64 KiB, where a start-up interrupt can send a processor. */
	.globl ap_trampoline, ap_trampoline_end
	.code16
ap_trampoline:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	lgdtl	gdt_pointer_low - ap_trampoline + 0x8000
	mov	%cr0, %eax
	or	$1, %eax
	mov	%eax, %cr0
	ljmpl	$CODE_SEG, $ap_start
	.align 4
gdt_pointer_low:
	.word	gdt_end - gdt - 1
	.long	gdt
ap_trampoline_end:
	.code32
ap_start:
	mov	$DATA_SEG, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$ap_stack_top, %esp
	call	ap_main
3:	cli
	hlt
	jmp	3b

	/* void run_in_user_mode(void (*function)(void)); comes back by a fault */
	.globl run_in_user_mode
run_in_user_mode:
	mov	4(%esp), %eax
	pushl	%ebx
	pushl	%esi
	pushl	%edi
	pushl	%ebp
	mov	%esp, kernel_esp
	mov	%esp, tss + 4
	movl	$user_return, recover_eip
	pushl	$0x23			/* user data, rpl 3 */
	pushl	$user_stack_top
	pushl	$0x2
	pushl	$0x1b			/* user code, rpl 3 */
	pushl	%eax
	iret
user_return:
	mov	kernel_esp, %esp
	mov	$DATA_SEG, %ax
	mov	%ax, %ds
	mov	%ax, %es
	popl	%ebp
	popl	%edi
	popl	%esi
	popl	%ebx
	ret

	/*
	 * Faults: note the vector and go on at recover_eip, in kernel mode.  From
	 * user mode the processor has switched to tss.esp0 for the frame.
	 */
	.globl fault_ud, fault_gp, fault_other
fault_gp:
	movl	$13, fault_vector
	jmp	recover
fault_ud:
	movl	$6, fault_vector
	jmp	recover_no_code
fault_other:
	movl	$255, fault_vector
recover_no_code:
	push	$0
recover:
	/* error code, eip, cs, eflags [, esp, ss] */
	testl	$3, 8(%esp)
	jnz	4f
	pushl	recover_eip
	popl	4(%esp)
	add	$4, %esp
	iret
4:	jmp	*recover_eip

	.globl interrupt_sint
interrupt_sint:
	lock incl sint_count
	push	%eax
	mov	$0xfee000b0, %eax	/* end of interrupt */
	movl	$0, (%eax)
	pop	%eax
	iret

	.globl interrupt_spurious
interrupt_spurious:
	iret

	.data
	.align 8
	.globl gdt_tss
gdt:	.quad	0
	.quad	0x00cf9a000000ffff	/* 08 code */
	.quad	0x00cf92000000ffff	/* 10 data */
	.quad	0x00cffa000000ffff	/* 18 user code */
	.quad	0x00cff2000000ffff	/* 20 user data */
gdt_tss:
	.quad	0			/* 28 task, filled in by lib.c */
gdt_end:
gdt_pointer:
	.word	gdt_end - gdt - 1
	.long	gdt
	.globl recover_eip, fault_vector, sint_count
recover_eip:	.long 0
fault_vector:	.long 0
sint_count:	.long 0
kernel_esp:	.long 0
	.align 16
	.globl tss
tss:	.long	0, 0, DATA_SEG
	.fill	23, 4, 0

	.bss
	.align 16
	.skip	0x4000
stack_top:
	.skip	AP_STACK_SIZE
ap_stack_top:
	.skip	0x1000
user_stack_top:

	.section .note.GNU-stack, "", @progbits
