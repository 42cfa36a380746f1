// SPDX-License-Identifier: MIT
/* azblob_config: options, connection strings and the environment. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"

#define DEFAULT_DEVICE "/dev/azure_blob"

/* What every SDK means by UseDevelopmentStorage=true; published with the emulators. */
#define DEV_ACCOUNT "devstoreaccount1"
#define DEV_KEY                                                    \
	"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErC" \
	"z4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
#define DEV_ENDPOINT "http://127.0.0.1:10000/" DEV_ACCOUNT

azblob_config *azblob_config_new(void)
{
	azblob_config *config = calloc(1, sizeof(*config));

	if (!config)
		return NULL;
	config->device = strdup(DEFAULT_DEVICE);
	if (!config->device) {
		free(config);
		return NULL;
	}
	config->timeout_ms = 60000;
	config->retries = 4;
	config->parallel = 4;
	config->block_size = (size_t)8 << 20;
	return config;
}

static void set_key(azblob_config *config, uint8_t *key, size_t length)
{
	if (config->key)
		explicit_bzero(config->key, config->key_length);
	free(config->key);
	config->key = key;
	config->key_length = length;
}

void azblob_config_free(azblob_config *config)
{
	if (!config)
		return;
	free(config->account);
	set_key(config, NULL, 0);
	if (config->sas)
		explicit_bzero(config->sas, strlen(config->sas));
	free(config->sas);
	free(config->endpoint);
	free(config->device);
	free(config->ca_file);
	free(config);
}

static int replace(char **field, const char *value, struct azblob_error *error)
{
	char *copy = strdup(value);

	if (!copy)
		return azc_fail_memory(error);
	free(*field);
	*field = copy;
	return 0;
}

int azblob_config_set_account(azblob_config *config, const char *account,
			      struct azblob_error *error)
{
	if (azc_check_account(account, error))
		return -1;
	return replace(&config->account, account, error);
}

int azblob_config_set_key(azblob_config *config, const char *key, struct azblob_error *error)
{
	size_t length = strlen(key);
	uint8_t *bytes = malloc(AZB_BASE64_ROOM(length) + 1);
	ssize_t used;

	if (!bytes)
		return azc_fail_memory(error);
	used = azb_base64_decode(bytes, AZB_BASE64_ROOM(length), key, length);
	if (used < 1) {
		free(bytes);
		/* Never quote it: it is a secret, even with a typing error in it. */
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the account key is not base64 (letters, digits, '+', '/', '=' at "
				"the end)");
	}
	set_key(config, bytes, (size_t)used);
	return 0;
}

int azblob_config_set_endpoint(azblob_config *config, const char *url, struct azblob_error *error)
{
	struct azc_endpoint endpoint;

	if (azc_endpoint_parse(url, &endpoint, error))
		return -1;
	azc_endpoint_free(&endpoint);
	return replace(&config->endpoint, url, error);
}

int azblob_config_set_transport(azblob_config *config, enum azblob_transport transport,
				struct azblob_error *error)
{
	switch (transport) {
	case AZBLOB_TRANSPORT_AUTO:
	case AZBLOB_TRANSPORT_DRIVER:
	case AZBLOB_TRANSPORT_HTTP:
	case AZBLOB_TRANSPORT_RAW:
		config->transport = transport;
		return 0;
	}
	return azc_fail(error, AZBLOB_BAD_ARGUMENT, "unknown transport %d", (int)transport);
}

int azblob_config_set_device(azblob_config *config, const char *path, struct azblob_error *error)
{
	if (path[0] != '/')
		return azc_fail(
			error, AZBLOB_BAD_ARGUMENT,
			"device \"%.200s\": must be an absolute path, such as " DEFAULT_DEVICE,
			path);
	return replace(&config->device, path, error);
}

int azblob_config_set_ca_file(azblob_config *config, const char *path, struct azblob_error *error)
{
	return replace(&config->ca_file, path, error);
}

