// SPDX-License-Identifier: MIT
/* Shared access signatures: as a credential, and made with a key. */
#include "sas.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/sharedkey.h"
#include "ops.h"

/* ---- as a credential ---- */

/* True when @query has a parameter of that name. */
static bool has_parameter(const char *query, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = query; at; at = strchr(at, '&')) {
		at += *at == '&';
		if (!strncmp(at, name, length) && at[length] == '=')
			return true;
	}
	return false;
}

int azblob_config_set_sas(azblob_config *config, const char *token, struct azblob_error *error)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		"-._~%=&+/:,;*!'()@$";
	char *copy;

	token += *token == '?';
	if (strspn(token, allowed) != strlen(token) || !has_parameter(token, "sig") ||
	    !has_parameter(token, "sv"))
		/* Never quote it: it is a secret, even with a typing error in it. */
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the SAS is none: it must be percent-encoded and have sv= and "
				"sig=");
	copy = strdup(token);
	if (!copy)
		return azc_fail_memory(error);
	if (config->sas)
		explicit_bzero(config->sas, strlen(config->sas));
	free(config->sas);
	config->sas = copy;
	return 0;
}

void azc_request_sas(struct azc_request *request, const azblob_conn *conn)
{
	if (request->sas_added)
		return;
	request->sas_added = true;
	if (request->query.length)
		azb_buf_puts(&request->query, "&");
	azb_buf_puts(&request->query, conn->sas);
	request->no_memory |= request->query.failed;
}

char *azc_endpoint_account(const char *url)
{
	struct azc_endpoint endpoint;
	const char *slash;
	char *account;

	if (azc_endpoint_parse(url, &endpoint, NULL))
		return NULL;
	slash = strrchr(endpoint.path, '/');
	if (slash)
		account = strdup(slash + 1);
	else
		account = strndup(endpoint.host, strcspn(endpoint.host, ".:"));
	azc_endpoint_free(&endpoint);
	return account;
}

void azc_source_url(struct azb_buf *url, const azblob_conn *conn, const char *source)
{
	size_t length = strlen(conn->endpoint.base);
	const char *query = strchr(source, '?');

	azb_buf_puts(url, source);
	if (!conn->sas || strncmp(source, conn->endpoint.base, length) || source[length] != '/' ||
	    (query && has_parameter(query + 1, "sig")))
		return;
	azb_buf_puts(url, query ? "&" : "?");
	azb_buf_puts(url, conn->sas);
}

/* ---- made with a key ---- */

/* The orders in which the service wants permissions. */
#define SERVICE_ORDER "racwdxyltmeopi"
#define ACCOUNT_ORDER "rwdxylacuptfi"
#define TYPES_ORDER "sco"

/* Puts the letters in order; false when there are others, or one is there twice. */
static bool sort_letters(const char *letters, const char *order, char *sorted)
{
	size_t count = 0;

	for (const char *c = order; letters && *c; c++) {
		const char *at = strchr(letters, *c);

		if (!at)
			continue;
		if (strchr(at + 1, *c))
			return false;
		sorted[count++] = *c;
	}
	sorted[count] = '\0';
	return letters && count && count == strlen(letters);
}

/* What the service takes as a time. */
static bool is_time(const char *text)
{
	static const char *const forms[] = { "%Y-%m-%d", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%SZ" };
	struct tm tm;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const char *end = strptime(text, forms[i], &tm);

		if (end && !*end)
			return true;
	}
	return false;
}

static const char *text_of(const char *text)
{
	return text ? text : "";
}

static int check_times(const struct azblob_sas_options *options, struct azblob_error *error)
{
	if ((options->start && !is_time(options->start)) ||
	    (options->expiry && !is_time(options->expiry)))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the times of a SAS must look like 2026-01-02T03:04:05Z");
	if (!options->policy && (!options->expiry || !options->permissions))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"a SAS needs permissions and an expiry, or a policy that has them");
	return 0;
}

static int check_texts(const struct azblob_sas_options *options, struct azblob_error *error)
{
	if (azc_check_header(options->ip, "the ip range", error) ||
	    azc_check_header(options->policy, "the policy", error) ||
	    azc_check_header(options->cache_control, "the cache control", error) ||
	    azc_check_header(options->content_disposition, "the content disposition", error) ||
	    azc_check_header(options->content_encoding, "the content encoding", error) ||
	    azc_check_header(options->content_language, "the content language", error) ||
	    azc_check_header(options->content_type, "the content type", error))
		return -1;
	return check_times(options, error);
}

static int bad_letters(struct azblob_error *error, const char *what, const char *letters,
		       const char *order)
{
	return azc_fail(error, AZBLOB_BAD_ARGUMENT,
			"%s \"%.40s\": must be some of the letters %s, each once", what,
			text_of(letters), order);
}

static void parameter(struct azb_buf *token, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	if (token->length)
		azb_buf_puts(token, "&");
	azb_buf_puts(token, name);
	azb_buf_puts(token, "=");
	azc_escape(token, value, "");
}

static void line(struct azb_buf *string, const char *text)
{
	azb_buf_puts(string, text_of(text));
	azb_buf_puts(string, "\n");
}

