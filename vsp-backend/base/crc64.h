/* SPDX-License-Identifier: MIT */
/*
 * CRC-64/NVME, the checksum of x-ms-content-crc64: polynomial 0xad93d23594c93659,
 * reflected (0x9a6c9329ac4bc9b5), starts at all ones and is inverted at the end.
 * The check value of "123456789" is 0xae8b14860a799888.
 */
#ifndef AZB_CRC64_H
#define AZB_CRC64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * azb_crc64 - the checksum of bytes that may come in several pieces
 * @crc: 0 for the first piece, later what the call for the piece before gave.
 *
 * The way of computing is chosen once, at the first call: carry-less multiply
 * where the CPU has it, tables otherwise.  The environment variable
 * AZBLOB_CRC64=table|pclmul chooses instead; one that can't be had is ignored.
 * Any thread, no allocation.
 */
uint64_t azb_crc64(uint64_t crc, const void *data, size_t length);

/**
 * azb_crc64_combine - the checksum of A followed by B, from those of A and B
 * @length_b: bytes of B.
 */
uint64_t azb_crc64_combine(uint64_t crc_a, uint64_t crc_b, uint64_t length_b);

/*
 * The same for many B of one length: azb_crc64_join() with azb_crc64_power(length_b) takes a
 * twentieth of the time of azb_crc64_combine().
 */
uint64_t azb_crc64_power(uint64_t length_b);
uint64_t azb_crc64_join(uint64_t crc_a, uint64_t crc_b, uint64_t power);

/* The name of the way in use: "pclmul" or "table". */
const char *azb_crc64_method(void);

/*
 * One way by itself, for tests.  azb_crc64_pclmul() returns false, and leaves
 * *crc alone, where the CPU can't.
 */
uint64_t azb_crc64_table(uint64_t crc, const void *data, size_t length);
bool azb_crc64_pclmul(uint64_t *crc, const void *data, size_t length);

#endif
