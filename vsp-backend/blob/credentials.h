/* SPDX-License-Identifier: MIT */
/* What a request's credentials turned out to be: auth_check() fills it in, permit_check() asks it.
 */
#ifndef AZBLOB_BLOB_CREDENTIALS_H
#define AZBLOB_BLOB_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

enum auth_kind {
	AUTH_NONE, /* no credentials: public access may do */
	AUTH_KEY,
	AUTH_TOKEN,
	AUTH_ACCOUNT_SAS,
	AUTH_SERVICE_SAS, /* and user delegation SAS */
};

/* rscc, rscd, rsce, rscl, rsct. */
#define AUTH_OVERRIDES 5u
/* Object and tenant ids are GUIDs; no longer text is taken for one. */
#define AUTH_MAX_ID 64u

/**
 * struct auth - what a request's credentials open
 * @permissions: of a SAS, bits as sas_bit() has them.
 * @types: resource types of an account SAS.
 * @scope: the SAS names an encryption scope.
 * @create_only: a blob that is there must not be replaced.
 * @override: headers of a blob's answer; NULL for none.  They point into the target.
 * @oid, @tid: of a token: who, and of which tenant; "" for others.
 */
struct auth {
	enum auth_kind kind;
	uint32_t permissions;
	const char *types;
	bool scope;
	bool create_only;
	const char *override[AUTH_OVERRIDES];
	char oid[AUTH_MAX_ID + 1];
	char tid[AUTH_MAX_ID + 1];
};

#endif /* AZBLOB_BLOB_CREDENTIALS_H */