static int account_sas(const azblob_conn *conn, const struct azblob_sas_options *options,
		       struct azb_buf *token, struct azb_buf *string, struct azblob_error *error)
{
	char permissions[sizeof(ACCOUNT_ORDER)];
	char types[sizeof(TYPES_ORDER)] = TYPES_ORDER;
	const char *protocol = options->https_only ? "https" : NULL;

	if (options->policy)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "a policy is a container's");
	if (!sort_letters(options->permissions, ACCOUNT_ORDER, permissions))
		return bad_letters(error, "permissions", options->permissions, ACCOUNT_ORDER);
	if (options->resource_types && !sort_letters(options->resource_types, TYPES_ORDER, types))
		return bad_letters(error, "resource types", options->resource_types, TYPES_ORDER);
	line(string, conn->account);
	line(string, permissions);
	line(string, "b");
	line(string, types);
	line(string, options->start);
	line(string, options->expiry);
	line(string, options->ip);
	line(string, protocol);
	line(string, AZC_SERVICE_VERSION);
	line(string, ""); /* no encryption scope */
	parameter(token, "sv", AZC_SERVICE_VERSION);
	parameter(token, "ss", "b");
	parameter(token, "srt", types);
	parameter(token, "sp", permissions);
	parameter(token, "st", options->start);
	parameter(token, "se", options->expiry);
	parameter(token, "sip", options->ip);
	parameter(token, "spr", protocol);
	return 0;
}

static int service_sas(const azblob_conn *conn, const char *container, const char *blob,
		       const char *snapshot, const struct azblob_sas_options *options,
		       struct azb_buf *token, struct azb_buf *string, struct azblob_error *error)
{
	const char *resource = snapshot ? "bs" : blob ? "b" : "c";
	const char *protocol = options->https_only ? "https" : NULL;
	char permissions[sizeof(SERVICE_ORDER)] = "";

	if (options->resource_types)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"resource types are for an account SAS");
	if (options->permissions && !sort_letters(options->permissions, SERVICE_ORDER, permissions))
		return bad_letters(error, "permissions", options->permissions, SERVICE_ORDER);
	line(string, permissions);
	line(string, options->start);
	line(string, options->expiry);
	azb_buf_printf(string, "/blob/%s/%s%s%s\n", conn->account, container, blob ? "/" : "",
		       text_of(blob));
	line(string, options->policy);
	line(string, options->ip);
	line(string, protocol);
	line(string, AZC_SERVICE_VERSION);
	line(string, resource);
	line(string, snapshot);
	line(string, ""); /* no encryption scope */
	line(string, options->cache_control);
	line(string, options->content_disposition);
	line(string, options->content_encoding);
	line(string, options->content_language);
	azb_buf_puts(string, text_of(options->content_type));
	parameter(token, "sv", AZC_SERVICE_VERSION);
	parameter(token, "sr", resource);
	parameter(token, "sp", permissions);
	parameter(token, "st", options->start);
	parameter(token, "se", options->expiry);
	parameter(token, "si", options->policy);
	parameter(token, "sip", options->ip);
	parameter(token, "spr", protocol);
	parameter(token, "rscc", options->cache_control);
	parameter(token, "rscd", options->content_disposition);
	parameter(token, "rsce", options->content_encoding);
	parameter(token, "rscl", options->content_language);
	parameter(token, "rsct", options->content_type);
	return 0;
}

static int sign_sas(const azblob_conn *conn, struct azb_buf *token, const struct azb_buf *string,
		    struct azblob_error *error)
{
	char signature[AZB_SHAREDKEY_SIGNATURE + 1];

	if (string->failed)
		return azc_fail_memory(error);
	if (!azb_sharedkey_sign(conn->key, conn->key_length, string->data, string->length,
				signature))
		return azc_fail(error, AZBLOB_RESOURCES, "the crypto library has no HMAC-SHA256");
	parameter(token, "sig", signature);
	return token->failed ? azc_fail_memory(error) : 0;
}

int azblob_make_sas(azblob_conn *conn, const char *container, const char *blob,
		    const char *snapshot, const struct azblob_sas_options *given, char **result,
		    struct azblob_error *error)
{
	struct azblob_sas_options options;
	struct azb_buf token = { 0 };
	struct azb_buf string = { 0 };
	int status;

	memset(&options, 0, sizeof(options));
	if (given && azc_copy_options(&options, sizeof(options), given, given->struct_size))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the SAS options hold something that this library does not know");
	if (!conn->key_length)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"a SAS is made with the account's key, and there is none");
	if ((container && azc_check_container(container, error)) ||
	    (blob && azc_check_blob(blob, error)) ||
	    azc_check_condition(snapshot, "the snapshot", error) || check_texts(&options, error))
		return -1;
	if ((blob && !container) || (snapshot && !blob))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"a SAS needs the container of a blob, and the blob of a snapshot");
	status = container ? service_sas(conn, container, blob, snapshot, &options, &token, &string,
					 error)
			   : account_sas(conn, &options, &token, &string, error);
	if (!status)
		status = sign_sas(conn, &token, &string, error);
	azb_buf_free(&string);
	if (status) {
		azb_buf_free(&token);
		return -1;
	}
	azc_error_clear(error);
	*result = token.data;
	return 0;
}
