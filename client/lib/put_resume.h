/* SPDX-License-Identifier: MIT */
/*
 * Uploads that go on where an earlier one stopped.  The id of a block says its place, its length
 * and the CRC-64 of its bytes: what the service has under it need not be sent again, whoever sent
 * it, and whatever became of the file meanwhile.
 */
#ifndef AZC_PUT_RESUME_H
#define AZC_PUT_RESUME_H

#include "transport.h"

/* Characters of an id, without the zero. */
#define AZC_RESUME_ID 32u

struct azc_resume;

/*
 * Asks the service what it has.  @part: bytes of each block but the last.  NULL on failure; also
 * when @options want a new blob and there is one, before anything is sent for nothing.
 */
struct azc_resume *azc_resume_begin(azblob_conn *conn, const char *container, const char *blob,
				    const struct azblob_put_options *options, size_t part,
				    struct azblob_error *error);
void azc_resume_end(struct azc_resume *resume);
/* Block @number has these bytes; *there: the service has them.  Any thread. */
int azc_resume_note(struct azc_resume *resume, uint64_t number, size_t length, uint64_t crc,
		    bool *there, struct azblob_error *error);
/* The id of a block that was noted. */
void azc_resume_id(struct azc_resume *resume, uint64_t number, char text[AZC_RESUME_ID + 1]);
/* Bytes that were found there. */
uint64_t azc_resume_bytes(const struct azc_resume *resume);

#endif /* AZC_PUT_RESUME_H */
