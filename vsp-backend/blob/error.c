// SPDX-License-Identifier: MIT
#include "error.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "xml.h"

struct entry {
	unsigned int status;
	const char *code;
	const char *message;
};

static const struct entry entries[ERR_COUNT] = {
	[ERR_NONE] = { 500, "InternalError", "The server encountered an internal error." },
	[ERR_AUTHENTICATION_FAILED] = { 403, "AuthenticationFailed",
					"Server failed to authenticate the request. Make sure the "
					"value of Authorization "
					"header is formed correctly including the signature." },
	[ERR_AUTHORIZATION_FAILURE] = { 403, "AuthorizationFailure",
					"This request is not authorized to perform this "
					"operation." },
	[ERR_AUTHORIZATION_PERMISSION_MISMATCH] = { 403, "AuthorizationPermissionMismatch",
						    "This request is not authorized to perform "
						    "this operation using this permission." },
	[ERR_AUTHORIZATION_PROTOCOL_MISMATCH] = { 403, "AuthorizationProtocolMismatch",
						  "This request is not authorized to perform this "
						  "operation using this protocol." },
	[ERR_AUTHORIZATION_RESOURCE_TYPE_MISMATCH] = { 403, "AuthorizationResourceTypeMismatch",
						       "This request is not authorized to perform "
						       "this operation using this resource type." },
	[ERR_AUTHORIZATION_SERVICE_MISMATCH] = { 403, "AuthorizationServiceMismatch",
						 "This request is not authorized to perform this "
						 "operation using this service." },
	[ERR_AUTHORIZATION_SOURCE_IP_MISMATCH] = { 403, "AuthorizationSourceIPMismatch",
						   "This request is not authorized to perform this "
						   "operation using this source IP." },
	[ERR_BLOB_ALREADY_EXISTS] = { 409, "BlobAlreadyExists",
				      "The specified blob already exists." },
	[ERR_BLOB_ARCHIVED] = { 409, "BlobArchived",
				"This operation is not permitted on an archived blob." },
	[ERR_BLOB_BEING_REHYDRATED] = { 409, "BlobBeingRehydrated",
					"This operation is not permitted because the blob is being "
					"rehydrated." },
	[ERR_BLOB_IMMUTABLE_POLICY] = { 409, "BlobImmutableDueToPolicy",
					"This operation is not permitted as the blob is immutable "
					"due to a policy." },
	[ERR_BLOB_IMMUTABLE_HOLD] = { 409, "BlobImmutableDueToLegalHold",
				      "This operation is not permitted as the blob is immutable "
				      "due to one or more legal holds." },
	[ERR_CANNOT_VERIFY_COPY_SOURCE] = { 404, "CannotVerifyCopySource",
					    "The specified resource does not exist." },
	[ERR_COPY_ID_MISMATCH] = { 409, "CopyIdMismatch",
				   "The specified copy ID did not match the copy ID for the "
				   "pending copy operation." },
	[ERR_DUPLICATE_TAG_NAMES] = { 400, "DuplicateTagNames",
				      "The tags specified contain duplicate names." },
	[ERR_EMPTY_TAG_NAME] = { 400, "EmptyTagName",
				 "The name of one of the tag key-value pairs is empty." },
	[ERR_INVALID_BLOB_TIER] = { 400, "InvalidBlobTier", "The specified blob tier is invalid." },
	[ERR_INVALID_TAG] = { 400, "InvalidTag",
			      "The tags specified are invalid. It contains characters that are not "
			      "permitted." },
	[ERR_LEASE_ALREADY_BROKEN] = { 409, "LeaseAlreadyBroken",
				       "The lease has already been broken and cannot be broken "
				       "again." },
	[ERR_LEASE_ALREADY_PRESENT] = { 409, "LeaseAlreadyPresent",
					"There is already a lease present." },
	[ERR_LEASE_BREAKING_ACQUIRE] = { 409, "LeaseIsBreakingAndCannotBeAcquired",
					 "The lease ID matched, but the lease is currently in "
					 "breaking state and cannot be acquired until it is "
					 "broken." },
	[ERR_LEASE_BREAKING_CHANGE] = { 409, "LeaseIsBreakingAndCannotBeChanged",
					"The lease ID matched, but the lease is currently in "
					"breaking state and cannot be changed." },
	[ERR_LEASE_BROKEN_RENEW] = { 409, "LeaseIsBrokenAndCannotBeRenewed",
				     "The lease ID matched, but the lease has been broken "
				     "explicitly and cannot be renewed." },
	[ERR_LEASE_ID_MISMATCH_BLOB] = { 412, "LeaseIdMismatchWithBlobOperation",
					 "The lease ID specified did not match the lease ID for "
					 "the blob." },
	[ERR_LEASE_ID_MISMATCH_CONTAINER] = { 412, "LeaseIdMismatchWithContainerOperation",
					      "The lease ID specified did not match the lease ID "
					      "for the container." },
	[ERR_LEASE_ID_MISMATCH_OPERATION] = { 409, "LeaseIdMismatchWithLeaseOperation",
					      "The lease ID specified did not match the lease ID "
					      "for the resource with the specified lease "
					      "operation." },
	[ERR_LEASE_ID_MISSING] = { 412, "LeaseIdMissing",
				   "There is currently a lease on the resource and no lease ID was "
				   "specified in the request." },
	[ERR_LEASE_LOST] = { 412, "LeaseLost",
			     "A lease ID was specified, but the lease for the resource has "
			     "expired." },
	[ERR_LEASE_NOT_PRESENT_OPERATION] = { 409, "LeaseNotPresentWithLeaseOperation",
					      "There is currently no lease on the resource." },
	[ERR_MISSING_REQUIRED_XML_NODE] = { 400, "MissingRequiredXmlNode",
					    "A required XML node was not specified in the request "
					    "body." },
	[ERR_NO_PENDING_COPY] = { 409, "NoPendingCopyOperation",
				  "There is currently no pending copy operation." },
	[ERR_PENDING_COPY] = { 409, "PendingCopyOperation",
			       "There is currently a pending copy operation." },
	[ERR_POLICY_LOCKED] = { 409, "ImmutabilityPolicyLocked",
				"A locked immutability policy can only be extended; it can be "
				"neither shortened nor deleted." },
	[ERR_SOURCE_CONDITION_NOT_MET] = { 412, "SourceConditionNotMet",
					   "The source condition specified using HTTP conditional "
					   "header(s) is not met." },
	[ERR_TAGS_TOO_LARGE] = { 400, "TagsTooLarge",
				 "The tags specified exceed the maximum permissible limit." },
	[ERR_INVALID_XML_NODE_VALUE] = { 400, "InvalidXmlNodeValue",
					 "The value provided for one of the XML nodes in the "
					 "request body was not in the correct format." },
	[ERR_TOO_MANY_SUBREQUESTS] = { 400, "ExceedsMaxBatchRequestCount",
				       "The batch operation exceeds the maximum of 256 "
				       "subrequests." },
	[ERR_BLOB_NOT_FOUND] = { 404, "BlobNotFound", "The specified blob does not exist." },
	[ERR_BLOCK_COUNT_EXCEEDS_LIMIT] = { 409, "BlockCountExceedsLimit",
					    "The uncommitted block count cannot exceed the maximum "
					    "limit of 100,000 blocks." },
	[ERR_BLOCK_LIST_TOO_LONG] = { 400, "BlockListTooLong",
				      "The block list may not contain more than 50,000 blocks." },
	[ERR_CONDITION_HEADERS_NOT_SUPPORTED] = { 400, "ConditionHeadersNotSupported",
						  "Condition headers are not supported." },
	[ERR_CONDITION_NOT_MET] = { 412, "ConditionNotMet",
				    "The condition specified using HTTP conditional header(s) is "
				    "not met." },
	[ERR_CONTAINER_ALREADY_EXISTS] = { 409, "ContainerAlreadyExists",
					   "The specified container already exists." },
	[ERR_CONTAINER_BEING_DELETED] = { 409, "ContainerBeingDeleted",
					  "The specified container is being deleted. Try operation "
					  "later." },
	[ERR_CONTAINER_NOT_FOUND] = { 404, "ContainerNotFound",
				      "The specified container does not exist." },
	[ERR_CORS_PREFLIGHT_FAILURE] = { 403, "CorsPreflightFailure",
					 "CORS not enabled or no matching rule found for this "
					 "request." },
	[ERR_CRC64_MISMATCH] = { 400, "Crc64Mismatch",
				 "The CRC64 value specified in the request did not match with the "
				 "CRC64 value "
				 "calculated by the server." },
	[ERR_EMPTY_METADATA_KEY] = { 400, "EmptyMetadataKey",
				     "The key for one of the metadata key-value pairs is empty." },
	[ERR_INCOMPLETE_BODY] = { 400, "IncompleteBody",
				  "The request did not bring all the bytes that Content-Length "
				  "announced." },
	[ERR_INSUFFICIENT_PERMISSIONS] = { 403, "InsufficientAccountPermissions",
					   "Write operations are not allowed." },
	[ERR_INSUFFICIENT_STORAGE] = { 507, "InsufficientStorage",
				       "There is no space left to store the data." },
	[ERR_INTERNAL] = { 500, "InternalError",
			   "The server encountered an internal error. Please retry the request." },
	[ERR_INVALID_AUTHENTICATION_INFO] = { 401, "InvalidAuthenticationInfo",
					      "Server failed to authenticate the request. Please "
					      "refer to the information in the www-authenticate "
					      "header." },
	[ERR_INVALID_BLOB_OR_BLOCK] = { 400, "InvalidBlobOrBlock",
					"The specified blob or block content is invalid." },
	[ERR_INVALID_BLOB_TYPE] = { 409, "InvalidBlobType",
				    "The blob type is invalid for this operation." },
	[ERR_INVALID_BLOCK_ID] = { 400, "InvalidBlockId",
				   "The specified block ID is invalid. The block ID must be "
				   "Base64-encoded." },
	[ERR_INVALID_BLOCK_LIST] = { 400, "InvalidBlockList",
				     "The specified block list is invalid." },
	[ERR_INVALID_HEADER_VALUE] = { 400, "InvalidHeaderValue",
				       "The value for one of the HTTP headers is not in the "
				       "correct format." },
	[ERR_INVALID_INPUT] = { 400, "InvalidInput", "One of the request inputs is not valid." },
	[ERR_INVALID_MD5] = { 400, "InvalidMd5",
			      "The MD5 value specified in the request is invalid. MD5 value must "
			      "be 128 bits and "
			      "base64-encoded." },
	[ERR_INVALID_METADATA] = { 400, "InvalidMetadata",
				   "The metadata specified is invalid. It has characters that are "
				   "not permitted." },
	[ERR_INVALID_QUERY_PARAMETER_VALUE] = { 400, "InvalidQueryParameterValue",
						"Value for one of the query parameters specified "
						"in the request URI is invalid." },
	[ERR_INVALID_RANGE] = { 416, "InvalidRange",
				"The range specified is invalid for the current size of the "
				"resource." },
	[ERR_INVALID_RESOURCE_NAME] = { 400, "InvalidResourceName",
					"The specified resource name contains invalid "
					"characters." },
	[ERR_INVALID_URI] = { 400, "InvalidUri",
			      "The requested URI does not represent any resource on the server." },
	[ERR_INVALID_XML_DOCUMENT] = { 400, "InvalidXmlDocument",
				       "XML specified is not syntactically valid." },
	[ERR_LEASE_NOT_PRESENT_BLOB] = { 412, "LeaseNotPresentWithBlobOperation",
					 "There is currently no lease on the blob." },
	[ERR_LEASE_NOT_PRESENT_CONTAINER] = { 412, "LeaseNotPresentWithContainerOperation",
					      "There is currently no lease on the container." },
	[ERR_MD5_MISMATCH] = { 400, "Md5Mismatch",
			       "The MD5 value specified in the request did not match with the MD5 "
			       "value calculated "
			       "by the server." },
	[ERR_METADATA_TOO_LARGE] = { 400, "MetadataTooLarge",
				     "The metadata specified exceeds the maximum allowed limit "
				     "(8KB)." },
	[ERR_MISSING_CONTENT_LENGTH] = { 411, "MissingContentLengthHeader",
					 "Content-Length HTTP header is missing." },
	[ERR_MISSING_REQUIRED_HEADER] = { 400, "MissingRequiredHeader",
					  "An HTTP header that's mandatory for this request is not "
					  "specified." },
	[ERR_MISSING_REQUIRED_QUERY_PARAMETER] = { 400, "MissingRequiredQueryParameter",
						   "A query parameter that's mandatory for this "
						   "request is not specified." },
	[ERR_MULTIPLE_CONDITION_HEADERS] = { 400, "MultipleConditionHeadersNotSupported",
					     "Multiple condition headers are not supported." },
	[ERR_NO_AUTHENTICATION_INFORMATION] = { 401, "NoAuthenticationInformation",
						"Server failed to authenticate the request. Please "
						"refer to the information in the "
						"www-authenticate header." },
	[ERR_NOT_IMPLEMENTED] = { 501, "NotImplemented",
				  "The requested operation is not implemented on the specified "
				  "resource." },
	[ERR_NOT_MODIFIED] = { 304, "ConditionNotMet",
			       "The condition specified using HTTP conditional header(s) is not "
			       "met." },
	[ERR_OUT_OF_RANGE_INPUT] = { 400, "OutOfRangeInput",
				     "One of the request inputs is out of range." },
	[ERR_OUT_OF_RANGE_QUERY_PARAMETER_VALUE] = { 400, "OutOfRangeQueryParameterValue",
						     "One of the query parameters specified in the "
						     "request URI is outside the "
						     "permissible range." },
	[ERR_PUBLIC_ACCESS_NOT_PERMITTED] = { 409, "PublicAccessNotPermitted",
					      "Public access is not permitted on this storage "
					      "account." },
	[ERR_REQUEST_BODY_TOO_LARGE] = { 413, "RequestBodyTooLarge",
					 "The request body is too large and exceeds the maximum "
					 "permissible limit." },
	[ERR_REQUEST_URL_FAILED_TO_PARSE] = { 400, "RequestUrlFailedToParse",
					      "The url in the request could not be parsed." },
	[ERR_RESOURCE_NOT_FOUND] = { 404, "ResourceNotFound",
				     "The specified resource does not exist." },
	[ERR_UNAUTHORIZED_BLOB_OVERWRITE] = { 403, "UnauthorizedBlobOverwrite",
					      "This request is not authorized to perform blob "
					      "overwrites." },
	[ERR_SERVER_BUSY] = { 503, "ServerBusy",
			      "The server is currently unable to receive requests. Please retry "
			      "your request." },
	[ERR_APPEND_POSITION] = { 412, "AppendPositionConditionNotMet",
				  "The append position condition specified was not met." },
	[ERR_BLOB_IS_SEALED] = { 409, "BlobIsSealed",
				 "The specified blob is sealed and its contents can't be modified "
				 "unless the blob is re-created after a delete." },
	[ERR_BLOB_OVERWRITTEN] = { 409, "BlobOverwritten",
				   "The blob has been recreated since the previous snapshot was "
				   "taken." },
	[ERR_COMMITTED_COUNT_EXCEEDS_LIMIT] = { 409, "BlockCountExceedsLimit",
						"The committed block count cannot exceed the "
						"maximum limit of 50,000 blocks." },
	[ERR_INVALID_PAGE_RANGE] = { 416, "InvalidPageRange",
				     "The page range specified is invalid." },
	[ERR_MAX_BLOB_SIZE] = { 412, "MaxBlobSizeConditionNotMet",
				"The max blob size condition specified was not met." },
	[ERR_PREVIOUS_SNAPSHOT_NEWER] = { 400, "PreviousSnapshotCannotBeNewer",
					  "The prevsnapshot query parameter value cannot be newer "
					  "than snapshot query parameter value." },
	[ERR_PREVIOUS_SNAPSHOT_NOT_FOUND] = { 409, "PreviousSnapshotNotFound",
					      "The previous snapshot is not found." },
	[ERR_SEQUENCE_NUMBER] = { 412, "SequenceNumberConditionNotMet",
				  "The sequence number condition specified was not met." },
	[ERR_SEQUENCE_NUMBER_INCREMENT] = { 409, "SequenceNumberIncrementTooLarge",
					    "The sequence number increment cannot be performed "
					    "because it would result in overflow of the sequence "
					    "number." },
	[ERR_INCREMENTAL] = { 409, "OperationNotAllowedOnIncrementalCopyBlob",
			      "The specified operation is not allowed on an incremental copy "
			      "blob." },
	[ERR_INCREMENTAL_MISMATCH] = { 409, "IncrementalCopyBlobMismatch",
				       "The specified source blob is different than the copy "
				       "source of the existing incremental copy blob." },
	[ERR_INCREMENTAL_EARLIER] = { 409, "IncrementalCopyOfEarlierVersionSnapshotNotAllowed",
				      "The specified snapshot is earlier than the last snapshot "
				      "copied into the incremental copy blob." },
	[ERR_INCREMENTAL_SOURCE] = { 409, "IncrementalCopySourceMustBeSnapshot",
				     "The source for incremental copy request must be a "
				     "snapshot." },
	[ERR_NOT_SOFT_DELETED] = { 409, "BlobSnapshotNotSoftDeleted",
				   "Only a snapshot or version that is soft-deleted already can "
				   "be deleted permanently." },
	[ERR_OPERATION_NOT_ALLOWED_ON_ROOT_BLOB] = { 403, "OperationNotAllowedOnRootBlob",
						     "The operation is not allowed on the current "
						     "version of a blob by its version id." },
	[ERR_SNAPSHOTS_PRESENT] = { 409, "SnapshotsPresent",
				    "This operation is not permitted while the blob has "
				    "snapshots." },
	[ERR_UNSUPPORTED_HEADER] = { 400, "UnsupportedHeader",
				     "One of the HTTP headers specified in the request is not "
				     "supported." },
	[ERR_UNSUPPORTED_HTTP_VERB] = { 405, "UnsupportedHttpVerb",
					"The resource doesn't support the specified HTTP verb." },
};

