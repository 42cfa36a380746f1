/* SPDX-License-Identifier: MIT */
/* Request heads signed with the development account's key, for tests of the real service. */
#ifndef AZBLOB_TESTS_LINK_SIGN_H
#define AZBLOB_TESTS_LINK_SIGN_H

#include <stddef.h>

/* "/devstoreaccount1" */
#define SIGN_ACCOUNT "devstoreaccount1"

/**
 * sign_head() - a whole head, signed with SharedKey
 * @target: path style, for example "/devstoreaccount1/box/blob?comp=block".
 * @headers: lines, each with its CR LF; "" for none.  Host, x-ms-date, x-ms-version and
 *	Authorization are added.
 *
 * Return: @out.  Aborts when it does not fit.
 */
char *sign_head(char *out, size_t room, const char *method, const char *target,
		const char *headers);

#endif /* AZBLOB_TESTS_LINK_SIGN_H */
