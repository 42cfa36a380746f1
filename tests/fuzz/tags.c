// SPDX-License-Identifier: MIT
/* Expressions over tags. */
#include "fuzz.h"

#include "store/store_info.h"
#include "store/tagexpr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char pairs[] = "colour\0red\0size\0"
				    "5";
	struct store_meta tags = { pairs, sizeof(pairs) };
	bool find = fuzz_choice(&data, &size, 2);
	const struct tagexpr_term *terms;
	struct tagexpr *expression;
	char error[200] = "";
	char *text = fuzz_string(data, size);

	expression = tagexpr_parse(text, find, error, sizeof(error));
	if (expression) {
		tagexpr_holds(expression, &tags);
		must(tagexpr_terms(expression, &terms) > 0);
	} else {
		must(*error);
	}
	tagexpr_free(expression);
	free(text);
	return 0;
}
