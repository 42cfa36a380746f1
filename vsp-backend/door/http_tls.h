/* SPDX-License-Identifier: MIT */
/*
 * TLS for the HTTP door: 1.2 and later, by OpenSSL.  Where the kernel offers kTLS for the cipher,
 * bodies go from their files by sendfile as without TLS; else they are read and encrypted by a
 * worker.
 */
#ifndef AZBLOB_DOOR_HTTP_TLS_H
#define AZBLOB_DOOR_HTTP_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* A certificate with its key, ready for connections.  Counted references, any thread. */
struct http_tls;

/*
 * @certificate: a PEM file with the chain, the server's own first, and @key: one with its key; or
 * a PKCS #12 file, with @key NULL and its @password (NULL for none).  NULL: @error has one line.
 */
struct http_tls *http_tls_load(const char *certificate, const char *key, const char *password,
			       char *error, size_t error_size);
void http_tls_put(struct http_tls *tls); /* NULL is allowed */

#endif /* AZBLOB_DOOR_HTTP_TLS_H */
