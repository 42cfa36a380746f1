/* SPDX-License-Identifier: MIT */
/*
 * The fields of a shared access signature and the strings that are signed ("Create an account
 * SAS", "Create a service SAS", "Create a user delegation SAS" in Azure's reference).  Nothing
 * here decides: auth_sas.c does.  No state, any thread.
 */
#ifndef AZBLOB_BLOB_SAS_H
#define AZBLOB_BLOB_SAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/buf.h"
#include "target.h"

/* Versions that changed a string-to-sign; sv compares as text. */
#define SAS_VERSION_OLDEST "2015-04-05"
#define SAS_VERSION_RESOURCE "2018-11-09"  /* sr and the snapshot's time are signed */
#define SAS_VERSION_AGENT "2020-02-10"     /* user delegation: saoid, suoid, scid */
#define SAS_VERSION_SCOPE "2020-12-06"     /* ses */
#define SAS_VERSION_DELEGATED "2025-07-05" /* user delegation: skdutid, sduoid */
#define SAS_VERSION_DYNAMIC "2026-04-06"   /* user delegation: srh, srq */

enum sas_kind {
	SAS_ACCOUNT,
	SAS_SERVICE,
	SAS_USER, /* signed with a user delegation key */
};

/**
 * struct sas - what the query says
 * Strings are decoded, point into the target, and are "" when absent.  @si is NULL when absent.
 */
struct sas {
	enum sas_kind kind;
	const char *sig, *sv, *sp, *st, *se, *sip, *spr, *ses;
	const char *ss, *srt;
	const char *sr, *si;
	const char *rscc, *rscd, *rsce, *rscl, *rsct;
	const char *skoid, *sktid, *skt, *ske, *sks, *skv;
	const char *saoid, *suoid, *scid, *skdutid, *sduoid, *srh, *srq;
};

/* Reads the query.  NULL, or what is wrong with it, for a person. */
const char *sas_read(struct sas *sas, const struct target *target);

/*
 * Adds the string-to-sign to @out; out->failed says that memory was short.
 * @account: as the request names it.  @head: for srh.
 * False: a header or parameter that srh or srq names is not there.
 */
bool sas_string(const struct sas *sas, const struct target *target, const struct head *head,
		struct azb_buf *out);

/* The bytes of a user delegation key: HMAC of who and when by an account's key. */
#define SAS_DELEGATION_KEY 32u
bool sas_delegation_key(const void *account_key, size_t length, const struct sas *sas,
			uint8_t key[SAS_DELEGATION_KEY]);

/* The bit of a permission's letter; 0 for what is none. */
uint32_t sas_bit(char letter);
/* The bits of "racwd" and so on; unknown letters are left out. */
uint32_t sas_bits(const char *letters);

/*
 * Whether @address (numeric IPv4 or IPv6) is the one of @sip, or in its range "A-B".  False too
 * when either is malformed.
 */
bool sas_address_fits(const char *sip, const char *address);

#endif /* AZBLOB_BLOB_SAS_H */
