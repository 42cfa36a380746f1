// SPDX-License-Identifier: MIT
/* A bearer token. */
#include "fuzz.h"

#include "blob/request.h"
#include "blob/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tokens *tokens;
	struct auth auth = { 0 };
	char *text = fuzz_string(data, size);

	if (!tokens)
		tokens = tokens_new();
	tokens_check(tokens, text, size, "acc", &auth);
	free(text);
	return 0;
}
