// SPDX-License-Identifier: MIT
/*
 * Structs that programs allocate keep their layout for good: what was compiled with an older header
 * goes on working.  The numbers are those of 64-bit machines.  Never change one; fields of option
 * structs are added at the end, fields of results in what is reserved.
 */
#include "api.h"

#include <stddef.h>

#define AT(type, field, offset) \
	_Static_assert(offsetof(struct type, field) == (offset), #type "." #field)
#define SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type)

#ifdef __LP64__
SIZE(azblob_error, 624);
AT(azblob_error, outcome_unknown, 8);
AT(azblob_error, link_status, 16);
AT(azblob_error, code, 48);
AT(azblob_error, message, 112);

SIZE(azblob_pair, 16);
AT(azblob_pair, value, 8);

AT(azblob_list_options, max_results, 32);
AT(azblob_entry, blob_type, 48);
AT(azblob_list, next_marker, 16);
AT(azblob_properties, metadata, 112);

AT(azblob_put_options, progress_context, 56);
SIZE(azblob_put_result, 248);
AT(azblob_put_result, size, 192);

AT(azblob_get_options, progress_context, 24);
SIZE(azblob_get_result, 264);
AT(azblob_get_result, verified, 224);

AT(azblob_raw_request, guid, 68);
SIZE(azblob_raw_request, 88);
SIZE(azblob_raw_result, 64);
AT(azblob_queue_options, threads, 12);
AT(azblob_submit_options, if_match, 24);
SIZE(azblob_completion, 848);
AT(azblob_completion, etag, 96);
AT(azblob_completion, error, 224);

/* What came with AZBLOB_0.2. */
AT(azblob_entry, tags, 144);
SIZE(azblob_page_options, 40);
SIZE(azblob_page_result, 232);
AT(azblob_page_result, sequence_number, 192);
SIZE(azblob_page_range, 24);
SIZE(azblob_page_list_options, 56);
SIZE(azblob_source, 56);
SIZE(azblob_container_options, 32);
SIZE(azblob_policy, 32);
SIZE(azblob_batch_request, 48);
SIZE(azblob_batch_result, 96);
AT(azblob_batch_result, code, 32);
SIZE(azblob_account_info, 168);
SIZE(azblob_service_stats, 128);
#endif

int main(void)
{
	struct azblob_put_options put = AZBLOB_PUT_OPTIONS_INIT;
	struct azblob_get_options get = AZBLOB_GET_OPTIONS_INIT;
	azblob_conn *conn = api_open();
	char unknown[sizeof(put) + 8] = { 0 };

	/* From a program that was compiled with a newer header: fine as long as it is not used. */
	put.struct_size = sizeof(unknown);
	memcpy(unknown, &put, sizeof(put));
	FAILS(azblob_put_blob(conn, "nobox", "x", "x", 1, (void *)unknown, NULL, &api_error),
	      AZBLOB_SERVICE);
	unknown[sizeof(put)] = 1;
	FAILS(azblob_put_blob(conn, "nobox", "x", "x", 1, (void *)unknown, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	/* An older one: what it does not have is as if it were 0. */
	get.struct_size = offsetof(struct azblob_get_options, progress);
	get.progress = (azblob_progress_fn)(void *)unknown;
	FAILS(azblob_get_blob(conn, "nobox", "x", 0, 1, unknown, 1, &get, NULL, &api_error),
	      AZBLOB_SERVICE);
	azblob_close(conn);
	return 0;
}
