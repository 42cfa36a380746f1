/* SPDX-License-Identifier: MIT */
/*
 * What strangers send before anybody knows who they are, changed at random places: everything that
 * parses it must come to an end without touching what it must not, which the sanitizers watch.
 * The sequence is always the same, so a failure comes again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "blob/isotime.h"
#include "blob/props.h"
#include "blob/sas.h"
#include "blob/token.h"

#define ROUNDS 3000u
#define ROOM 1200u

static uint64_t state = 88172645463325252u;

static uint32_t next_random(void)
{
	/* xorshift64 */
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

/* Some bytes become others, go, or come twice; what matters to parsers more often than not. */
static size_t mutate(char out[ROOM], const char *seed)
{
	static const char special[] = "%&=?/.,-+:<>\"'\\ 0Z\x01\x7f\xc3\xff";
	size_t length = strlen(seed);

	assert_true(length < ROOM - 80);
	memcpy(out, seed, length);
	for (unsigned int i = next_random() % 6; i; i--) {
		size_t at = next_random() % (length + 1), n = next_random() % 8;

		switch (next_random() % 4) {
		case 0:
			if (at < length)
				out[at] = special[next_random() % (sizeof(special) - 1)];
			break;
		case 1:
			if (at < length)
				out[at] = (char)next_random();
			break;
		case 2:
			n = n < length - at ? n : length - at;
			memmove(out + at, out + at + n, length - at - n);
			length -= n;
			break;
		default:
			n = n < length - at ? n : length - at;
			memmove(out + at + n, out + at, length - at);
			length += n;
			break;
		}
	}
	out[length] = 0;
	return length;
}

/* Memory of exactly that length, so that a read beyond it is seen. */
static char *exact(const char *text, size_t length)
{
	char *copy = malloc(length + 1);

	assert_non_null(copy);
	memcpy(copy, text, length);
	copy[length] = 0;
	return copy;
}

static void shared_access_signatures(void **unused)
{
	static const char *const seeds[] = {
		"/acc/cont/"
		"a%20b?sv=2026-04-06&sr=b&sp=r&se=2030-01-01&skoid=o&sktid=t&skt=2020-01-01"
		"&ske=2030-01-01&sks=b&skv=2026-04-06&srh=host,x-ms-meta-a&srq=prefix,sr&prefix=p"
		"&sduoid=u&skdutid=d&rscc=c&sig=x%2B%3D",
		"/acc/"
		"?comp=list&ss=b&srt=sco&sp=rl&se=2030-01-01T00%3A00%3A00Z&sip=10.0.0.1-10.0.0.9"
		"&spr=https&sv=2020-12-06&ses=s&sig=x",
		"/acc/cont?si=policy&sr=c&sv=2018-11-09&sig=abc&restype=container&snapshot=x",
	};
	unsigned int read = 0;

	(void)unused;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct head head = { .field = { { { "Host", 4 }, { "h", 1 } } }, .field_count = 1 };
		struct azb_buf string = { 0 };
		struct target target;
		uint8_t key[SAS_DELEGATION_KEY];
		char text[ROOM], *copy;
		struct sas sas;
		size_t length = mutate(text, seeds[i % 3]);

		copy = exact(text, length);
		head.target = (struct head_str){ copy, length };
		if (length && target_parse(&target, &head) == TARGET_OK) {
			if (!sas_read(&sas, &target)) {
				read++;
				sas_string(&sas, &target, &head, &string);
				assert_true(sas_delegation_key("k", 1, &sas, key));
				sas_address_fits(sas.sip, "10.0.0.5");
				sas_bits(sas.sp);
			}
			target_free(&target);
		}
		if (length && target_parse_web(&target, &head) == TARGET_OK)
			target_free(&target);
		azb_buf_free(&string);
		free(copy);
	}
	/* enough of them still were some */
	assert_in_range(read, ROUNDS / 4, ROUNDS);
}

static void times_and_addresses(void **unused)
{
	(void)unused;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		char text[ROOM], *copy;
		size_t length = mutate(text, i % 2 ? "2026-11-23T07:00:00.1234567+01:00"
						   : "10.0.0.1-fe80::ffff:10.0.0.1");
		int64_t ns;

		copy = exact(text, length);
		isotime_parse(copy, &ns);
		sas_address_fits(copy, "10.0.0.1");
		sas_address_fits("10.0.0.1", copy);
		free(copy);
	}
}

static void tokens(void **unused)
{
	/* {"alg":"RS256","typ":"JWT"} and {"iss":"https://sts.windows.net/t/","aud":
	 * "https://storage.azure.com","exp":99999999999,"oid":"o","tid":"t"}
	 */
	static const char seed[] =
		"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9."
		"eyJpc3MiOiJodHRwczovL3N0cy53aW5kb3dzLm5ldC90LyIsImF1ZCI6Imh0dHBzOi8vc3RvcmFnZS5h"
		"enVyZS5jb20iLCJleHAiOjk5OTk5OTk5OTk5LCJvaWQiOiJvIiwidGlkIjoidCJ9.AAAA";
	struct tokens *t = tokens_new();
	struct auth auth = { 0 };

	(void)unused;
	assert_non_null(t);
	assert_null(tokens_check(t, seed, strlen(seed), "acc", &auth));
	assert_string_equal(auth.oid, "o");
	for (unsigned int i = 0; i < ROUNDS; i++) {
		char text[ROOM], *copy;
		size_t length = mutate(text, seed);

		copy = exact(text, length);
		tokens_check(t, copy, length, "acc", &auth);
		free(copy);
	}
	tokens_put(t);
}

static void properties(void **unused)
{
	static const char seed[] =
		"<StorageServiceProperties><Logging><Version>1.0</Version><Delete>true</Delete>"
		"<Read>false</Read><Write>true</Write><RetentionPolicy><Enabled>true</Enabled>"
		"<Days>3</Days></RetentionPolicy></Logging><Cors><CorsRule><AllowedOrigins>*,http:/"
		"/a"
		"</AllowedOrigins><AllowedMethods>GET,PUT</AllowedMethods><AllowedHeaders>x-ms-*"
		"</AllowedHeaders><ExposedHeaders /><MaxAgeInSeconds>5</MaxAgeInSeconds></CorsRule>"
		"</Cors><DefaultServiceVersion>2021-08-06</DefaultServiceVersion><StaticWebsite>"
		"<Enabled>true</Enabled><IndexDocument>i</IndexDocument></StaticWebsite>"
		"</StorageServiceProperties>";
	unsigned int good = 0;

	(void)unused;
	for (unsigned int i = 0; i < ROUNDS / 3; i++) {
		struct azb_buf once = { 0 }, twice = { 0 };
		struct props *props = props_new(), *copy;
		char text[ROOM];
		const char *wrong;
		size_t length = mutate(text, seed);

		assert_non_null(props);
		if (props_read(props, text, length, &wrong) == PROPS_OK) {
			/* what was taken is written so that it can be read again */
			good++;
			copy = props_copy(props);
			assert_non_null(copy);
			props_write(props, &once);
			props_write(copy, &twice);
			assert_string_equal(once.data, twice.data);
			props_put(copy);
		}
		props_put(props);
		azb_buf_free(&once);
		azb_buf_free(&twice);
	}
	assert_in_range(good, ROUNDS / 50, ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shared_access_signatures),
		cmocka_unit_test(times_and_addresses),
		cmocka_unit_test(tokens),
		cmocka_unit_test(properties),
	};

	return cmocka_run_group_tests_name("mutate", tests, NULL, NULL);
}
