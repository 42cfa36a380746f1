/* SPDX-License-Identifier: MIT */
/*
 * CRC-64/NVME by carry-less multiply or by tables.
 *
 * Bits are reflected: in a 64-bit word, bit i stands for x^(63 - i).  All constants are
 * made from the polynomial at the first use.
 */
#include "base/crc64.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

/* 0xad93d23594c93659 reflected; NVM Express NVM Command Set 1.0, 5.2.1.3.4 */
#define POLY UINT64_C(0x9a6c9329ac4bc9b5)
#define ONE (UINT64_C(1) << 63) /* the polynomial 1 */
#define SLICES 8

/* tables[k][b]: byte b followed by k zero bytes. */
static uint64_t tables[SLICES][256];
/* powers[n]: x^(2^n) mod POLY, n to 66 so that any number of bits of 2^64 bytes works */
static uint64_t powers[67];
static bool use_pclmul;
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;
static pthread_once_t choice_once = PTHREAD_ONCE_INIT;

/* a * b mod POLY */
static uint64_t multiply(uint64_t a, uint64_t b)
{
	uint64_t product = 0;

	for (uint64_t bit = ONE; bit; bit >>= 1) {
		if (a & bit)
			product ^= b;
		b = b & 1 ? (b >> 1) ^ POLY : b >> 1;
	}
	return product;
}

/* x^(n * 2^shift) mod POLY */
static uint64_t power_of_x(uint64_t n, unsigned int shift)
{
	uint64_t power = ONE;

	for (; n; n >>= 1, shift++)
		if (n & 1)
			power = multiply(powers[shift], power);
	return power;
}

/* What moves the two halves of a 128-bit lane forward by some bits; see fold(). */
static struct {
	uint64_t low, high;
} by_512, by_128;

static void make_tables(void)
{
	for (unsigned int b = 0; b < 256; b++) {
		uint64_t crc = b;

		for (int i = 0; i < 8; i++)
			crc = crc & 1 ? (crc >> 1) ^ POLY : crc >> 1;
		tables[0][b] = crc;
	}
	for (int k = 1; k < SLICES; k++)
		for (unsigned int b = 0; b < 256; b++) {
			uint64_t crc = tables[k - 1][b];

			tables[k][b] = tables[0][crc & 0xff] ^ (crc >> 8);
		}
	powers[0] = ONE >> 1;
	for (int n = 1; n < 67; n++)
		powers[n] = multiply(powers[n - 1], powers[n - 1]);
	/*
	 * The product of two reflected words comes out as if multiplied by x once more
	 * than the lane's own bits say, hence the - 1.
	 */
	by_512.low = power_of_x(512 + 64 - 1, 0);
	by_512.high = power_of_x(512 - 1, 0);
	by_128.low = power_of_x(128 + 64 - 1, 0);
	by_128.high = power_of_x(128 - 1, 0);
}

static uint64_t load64(const unsigned char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word;
}

static uint64_t table_update(uint64_t crc, const unsigned char *p, size_t length)
{
	while (length >= 8) {
		uint64_t w = crc ^ load64(p);

		crc = tables[7][w & 0xff] ^ tables[6][(w >> 8) & 0xff] ^
		      tables[5][(w >> 16) & 0xff] ^ tables[4][(w >> 24) & 0xff] ^
		      tables[3][(w >> 32) & 0xff] ^ tables[2][(w >> 40) & 0xff] ^
		      tables[1][(w >> 48) & 0xff] ^ tables[0][w >> 56];
		p += 8;
		length -= 8;
	}
	while (length--)
		crc = tables[0][(crc ^ *p++) & 0xff] ^ (crc >> 8);
	return crc;
}

#ifdef __x86_64__
#define PCLMUL __attribute__((target("pclmul,sse4.1")))

