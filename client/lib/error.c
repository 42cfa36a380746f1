// SPDX-License-Identifier: MIT
/* Filling in struct azblob_error. */
#include "driver.h"

#include <stdio.h>
#include <string.h>

void azc_error_clear(struct azblob_error *error)
{
	if (error)
		memset(error, 0, sizeof(*error));
}

int azc_fail(struct azblob_error *error, enum azblob_error_kind kind, const char *format, ...)
{
	va_list args;

	if (!error)
		return -1;
	azc_error_clear(error);
	error->kind = kind;
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return -1;
}

int azc_fail_errno(struct azblob_error *error, enum azblob_error_kind kind, int sys_errno,
		   const char *format, ...)
{
	char text[128];
	size_t used;
	va_list args;

	if (!error)
		return -1;
	azc_error_clear(error);
	error->kind = kind;
	error->sys_errno = sys_errno;
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	used = strlen(error->message);
	snprintf(error->message + used, sizeof(error->message) - used, ": %s",
		 strerror_r(sys_errno, text, sizeof(text)));
	return -1;
}

int azc_fail_memory(struct azblob_error *error)
{
	return azc_fail(error, AZBLOB_RESOURCES, "out of memory");
}

int azc_copy_options(void *options, size_t size, const void *given, size_t given_size)
{
	const unsigned char *bytes = given;

	if (given_size < sizeof(size_t))
		return -1;
	for (size_t i = size; i < given_size; i++)
		if (bytes[i])
			return -1;
	memset(options, 0, size);
	memcpy(options, given, given_size < size ? given_size : size);
	return 0;
}

const char *azblob_kind_text(int kind)
{
	static const char *const texts[] = {
		[AZBLOB_OK] = "success",
		[AZBLOB_BAD_ARGUMENT] = "bad argument",
		[AZBLOB_TRANSPORT] = "transport failure",
		[AZBLOB_SERVICE] = "error of the service",
		[AZBLOB_CHECKSUM] = "wrong checksum",
		[AZBLOB_LOCAL_IO] = "local input or output failure",
		[AZBLOB_CANCELLED] = "cancelled",
		[AZBLOB_RESOURCES] = "out of resources",
	};

	if (kind < 0 || (size_t)kind >= sizeof(texts) / sizeof(texts[0]))
		return "unknown kind of error";
	return texts[kind];
}

const char *azblob_link_status_text(uint32_t status)
{
	enum azc_failure failure;

	return status ? azc_link_text(status, &failure) : "success";
}
