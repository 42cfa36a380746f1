// SPDX-License-Identifier: MIT
#include "sas.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <strings.h>

#include "isotime.h"

/* All strings of one are smaller than a head. */
#define MAX_NAMES 128u

static const char *param(const struct target *t, const char *name)
{
	const char *value = target_param(t, name);

	return value ? value : "";
}

/* Dates as text, of the same length, so that they compare as such. */
static bool is_version(const char *v)
{
	for (int i = 0; i < 10; i++)
		if (i == 4 || i == 7 ? v[i] != '-' : v[i] < '0' || v[i] > '9')
			return false;
	return !v[10];
}

static bool since(const struct sas *sas, const char *version)
{
	return strcmp(sas->sv, version) >= 0;
}

const char *sas_read(struct sas *sas, const struct target *t)
{
	*sas = (struct sas){
		.sig = param(t, "sig"),
		.sv = param(t, "sv"),
		.sp = param(t, "sp"),
		.st = param(t, "st"),
		.se = param(t, "se"),
		.sip = param(t, "sip"),
		.spr = param(t, "spr"),
		.ses = param(t, "ses"),
		.ss = param(t, "ss"),
		.srt = param(t, "srt"),
		.sr = param(t, "sr"),
		.si = target_param(t, "si"),
		.rscc = param(t, "rscc"),
		.rscd = param(t, "rscd"),
		.rsce = param(t, "rsce"),
		.rscl = param(t, "rscl"),
		.rsct = param(t, "rsct"),
		.skoid = param(t, "skoid"),
		.sktid = param(t, "sktid"),
		.skt = param(t, "skt"),
		.ske = param(t, "ske"),
		.sks = param(t, "sks"),
		.skv = param(t, "skv"),
		.saoid = param(t, "saoid"),
		.suoid = param(t, "suoid"),
		.scid = param(t, "scid"),
		.skdutid = param(t, "skdutid"),
		.sduoid = param(t, "sduoid"),
		.srh = param(t, "srh"),
		.srq = param(t, "srq"),
	};
	if (!*sas->sv)
		return "sv is mandatory. Cannot be empty";
	if (!is_version(sas->sv) || !since(sas, SAS_VERSION_OLDEST))
		return "sv is not well formed; 2015-04-05 is the oldest that is served here";
	if (*sas->ss || *sas->srt) {
		sas->kind = SAS_ACCOUNT;
		if (*sas->sr)
			return "sr is for a service SAS, ss and srt for an account SAS: not both";
		if (!*sas->ss || !*sas->srt || !*sas->sp || !*sas->se)
			return "ss, srt, sp and se are mandatory. Cannot be empty";
		return NULL;
	}
	sas->kind = *sas->skoid ? SAS_USER : SAS_SERVICE;
	if (!*sas->sr)
		return "sr is mandatory. Cannot be empty";
	if (!strcmp(sas->sr, "d"))
		return "sr=d needs a hierarchical namespace, which no account of this server has";
	if (strcmp(sas->sr, "c") != 0 && strcmp(sas->sr, "b") != 0 && strcmp(sas->sr, "bs") != 0 &&
	    strcmp(sas->sr, "bv") != 0)
		return "sr is not valid: c, b, bs and bv are accepted";
	if (sas->kind == SAS_SERVICE)
		return NULL;
	if (!since(sas, SAS_VERSION_RESOURCE))
		return "A user delegation SAS needs sv 2018-11-09 or later";
	if (sas->si)
		return "si is not for a user delegation SAS";
	if (!*sas->sktid || !*sas->skt || !*sas->ske || !*sas->sks || !*sas->skv)
		return "skoid, sktid, skt, ske, sks and skv are mandatory. Cannot be empty";
	if (!*sas->sp || !*sas->se)
		return "sp and se are mandatory. Cannot be empty";
	if (*sas->sduoid && !since(sas, SAS_VERSION_DELEGATED))
		return "sduoid needs sv 2025-07-05 or later";
	if ((*sas->srh || *sas->srq) && !since(sas, SAS_VERSION_DYNAMIC))
		return "srh and srq need sv 2026-04-06 or later";
	return NULL;
}

static void line(struct azb_buf *out, const char *text)
{
	azb_buf_puts(out, text);
	azb_buf_add(out, "\n", 1);
}

static void account_string(const struct sas *sas, const struct target *t, struct azb_buf *out)
{
	line(out, t->account);
	line(out, sas->sp);
	line(out, sas->ss);
	line(out, sas->srt);
	line(out, sas->st);
	line(out, sas->se);
	line(out, sas->sip);
	line(out, sas->spr);
	line(out, sas->sv);
	if (since(sas, SAS_VERSION_SCOPE))
		line(out, sas->ses);
}

/* The container for sr=c, else the blob. */
static void resource(const struct sas *sas, const struct target *t, struct azb_buf *out)
{
	azb_buf_puts(out, "/blob/");
	azb_buf_puts(out, t->account);
	azb_buf_puts(out, "/");
	if (t->container)
		azb_buf_puts(out, t->container);
	if (*sas->sr != 'c' && t->blob) {
		azb_buf_puts(out, "/");
		azb_buf_add(out, t->blob, t->blob_length);
	}
	azb_buf_add(out, "\n", 1);
}

static const char *timestamp(const struct sas *sas, const struct target *t)
{
	if (!strcmp(sas->sr, "bs"))
		return param(t, "snapshot");
	if (!strcmp(sas->sr, "bv"))
		return param(t, "versionid");
	return "";
}

/* "name:value" and a line feed, or one before it, for each name of a list with commas. */
static bool add_named(const char *names, const struct target *t, const struct head *head,
		      struct azb_buf *out)
{
	unsigned int count = 0;