static void write_body(struct azb_buf *xml, const struct answer_to *to, const char *code,
		       const char *message, const struct err_detail *details)
{
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	xml_start(xml);
	azb_buf_puts(xml, "<Error>");
	xml_element_z(xml, "Code", code);
	xml_open(xml, "Message");
	xml_text(xml, message, strlen(message));
	azb_buf_printf(xml, "\nRequestId:%s\nTime:%04d-%02d-%02dT%02d:%02d:%02d.%07ldZ", to->id,
		       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		       tm.tm_sec, now.tv_nsec / 100);
	xml_close(xml, "Message");
	for (int i = 0; details && i < 4 && details[i].name; i++)
		xml_element_z(xml, details[i].name, details[i].value);
	azb_buf_puts(xml, "</Error>");
}

struct svc_answer *err_answer_text(const struct answer_to *to, unsigned int status,
				   const char *code, const char *message,
				   const struct err_detail *details)
{
	struct answer *a = answer_new(to, status);
	struct azb_buf xml = { 0 };

	answer_add(a, "x-ms-error-code", code);
	if (status == 401)
		answer_add(a, "WWW-Authenticate", "SharedKey");
	if (status != 304 && !to->is_head) {
		write_body(&xml, to, code, message, details);
		if (xml.failed && a)
			a->failed = true;
		answer_set_body(a, &xml, "application/xml");
	}
	return answer_done(a, to);
}