/* @lane moved forward by the bits that @by stands for, and @next added. */
PCLMUL static inline __m128i fold(__m128i lane, __m128i by, __m128i next)
{
	__m128i low = _mm_clmulepi64_si128(lane, by, 0x00);
	__m128i high = _mm_clmulepi64_si128(lane, by, 0x11);

	return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

PCLMUL static inline __m128i load128(const unsigned char *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* @length is at least 128. */
PCLMUL static uint64_t pclmul_update(uint64_t crc, const unsigned char *p, size_t length)
{
	const __m128i k512 = _mm_set_epi64x((long long)by_512.high, (long long)by_512.low);
	const __m128i k128 = _mm_set_epi64x((long long)by_128.high, (long long)by_128.low);
	__m128i a = _mm_xor_si128(load128(p), _mm_cvtsi64_si128((long long)crc));
	__m128i b = load128(p + 16);
	__m128i c = load128(p + 32);
	__m128i d = load128(p + 48);
	unsigned char rest[16];

	for (p += 64, length -= 64; length >= 64; p += 64, length -= 64) {
		a = fold(a, k512, load128(p));
		b = fold(b, k512, load128(p + 16));
		c = fold(c, k512, load128(p + 32));
		d = fold(d, k512, load128(p + 48));
	}
	a = fold(fold(fold(a, k128, b), k128, c), k128, d);
	for (; length >= 16; p += 16, length -= 16)
		a = fold(a, k128, load128(p));
	_mm_storeu_si128((__m128i *)(void *)rest, a);
	return table_update(table_update(0, rest, sizeof(rest)), p, length);
}

static bool can_pclmul(void)
{
	return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}
#else
static uint64_t pclmul_update(uint64_t crc, const unsigned char *p, size_t length)
{
	return table_update(crc, p, length);
}

static bool can_pclmul(void)
{
	return false;
}
#endif

uint64_t azb_crc64_table(uint64_t crc, const void *data, size_t length)
{
	pthread_once(&tables_once, make_tables);
	return ~table_update(~crc, data, length);
}

bool azb_crc64_pclmul(uint64_t *crc, const void *data, size_t length)
{
	if (!can_pclmul())
		return false;
	pthread_once(&tables_once, make_tables);
	*crc = length >= 128 ? ~pclmul_update(~*crc, data, length)
			     : ~table_update(~*crc, data, length);
	return true;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/*
 * A CPU that has the instruction may still emulate it, slower than the tables are (a
 * guest under TCG): so ask the clock.  The best of a few, as the first runs are cold.
 */
static bool pclmul_is_faster(void)
{
	static const unsigned char probe[16384];
	uint64_t best[2] = { UINT64_MAX, UINT64_MAX };
	volatile uint64_t sink;

	for (int round = 0; round < 6; round++) {
		uint64_t start = now_ns();
		uint64_t took;

		sink = round & 1 ? pclmul_update(0, probe, sizeof(probe))
				 : table_update(0, probe, sizeof(probe));
		took = now_ns() - start;
		if (took < best[round & 1])
			best[round & 1] = took;
	}
	(void)sink;
	return best[1] < best[0];
}

static void choose(void)
{
	const char *wish = getenv("AZBLOB_CRC64");

	pthread_once(&tables_once, make_tables);
	if (!can_pclmul() || (wish && !strcmp(wish, "table")))
		use_pclmul = false;
	else if (wish && !strcmp(wish, "pclmul"))
		use_pclmul = true;
	else
		use_pclmul = pclmul_is_faster();
}

uint64_t azb_crc64(uint64_t crc, const void *data, size_t length)
{
	pthread_once(&choice_once, choose);
	if (use_pclmul && length >= 128)
		return ~pclmul_update(~crc, data, length);
	return ~table_update(~crc, data, length);
}

const char *azb_crc64_method(void)
{
	pthread_once(&choice_once, choose);
	return use_pclmul ? "pclmul" : "table";
}

uint64_t azb_crc64_power(uint64_t length_b)
{
	pthread_once(&tables_once, make_tables);
	return power_of_x(length_b, 3);
}

uint64_t azb_crc64_join(uint64_t crc_a, uint64_t crc_b, uint64_t power)
{
	/* the inversions of the ends cancel out */
	return multiply(power, crc_a) ^ crc_b;
}

uint64_t azb_crc64_combine(uint64_t crc_a, uint64_t crc_b, uint64_t length_b)
{
	/* times x^(8 * length_b) */
	return azb_crc64_join(crc_a, crc_b, azb_crc64_power(length_b));
}
