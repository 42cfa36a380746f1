// SPDX-License-Identifier: MIT
#include "secret.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../base/base64.h"

#define MAX_SECRET 8192u

struct reader {
	char *error;
	size_t error_size;
};

static bool bad(const struct reader *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool bad(const struct reader *r, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(r->error, r->error_size, format, list);
	va_end(list);
	return false;
}

/* A file with one line, which others must not be able to read. */
static bool read_line(const struct reader *r, const char *name, const char *path,
		      char text[MAX_SECRET])
{
	FILE *file = fopen(path, "re");
	struct stat st;
	size_t n;

	if (!file)
		return bad(r, "azure: %s=%s: %m", name, path);
	if (!fstat(fileno(file), &st) && S_ISREG(st.st_mode) && st.st_mode & 077) {
		fclose(file);
		return bad(r, "azure: %s=%s: others may read or change it: chmod 600 it", name,
			   path);
	}
	n = fread(text, 1, MAX_SECRET, file);
	fclose(file);
	if (n == MAX_SECRET)
		return bad(r, "azure: %s=%s: too long for one", name, path);
	text[n] = 0;
	text[strcspn(text, "\r\n")] = 0;
	return *text || bad(r, "azure: %s=%s: its first line is empty", name, path);
}

static bool read_key(const struct reader *r, struct az_secret *secret, const char *path)
{
	char text[MAX_SECRET];
	bool fine = read_line(r, "key-file", path, text);

	if (fine) {
		ssize_t n = azb_base64_decode(secret->key, AZ_MAX_KEY, text, strlen(text));

		fine = n > 0 ||
		       bad(r, "azure: key-file=%s: an account's key in base64 is accepted", path);
		secret->key_length = n > 0 ? (size_t)n : 0;
	}
	OPENSSL_cleanse(text, sizeof(text));
	return fine;
}

static bool read_sas(const struct reader *r, struct az_secret *secret, const char *path)
{
	char text[MAX_SECRET];
	bool fine = read_line(r, "sas-file", path, text);

	if (fine) {
		const char *start = strchr(text, '?');

		start = start ? start + 1 : text;
		if (!strstr(start, "sig=") || strpbrk(start, " \t#")) {
			fine = bad(r,
				   "azure: sas-file=%s: a shared access signature is accepted, as "
				   "sv=...&sig=...",
				   path);
		} else {
			secret->sas = strdup(start);
			fine = secret->sas || bad(r, "azure: out of memory");
		}
	}
	OPENSSL_cleanse(text, sizeof(text));
	return fine;
}

bool az_secret_read(struct az_secret *secret, const char *key_file, const char *sas_file,
		    char *error, size_t error_size)
{
	struct reader r = { error, error_size };

	memset(secret, 0, sizeof(*secret));
	if (key_file)
		return read_key(&r, secret, key_file);
	if (sas_file)
		return read_sas(&r, secret, sas_file);
	return true;
}

void az_secret_free(struct az_secret *secret)
{
	OPENSSL_cleanse(secret->key, sizeof(secret->key));
	if (secret->sas)
		OPENSSL_cleanse(secret->sas, strlen(secret->sas));
	free(secret->sas);
	secret->sas = NULL;
	secret->key_length = 0;
}
