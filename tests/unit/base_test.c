/* SPDX-License-Identifier: MIT */
/* What both sides share: CRC-64/NVME, base64, the growing buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/crc64.h"
#include "base/plain.h"

/* Bit by bit, from the definition. */
static uint64_t slow_crc64(const unsigned char *p, size_t length)
{
	uint64_t crc = ~UINT64_C(0);

	while (length--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc & 1 ? (crc >> 1) ^ UINT64_C(0x9a6c9329ac4bc9b5) : crc >> 1;
	}
	return ~crc;
}

static void fill(unsigned char *p, size_t length)
{
	uint32_t x = 12345;

	while (length--) {
		x = x * 1664525 + 1013904223;
		*p++ = (unsigned char)(x >> 24);
	}
}

static void crc64_of_the_check_string(void **state)
{
	uint64_t crc = 0;

	(void)state;
	assert_true(azb_crc64(0, "123456789", 9) == UINT64_C(0xae8b14860a799888));
	assert_true(azb_crc64_table(0, "123456789", 9) == UINT64_C(0xae8b14860a799888));
	if (azb_crc64_pclmul(&crc, "123456789", 9))
		assert_true(crc == UINT64_C(0xae8b14860a799888));
	assert_true(azb_crc64(0, "", 0) == 0);
}

static void crc64_every_way_at_every_length_and_alignment(void **state)
{
	static unsigned char bytes[1024];

	(void)state;
	fill(bytes, sizeof(bytes));
	for (size_t at = 0; at < 17; at++)
		for (size_t n = 0; n + at < sizeof(bytes); n += n < 300 ? 1 : 37) {
			uint64_t want = slow_crc64(bytes + at, n);
			uint64_t crc = 0;

			assert_true(azb_crc64_table(0, bytes + at, n) == want);
			assert_true(azb_crc64(0, bytes + at, n) == want);
			if (azb_crc64_pclmul(&crc, bytes + at, n))
				assert_true(crc == want);
		}
}

static void crc64_in_pieces_is_the_crc64_of_the_whole(void **state)
{
	static unsigned char bytes[5000];

	(void)state;
	fill(bytes, sizeof(bytes));
	for (size_t cut = 0; cut <= sizeof(bytes); cut += 113) {
		uint64_t crc = azb_crc64(0, bytes, cut);

		crc = azb_crc64(crc, bytes + cut, sizeof(bytes) - cut);
		assert_true(crc == slow_crc64(bytes, sizeof(bytes)));
	}
}

static void crc64_combine_joins_two_checksums(void **state)
{
	static unsigned char bytes[70000];
	uint64_t whole;

	(void)state;
	fill(bytes, sizeof(bytes));
	whole = azb_crc64(0, bytes, sizeof(bytes));
	for (size_t cut = 0; cut <= sizeof(bytes); cut += 6997)
		assert_true(azb_crc64_combine(azb_crc64(0, bytes, cut),
					      azb_crc64(0, bytes + cut, sizeof(bytes) - cut),
					      sizeof(bytes) - cut) == whole);
	/* lengths that no buffer has: 2^40 zeros, doubled from 1 MiB of them */
	memset(bytes, 0, sizeof(bytes));
	uint64_t zeros = azb_crc64(0, bytes, 65536);
	uint64_t length = 65536;

	for (; length < UINT64_C(1) << 40; length *= 2)
		zeros = azb_crc64_combine(zeros, zeros, length);
	assert_true(azb_crc64_combine(azb_crc64_combine(0, zeros, length), whole, 70000) ==
		    azb_crc64_combine(zeros, whole, 70000));
}

static void base64_round_trip_of_every_short_length(void **state)
{
	unsigned char bytes[64], back[64];
	char text[AZB_BASE64_LENGTH(64) + 1];

	(void)state;
	fill(bytes, sizeof(bytes));
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		size_t length = azb_base64_encode(text, bytes, n);

		assert_int_equal(length, AZB_BASE64_LENGTH(n));
		assert_int_equal(strlen(text), length);
		assert_int_equal(azb_base64_decode(back, n, text, length), n);
		assert_memory_equal(back, bytes, n);
		if (n)
			assert_int_equal(azb_base64_decode(back, n - 1, text, length), -1);
	}
}

static void base64_of_known_texts(void **state)
{
	char text[16];

	(void)state;
	azb_base64_encode(text, "foob", 4);
	assert_string_equal(text, "Zm9vYg==");
	azb_base64_encode(text, "fooba", 5);
	assert_string_equal(text, "Zm9vYmE=");
	azb_base64_encode(text, "\xff\xfe\xfd", 3);
	assert_string_equal(text, "//79");
}

static void base64_decode_refuses_what_is_not_canonical(void **state)
{
	static const char *const bad[] = {
		"Zg=",   "Zg",       "Zm9",  "Z===",  "====", "Zh==", "Zm9=",     "Zm8 ",
		"Zm\n8", "Zg==Zg==", "Z-_8", "Zm9v=", "=Zm9", "Zg=v", "Zm9vYg=\n"
	};
	unsigned char out[16];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(azb_base64_decode(out, sizeof(out), bad[i], strlen(bad[i])), -1);
}

static void buf_grows_and_ends_with_zero(void **state)
{
	struct azb_buf buf = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		azb_buf_printf(&buf, "%d,", i);
	azb_buf_add(&buf, "\0x", 2);
	assert_false(buf.failed);
	assert_int_equal(buf.length, 10 * 2 + 90 * 3 + 900 * 4 + 2);
	assert_int_equal(buf.data[buf.length], 0);
	azb_buf_reset(&buf);
	assert_int_equal(buf.length, 0);
	azb_buf_puts(&buf, "again");
	assert_string_equal(buf.data, "again");
	azb_buf_free(&buf);
	assert_null(buf.data);
}

static void plain_run_stops_at_every_control_character_and_nowhere_else(void **state)
{
	char text[40];

	(void)state;
	for (unsigned int c = 0; c < 256; c++) {
		bool plain = c >= 0x20 && c != 0x7f;

		for (size_t length = 1; length <= sizeof(text); length++) {
			for (size_t at = 0; at < length; at++) {
				memset(text, at & 1 ? 0x80 : ' ', sizeof(text));
				text[at] = (char)c;
				assert_int_equal(azb_plain_run(text, length), plain ? length : at);
			}
		}
	}
	assert_int_equal(azb_plain_run(text, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc64_of_the_check_string),
		cmocka_unit_test(crc64_every_way_at_every_length_and_alignment),
		cmocka_unit_test(crc64_in_pieces_is_the_crc64_of_the_whole),
		cmocka_unit_test(crc64_combine_joins_two_checksums),
		cmocka_unit_test(base64_round_trip_of_every_short_length),
		cmocka_unit_test(base64_of_known_texts),
		cmocka_unit_test(base64_decode_refuses_what_is_not_canonical),
		cmocka_unit_test(buf_grows_and_ends_with_zero),
		cmocka_unit_test(plain_run_stops_at_every_control_character_and_nowhere_else),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