static int out_of_range(struct azblob_error *error, const char *what, size_t value, size_t low,
			size_t high)
{
	return azc_fail(error, AZBLOB_BAD_ARGUMENT, "%s %zu: must be %zu to %zu", what, value, low,
			high);
}

int azblob_config_set_timeout(azblob_config *config, unsigned int milliseconds,
			      struct azblob_error *error)
{
	if (milliseconds < 1 || milliseconds > 3600000)
		return out_of_range(error, "time-out (ms)", milliseconds, 1, 3600000);
	config->timeout_ms = milliseconds;
	return 0;
}

int azblob_config_set_retries(azblob_config *config, unsigned int retries,
			      struct azblob_error *error)
{
	if (retries > 20)
		return out_of_range(error, "retries", retries, 0, 20);
	config->retries = retries;
	return 0;
}

int azblob_config_set_parallel(azblob_config *config, unsigned int requests,
			       struct azblob_error *error)
{
	if (requests < 1 || requests > AZC_MAX_PARALLEL)
		return out_of_range(error, "parallel requests", requests, 1, AZC_MAX_PARALLEL);
	config->parallel = requests;
	return 0;
}

int azblob_config_set_block_size(azblob_config *config, size_t bytes, struct azblob_error *error)
{
	if (bytes < AZC_MIN_BLOCK_SIZE || bytes > AZC_MAX_BLOCK_SIZE)
		return out_of_range(error, "block size", bytes, AZC_MIN_BLOCK_SIZE,
				    AZC_MAX_BLOCK_SIZE);
	config->block_size = bytes;
	return 0;
}

int azblob_config_set_checksums(azblob_config *config, int on, struct azblob_error *error)
{
	if (on != 0 && on != 1)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "checksums %d: must be 0 or 1", on);
	config->no_checksums = !on;
	return 0;
}

const char *azblob_config_account(const azblob_config *config)
{
	return config->account;
}

/* ---- connection strings ---- */

enum field {
	F_ACCOUNT,
	F_KEY,
	F_ENDPOINT,
	F_PROTOCOL,
	F_SUFFIX,
	F_DEVELOPMENT,
	F_DEV_PROXY,
	F_SAS,
	F_OTHER_SERVICE,
	F_COUNT
};

struct fields {
	char *value[F_COUNT];
};

static enum field field_of(const char *name)
{
	static const struct {
		const char *name;
		enum field field;
	} known[] = {
		{ "AccountName", F_ACCOUNT },
		{ "AccountKey", F_KEY },
		{ "BlobEndpoint", F_ENDPOINT },
		{ "DefaultEndpointsProtocol", F_PROTOCOL },
		{ "EndpointSuffix", F_SUFFIX },
		{ "UseDevelopmentStorage", F_DEVELOPMENT },
		{ "DevelopmentStorageProxyUri", F_DEV_PROXY },
		{ "SharedAccessSignature", F_SAS },
		{ "BlobSecondaryEndpoint", F_OTHER_SERVICE },
		{ "QueueEndpoint", F_OTHER_SERVICE },
		{ "QueueSecondaryEndpoint", F_OTHER_SERVICE },
		{ "TableEndpoint", F_OTHER_SERVICE },
		{ "TableSecondaryEndpoint", F_OTHER_SERVICE },
		{ "FileEndpoint", F_OTHER_SERVICE },
		{ "FileSecondaryEndpoint", F_OTHER_SERVICE },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcasecmp(name, known[i].name))
			return known[i].field;
	return F_COUNT;
}

/* Cuts @text up in place; @fields point into it. */
static int split_fields(char *text, struct fields *fields, struct azblob_error *error)
{
	char *save = NULL;

	for (char *part = strtok_r(text, ";", &save); part; part = strtok_r(NULL, ";", &save)) {
		char *value;
		enum field field;

		part += strspn(part, " \t\r\n");
		if (!*part)
			continue;
		value = strchr(part, '=');
		if (!value || value == part)
			return azc_fail(error, AZBLOB_BAD_ARGUMENT,
					"connection string: a part has no NAME=VALUE form");
		*value++ = '\0';
		field = field_of(part);
		if (field == F_COUNT)
			return azc_fail(error, AZBLOB_BAD_ARGUMENT,
					"connection string: unknown field \"%.60s\"", part);
		if (field != F_OTHER_SERVICE && fields->value[field])
			return azc_fail(error, AZBLOB_BAD_ARGUMENT,
					"connection string: %.60s is there twice", part);
		fields->value[field] = value;
	}
	return 0;
}

