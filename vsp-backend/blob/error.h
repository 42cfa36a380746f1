/* SPDX-License-Identifier: MIT */
/*
 * Azure's errors: code, HTTP status and message ("Common REST API error codes" and "Blob
 * service error codes" in the reference), and the answers that carry them.
 */
#ifndef AZBLOB_BLOB_ERROR_H
#define AZBLOB_BLOB_ERROR_H

#include "../store/store.h"
#include "answer.h"

enum err {
	ERR_NONE = 0,
	ERR_AUTHENTICATION_FAILED,
	ERR_BLOB_ALREADY_EXISTS,
	ERR_BLOB_NOT_FOUND,
	ERR_BLOCK_COUNT_EXCEEDS_LIMIT,
	ERR_BLOCK_LIST_TOO_LONG,
	ERR_CONDITION_HEADERS_NOT_SUPPORTED,
	ERR_CONDITION_NOT_MET,
	ERR_CONTAINER_ALREADY_EXISTS,
	ERR_CONTAINER_BEING_DELETED,
	ERR_CONTAINER_NOT_FOUND,
	ERR_CRC64_MISMATCH,
	ERR_EMPTY_METADATA_KEY,
	ERR_INCOMPLETE_BODY,
	ERR_INSUFFICIENT_PERMISSIONS,
	ERR_INSUFFICIENT_STORAGE,
	ERR_INTERNAL,
	ERR_INVALID_BLOB_OR_BLOCK,
	ERR_INVALID_BLOB_TYPE,
	ERR_INVALID_BLOCK_ID,
	ERR_INVALID_BLOCK_LIST,
	ERR_INVALID_HEADER_VALUE,
	ERR_INVALID_INPUT,
	ERR_INVALID_MD5,
	ERR_INVALID_METADATA,
	ERR_INVALID_QUERY_PARAMETER_VALUE,
	ERR_INVALID_RANGE,
	ERR_INVALID_RESOURCE_NAME,
	ERR_INVALID_URI,
	ERR_INVALID_XML_DOCUMENT,
	ERR_LEASE_NOT_PRESENT_BLOB,
	ERR_LEASE_NOT_PRESENT_CONTAINER,
	ERR_MD5_MISMATCH,
	ERR_METADATA_TOO_LARGE,
	ERR_MISSING_CONTENT_LENGTH,
	ERR_MISSING_REQUIRED_HEADER,
	ERR_MISSING_REQUIRED_QUERY_PARAMETER,
	ERR_MULTIPLE_CONDITION_HEADERS,
	ERR_NO_AUTHENTICATION_INFORMATION,
	ERR_NOT_IMPLEMENTED,
	ERR_NOT_MODIFIED,
	ERR_OUT_OF_RANGE_INPUT,
	ERR_OUT_OF_RANGE_QUERY_PARAMETER_VALUE,
	ERR_PUBLIC_ACCESS_NOT_PERMITTED,
	ERR_REQUEST_BODY_TOO_LARGE,
	ERR_REQUEST_URL_FAILED_TO_PARSE,
	ERR_SERVER_BUSY,
	ERR_UNSUPPORTED_HEADER,
	ERR_UNSUPPORTED_HTTP_VERB,
	ERR_COUNT,
};

/* One more element of the XML, for the person who reads it; a NULL name ends a list. */
struct err_detail {
	const char *name;
	const char *value;
};

/* The answer for @err; @details may be NULL, at most 4 of them.  Never NULL. */
struct svc_answer *err_answer(const struct answer_to *to, enum err err,
			      const struct err_detail *details);
/* The same with a text of its own in place of the usual message. */
struct svc_answer *err_answer_text(const struct answer_to *to, unsigned int status,
				   const char *code, const char *message,
				   const struct err_detail *details);

/* What a store's error is called in Azure's language.  STORE_OK gives ERR_NONE. */
enum err err_of_store(enum store_error error);

#endif /* AZBLOB_BLOB_ERROR_H */
