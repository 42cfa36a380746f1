// SPDX-License-Identifier: MIT
/* Signed request heads; see sign.h. */
#include "sign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../vsp-backend/base/base64.h"
#include "../../vsp-backend/base/sharedkey.h"

/* Public: the key of every Azure storage emulator. */
#define KEY \
	"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

char *sign_head(char *out, size_t room, const char *method, const char *target, const char *headers)
{
	struct azb_sk_field field[16];
	struct azb_sk_request request = { .method = method,
					  .method_length = strlen(method),
					  .account = SIGN_ACCOUNT,
					  .path = target,
					  .path_length = strcspn(target, "?"),
					  .field = field };
	char date[64], lines[1024], signature[AZB_SHAREDKEY_SIGNATURE + 1];
	struct azb_buf string = { 0 };
	uint8_t key[AZB_BASE64_ROOM(sizeof(KEY) - 1)];
	ssize_t key_length = azb_base64_decode(key, sizeof(key), KEY, sizeof(KEY) - 1);
	time_t now = time(NULL);
	struct tm tm;
	int length;

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	snprintf(lines, sizeof(lines),
		 "Host: localhost:10000\r\n%sx-ms-date: %s\r\nx-ms-version: 2021-12-02\r\n",
		 headers, date);
	if (target[request.path_length] == '?') {
		request.query = target + request.path_length + 1;
		request.query_length = strlen(request.query);
	}
	for (const char *line = lines; *line; line = strstr(line, "\r\n") + 2) {
		const char *colon = strchr(line, ':');

		field[request.field_count++] =
			(struct azb_sk_field){ line, (size_t)(colon - line), colon + 2,
					       (size_t)(strstr(line, "\r\n") - colon - 2) };
	}
	if (key_length < 0 || !azb_sharedkey_string(&request, &string) || string.failed ||
	    !azb_sharedkey_sign(key, (size_t)key_length, string.data, string.length, signature))
		abort();
	azb_buf_free(&string);
	length =
		snprintf(out, room,
			 "%s %s HTTP/1.1\r\n%sAuthorization: SharedKey " SIGN_ACCOUNT ":%s\r\n\r\n",
			 method, target, lines, signature);
	if (length < 0 || (size_t)length >= room)
		abort();
	return out;
}