static int use_development_storage(azblob_config *config, const struct fields *fields,
				   struct azblob_error *error)
{
	if (strcasecmp(fields->value[F_DEVELOPMENT], "true"))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"connection string: UseDevelopmentStorage must be true");
	if (fields->value[F_DEV_PROXY])
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"connection string: DevelopmentStorageProxyUri is not supported; "
				"give BlobEndpoint instead");
	if (azblob_config_set_account(config, DEV_ACCOUNT, error) ||
	    azblob_config_set_key(config, DEV_KEY, error))
		return -1;
	return azblob_config_set_endpoint(config, DEV_ENDPOINT, error);
}

static int endpoint_from_parts(azblob_config *config, const struct fields *fields,
			       struct azblob_error *error)
{
	const char *protocol = fields->value[F_PROTOCOL];
	const char *suffix = fields->value[F_SUFFIX];
	struct azb_buf url = { 0 };
	int result;

	if (!protocol && !suffix)
		return 0;
	if (!fields->value[F_ACCOUNT])
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"connection string: AccountName is missing");
	azb_buf_printf(&url, "%s://%s.blob.%s", protocol ? protocol : "https",
		       fields->value[F_ACCOUNT], suffix ? suffix : "core.windows.net");
	if (url.failed)
		result = azc_fail_memory(error);
	else
		result = azblob_config_set_endpoint(config, url.data, error);
	azb_buf_free(&url);
	return result;
}

static int apply_fields(azblob_config *config, const struct fields *fields,
			struct azblob_error *error)
{
	if (fields->value[F_DEVELOPMENT] && use_development_storage(config, fields, error))
		return -1;
	if (fields->value[F_ACCOUNT] &&
	    azblob_config_set_account(config, fields->value[F_ACCOUNT], error))
		return -1;
	if (fields->value[F_KEY] && azblob_config_set_key(config, fields->value[F_KEY], error))
		return -1;
	if (fields->value[F_SAS] && azblob_config_set_sas(config, fields->value[F_SAS], error))
		return -1;
	if (fields->value[F_ENDPOINT])
		return azblob_config_set_endpoint(config, fields->value[F_ENDPOINT], error);
	return endpoint_from_parts(config, fields, error);
}

int azblob_config_set_connection_string(azblob_config *config, const char *text,
					struct azblob_error *error)
{
	struct fields fields = { { NULL } };
	char *copy = strdup(text);
	int result;

	if (!copy)
		return azc_fail_memory(error);
	result = split_fields(copy, &fields, error);
	if (!result)
		result = apply_fields(config, &fields, error);
	explicit_bzero(copy, strlen(text));
	free(copy);
	return result;
}

int azblob_config_from_environment(azblob_config *config, struct azblob_error *error)
{
	/* In this order: what comes later wins. */
	static const struct {
		const char *name;
		int (*set)(azblob_config *config, const char *value, struct azblob_error *error);
	} known[] = {
		{ "AZURE_STORAGE_CONNECTION_STRING", azblob_config_set_connection_string },
		{ "AZURE_STORAGE_ACCOUNT", azblob_config_set_account },
		{ "AZURE_STORAGE_KEY", azblob_config_set_key },
		{ "AZURE_STORAGE_SAS_TOKEN", azblob_config_set_sas },
		{ "AZURE_STORAGE_SERVICE_ENDPOINT", azblob_config_set_endpoint },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const char *value = getenv(known[i].name);

		if (value && *value && known[i].set(config, value, error))
			return -1;
	}
	return 0;
}