struct svc_answer *err_answer(const struct answer_to *to, enum err err,
			      const struct err_detail *details)
{
	const struct entry *e = &entries[err < ERR_COUNT && entries[err].code ? err : ERR_INTERNAL];

	return err_answer_text(to, e->status, e->code, e->message, details);
}

struct svc_answer *err_overwrite(const struct answer_to *to, struct svc_answer *answer)
{
	const char *code = svc_answer_header(answer, "x-ms-error-code");

	if (!code || strcmp(code, entries[ERR_BLOB_ALREADY_EXISTS].code) != 0)
		return answer;
	svc_answer_put(answer);
	return err_answer(to, ERR_UNAUTHORIZED_BLOB_OVERWRITE, NULL);
}

struct svc_answer *svc_error(struct svc *svc, const struct head *head, unsigned int status,
			     const char *code, const char *message)
{
	struct answer_to to;

	(void)svc;
	answer_to_init(&to, head);
	return err_answer_text(&to, status, code, message, NULL);
}

enum err err_of_store(enum store_error error)
{
	switch (error) {
	case STORE_OK:
		return ERR_NONE;
	case STORE_CONTAINER_NOT_FOUND:
		return ERR_CONTAINER_NOT_FOUND;
	case STORE_CONTAINER_EXISTS:
		return ERR_CONTAINER_ALREADY_EXISTS;
	case STORE_CONTAINER_BEING_DELETED:
		return ERR_CONTAINER_BEING_DELETED;
	case STORE_BLOB_NOT_FOUND:
		return ERR_BLOB_NOT_FOUND;
	case STORE_BLOB_EXISTS:
		return ERR_BLOB_ALREADY_EXISTS;
	case STORE_WRONG_BLOB_TYPE:
		return ERR_INVALID_BLOB_TYPE;
	case STORE_CONDITION_NOT_MET:
		return ERR_CONDITION_NOT_MET;
	case STORE_NOT_MODIFIED:
		return ERR_NOT_MODIFIED;
	case STORE_INVALID_BLOCK_LIST:
		return ERR_INVALID_BLOCK_LIST;
	case STORE_BLOCK_LIST_TOO_LONG:
		return ERR_BLOCK_LIST_TOO_LONG;
	case STORE_BLOCK_COUNT_LIMIT:
		return ERR_BLOCK_COUNT_EXCEEDS_LIMIT;
	case STORE_BLOCK_ID_LENGTH:
		return ERR_INVALID_BLOB_OR_BLOCK;
	case STORE_INCOMPLETE:
		return ERR_INCOMPLETE_BODY;
	case STORE_OVERLAP:
	case STORE_TOO_MANY_PARTS:
		return ERR_INVALID_INPUT;
	case STORE_OUT_OF_RANGE:
		return ERR_OUT_OF_RANGE_INPUT;
	case STORE_CRC_MISMATCH:
		return ERR_CRC64_MISMATCH;
	case STORE_NO_SPACE:
		return ERR_INSUFFICIENT_STORAGE;
	case STORE_APPEND_POSITION:
		return ERR_APPEND_POSITION;
	case STORE_MAX_SIZE:
		return ERR_MAX_BLOB_SIZE;
	case STORE_APPEND_COUNT_LIMIT:
		return ERR_COMMITTED_COUNT_EXCEEDS_LIMIT;
	case STORE_SEALED:
		return ERR_BLOB_IS_SEALED;
	case STORE_SEQUENCE:
		return ERR_SEQUENCE_NUMBER;
	case STORE_SEQUENCE_FULL:
		return ERR_SEQUENCE_NUMBER_INCREMENT;
	case STORE_BEYOND_END:
		return ERR_INVALID_PAGE_RANGE;
	case STORE_VIEW_UNRELATED:
		return ERR_BLOB_OVERWRITTEN;
	case STORE_VIEW_NEWER:
		return ERR_PREVIOUS_SNAPSHOT_NEWER;
	case STORE_PAST_NOT_FOUND:
		return ERR_PREVIOUS_SNAPSHOT_NOT_FOUND;
	case STORE_SNAPSHOTS_PRESENT:
		return ERR_SNAPSHOTS_PRESENT;
	case STORE_CURRENT_VERSION:
		return ERR_OPERATION_NOT_ALLOWED_ON_ROOT_BLOB;
	case STORE_INCREMENTAL:
		return ERR_INCREMENTAL;
	case STORE_INCREMENTAL_MISMATCH:
		return ERR_INCREMENTAL_MISMATCH;
	case STORE_INCREMENTAL_EARLIER:
		return ERR_INCREMENTAL_EARLIER;
	case STORE_NOT_DELETED:
		return ERR_NOT_SOFT_DELETED;
	case STORE_UNSUPPORTED:
		return ERR_NOT_IMPLEMENTED;
	case STORE_NO_MEMORY:
	case STORE_SHUTDOWN:
		return ERR_SERVER_BUSY;
	case STORE_LEASE_ID_MISSING:
		return ERR_LEASE_ID_MISSING;
	case STORE_LEASE_MISMATCH:
		return ERR_LEASE_ID_MISMATCH_BLOB;
	case STORE_LEASE_LOST:
		return ERR_LEASE_LOST;
	case STORE_LEASE_NOT_PRESENT:
		return ERR_LEASE_NOT_PRESENT_BLOB;
	case STORE_LEASE_PRESENT:
		return ERR_LEASE_ALREADY_PRESENT;
	case STORE_LEASE_OP_MISMATCH:
		return ERR_LEASE_ID_MISMATCH_OPERATION;
	case STORE_LEASE_OP_NOT_PRESENT:
		return ERR_LEASE_NOT_PRESENT_OPERATION;
	case STORE_LEASE_BREAKING_ACQUIRE:
		return ERR_LEASE_BREAKING_ACQUIRE;
	case STORE_LEASE_BREAKING_CHANGE:
		return ERR_LEASE_BREAKING_CHANGE;
	case STORE_LEASE_BROKEN_RENEW:
		return ERR_LEASE_BROKEN_RENEW;
	case STORE_LEASE_ALREADY_BROKEN:
		return ERR_LEASE_ALREADY_BROKEN;
	case STORE_BLOB_ARCHIVED:
		return ERR_BLOB_ARCHIVED;
	case STORE_BLOB_REHYDRATING:
		return ERR_BLOB_BEING_REHYDRATED;
	case STORE_TIER_UNKNOWN:
		return ERR_INVALID_BLOB_TIER;
	case STORE_BLOB_IMMUTABLE:
		return ERR_BLOB_IMMUTABLE_POLICY;
	case STORE_BLOB_HELD:
		return ERR_BLOB_IMMUTABLE_HOLD;
	case STORE_POLICY_LOCKED:
		return ERR_POLICY_LOCKED;
	case STORE_NO_PENDING_COPY:
		return ERR_NO_PENDING_COPY;
	case STORE_PENDING_COPY:
		return ERR_PENDING_COPY;
	case STORE_COPY_ID_MISMATCH:
		return ERR_COPY_ID_MISMATCH;
	case STORE_SOURCE_NOT_FOUND:
		return ERR_CANNOT_VERIFY_COPY_SOURCE;
	case STORE_SOURCE_CONDITION:
		return ERR_SOURCE_CONDITION_NOT_MET;
	case STORE_IO:
	case STORE_CORRUPT:
		break;
	}
	return ERR_INTERNAL;
}

enum err err_of_store_at(enum store_error error, const char *blob)
{
	/* two errors have a name of their own where the container itself is meant */
	if (!blob && error == STORE_LEASE_MISMATCH)
		return ERR_LEASE_ID_MISMATCH_CONTAINER;
	if (!blob && error == STORE_LEASE_NOT_PRESENT)
		return ERR_LEASE_NOT_PRESENT_CONTAINER;
	return err_of_store(error);
}
