/* SPDX-License-Identifier: MIT */
/*
 * libazblob: shared access signatures (SAS), as a credential and for others.  Part of <azblob.h>,
 * whose rules hold here.
 */
#ifndef AZBLOB_SAS_H
#define AZBLOB_SAS_H

#include "azblob.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * "sv=...&sig=...", with or without a "?" before it: the credential of connections where there is
 * no key.  The account may then be left out; it is taken from the endpoint.  It is a secret: no
 * message quotes it.
 */
int azblob_config_set_sas(azblob_config *config, const char *token, struct azblob_error *error);

/**
 * struct azblob_sas_options - what is allowed to whom
 * @permissions: letters, in any order: r(ead), a(dd), c(reate), w(rite), d(elete), l(ist), t(ags),
 *	x and y (versions), and so on.
 * @start, @expiry: "2026-01-02T03:04:05Z", also without the time or its seconds.  @start may be
 *NULL.
 * @ip: an address or "FIRST-LAST", or NULL.
 * @https_only: not 0: only over https.
 * @policy: a stored access policy of the container, which may say permissions and times instead; or
 *	NULL.
 * @resource_types: of an account SAS: letters of s(ervice), c(ontainer), o(bject); NULL: all.
 * @cache_control and the rest: what downloads are answered with, or NULL; not in an account SAS.
 */
struct azblob_sas_options {
	size_t struct_size;
	const char *permissions;
	const char *start;
	const char *expiry;
	const char *ip;
	const char *policy;
	const char *resource_types;
	const char *cache_control;
	const char *content_disposition;
	const char *content_encoding;
	const char *content_language;
	const char *content_type;
	int https_only;
};
#define AZBLOB_SAS_OPTIONS_INIT                                                                    \
	{                                                                                          \
		sizeof(struct azblob_sas_options), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
			NULL, NULL, NULL, 0                                                        \
	}

/*
 * Makes a SAS with the connection's key; nothing is sent.  For a blob; a snapshot of it when
 * @snapshot is not NULL; a container when @blob is NULL; the account when both are.  *token is what
 * follows the "?" (or, of a snapshot, the "&") of an address, and freed with azblob_text_free().
 */
int azblob_make_sas(azblob_conn *conn, const char *container, const char *blob,
		    const char *snapshot, const struct azblob_sas_options *options, char **token,
		    struct azblob_error *error);

#ifdef __cplusplus
}
#endif

#endif /* AZBLOB_SAS_H */