	while (*names) {
		size_t n = strcspn(names, ",");
		char name[256];

		if (!n || n >= sizeof(name) || ++count > MAX_NAMES)
			return false;
		memcpy(name, names, n);
		name[n] = 0;
		if (head) {
			const struct head_str *value = head_get(head, name);

			if (!value)
				return false;
			azb_buf_puts(out, name);
			azb_buf_puts(out, ":");
			azb_buf_add(out, value->at, value->length);
			azb_buf_puts(out, "\n");
		} else {
			const char *value = NULL;

			/* the target's names are in lower case */
			for (size_t i = 0; i < t->param_count && !value; i++)
				if (!strcasecmp(t->param[i].name, name))
					value = t->param[i].value;
			if (!value)
				return false;
			azb_buf_puts(out, "\n");
			azb_buf_puts(out, name);
			azb_buf_puts(out, ":");
			azb_buf_puts(out, value);
		}
		names += n + (names[n] == ',');
	}
	return true;
}

static void user_lines(const struct sas *sas, struct azb_buf *out)
{
	line(out, sas->skoid);
	line(out, sas->sktid);
	line(out, sas->skt);
	line(out, sas->ske);
	line(out, sas->sks);
	line(out, sas->skv);
	if (since(sas, SAS_VERSION_AGENT)) {
		line(out, sas->saoid);
		line(out, sas->suoid);
		line(out, sas->scid);
	}
	if (since(sas, SAS_VERSION_DELEGATED)) {
		line(out, sas->skdutid);
		line(out, sas->sduoid);
	}
}

bool sas_string(const struct sas *sas, const struct target *t, const struct head *head,
		struct azb_buf *out)
{
	if (sas->kind == SAS_ACCOUNT) {
		account_string(sas, t, out);
		return true;
	}
	line(out, sas->sp);
	line(out, sas->st);
	line(out, sas->se);
	resource(sas, t, out);
	if (sas->kind == SAS_USER)
		user_lines(sas, out);
	else
		line(out, sas->si ? sas->si : "");
	line(out, sas->sip);
	line(out, sas->spr);
	line(out, sas->sv);
	if (since(sas, SAS_VERSION_RESOURCE)) {
		line(out, sas->sr);
		line(out, timestamp(sas, t));
	}
	if (since(sas, SAS_VERSION_SCOPE))
		line(out, sas->ses);
	if (sas->kind == SAS_USER && since(sas, SAS_VERSION_DYNAMIC)) {
		if (!add_named(sas->srh, t, head, out))
			return false;
		azb_buf_puts(out, "\n");
		if (!add_named(sas->srq, t, NULL, out))
			return false;
		azb_buf_puts(out, "\n");
	}
	line(out, sas->rscc);
	line(out, sas->rscd);
	line(out, sas->rsce);
	line(out, sas->rscl);
	azb_buf_puts(out, sas->rsct);
	return true;
}

/* One moment has one text, whatever the client made of the one it was given. */
static void time_line(struct azb_buf *out, const char *text)
{
	char plain[ISOTIME_ROOM];
	int64_t ns;

	if (isotime_parse(text, &ns)) {
		isotime_format(plain, ns);
		text = plain;
	}
	line(out, text);
}

bool sas_delegation_key(const void *account_key, size_t length, const struct sas *sas,
			uint8_t key[SAS_DELEGATION_KEY])
{
	struct azb_buf text = { 0 };
	unsigned int n = 0;
	bool good;

	/* no other string that an account's key signs starts like this */
	line(&text, "user-delegation-key");
	line(&text, sas->skoid);
	line(&text, sas->sktid);
	time_line(&text, sas->skt);
	time_line(&text, sas->ske);
	line(&text, sas->sks);
	line(&text, sas->skv);
	line(&text, sas->skdutid);
	good = !text.failed &&
	       HMAC(EVP_sha256(), account_key, (int)length, (const unsigned char *)text.data,
		    text.length, key, &n) &&
	       n == SAS_DELEGATION_KEY;
	azb_buf_free(&text);
	return good;
}

uint32_t sas_bit(char letter)
{
	return letter >= 'a' && letter <= 'z' ? UINT32_C(1) << (letter - 'a') : 0;
}

uint32_t sas_bits(const char *letters)
{
	uint32_t bits = 0;

	for (; *letters; letters++)
		bits |= sas_bit(*letters);
	return bits;
}

/* Bytes in the order of the net: 4 or 16, or 0 for what is no address. */
static size_t address_bytes(const char *text, size_t length, unsigned char bytes[16])
{
	static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	char copy[INET6_ADDRSTRLEN];

	if (length >= sizeof(copy))
		return 0;
	memcpy(copy, text, length);
	copy[length] = 0;
	if (inet_pton(AF_INET, copy, bytes) == 1)
		return 4;
	if (inet_pton(AF_INET6, copy, bytes) != 1)
		return 0;
	if (memcmp(bytes, mapped, sizeof(mapped)) != 0)
		return 16;
	memmove(bytes, bytes + 12, 4);
	return 4;
}

bool sas_address_fits(const char *sip, const char *address)
{
	unsigned char from[16], to[16], at[16];
	const char *hyphen = strchr(sip, '-');
	size_t first = hyphen ? (size_t)(hyphen - sip) : strlen(sip);
	size_t n = address_bytes(address, strlen(address), at);

	if (!n || address_bytes(sip, first, from) != n)
		return false;
	if (!hyphen)
		return !memcmp(from, at, n);
	return address_bytes(hyphen + 1, strlen(hyphen + 1), to) == n && memcmp(from, at, n) <= 0 &&
	       memcmp(at, to, n) <= 0;
}
