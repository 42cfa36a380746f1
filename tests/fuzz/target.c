// SPDX-License-Identifier: MIT
/* A target: names, parameters, and a shared access signature with what is signed of it. */
#include "fuzz.h"

#include "blob/sas.h"
#include "blob/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct head head = { .field = { { { "Host", 4 }, { "acc.blob.h", 10 } } },
			     .field_count = 1 };
	struct target target;
	char *text;

	if (fuzz_choice(&data, &size, 2))
		head.field[0].value = (struct head_str){ "h", 1 };
	text = fuzz_string(data, size);
	head.method = (struct head_str){ "GET", 3 };
	head.target = (struct head_str){ text, size };
	if (size && target_parse(&target, &head) == TARGET_OK) {
		struct azb_buf string = { 0 };
		struct sas sas;

		must(target.account && *target.account);
		must(!target.blob || target.container);
		if (!sas_read(&sas, &target)) {
			uint8_t key[SAS_DELEGATION_KEY];

			sas_string(&sas, &target, &head, &string);
			sas_delegation_key("k", 1, &sas, key);
			sas_address_fits(sas.sip, "10.0.0.5");
			sas_bits(sas.sp);
		}
		azb_buf_free(&string);
		target_free(&target);
	}
	if (size && target_parse_web(&target, &head) == TARGET_OK)
		target_free(&target);
	free(text);
	return 0;
}
