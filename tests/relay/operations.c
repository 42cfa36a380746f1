// SPDX-License-Identifier: MIT
/* Prints the relay's table of operations, for test_repeat.py. */
#include <stdio.h>

#include "store/azure/operations.h"

int main(void)
{
	char line[256];

	for (size_t i = 0; az_operation_line(i, line, sizeof(line)); i++)
		puts(line);
	return 0;
}
