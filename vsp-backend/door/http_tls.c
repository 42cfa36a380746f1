// SPDX-License-Identifier: MIT
#include "http_tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "../base/log.h"
#include "http_internal.h"

/* What goes into one record. */
#define RECORD_BYTES (16u * 1024u)

struct http_tls {
	atomic_uint references;
	SSL_CTX *context;
};

/* ------------------------------------------------------------------ loading */

/* The first thing that OpenSSL complained of; the rest is where it noticed. */
static void complain(const char *what, const char *file, char *error, size_t error_size)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	snprintf(error, error_size, "%s: %s: %s", file, what, reason ? reason : "can't be read");
	ERR_clear_error();
}

static int no_password(char *buffer, int size, int writing, void *context)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)context;
	/* never ask on a terminal: a daemon has none */
	return -1;
}

static bool load_pem(SSL_CTX *context, const char *certificate, const char *key, char *error,
		     size_t error_size)
{
	if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1) {
		complain("no certificate in PEM form", certificate, error, error_size);
		return false;
	}
	if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
		complain("no key in PEM form for the certificate", key, error, error_size);
		return false;
	}
	return true;
}

static bool use_pkcs12(SSL_CTX *context, PKCS12 *p12, const char *password)
{
	STACK_OF(X509) *chain = NULL;
	EVP_PKEY *key = NULL;
	X509 *certificate = NULL;
	bool good;

	if (PKCS12_parse(p12, password, &key, &certificate, &chain) != 1)
		return false;
	good = certificate && key &&
	       SSL_CTX_use_cert_and_key(context, certificate, key, chain, 1) == 1;
	EVP_PKEY_free(key);
	X509_free(certificate);
	sk_X509_pop_free(chain, X509_free);
	return good;
}

static bool load_pkcs12(SSL_CTX *context, const char *file, const char *password, char *error,
			size_t error_size)
{
	FILE *stream = fopen(file, "rbe");
	PKCS12 *p12;
	bool good;

	if (!stream) {
		snprintf(error, error_size, "%s: %s", file, strerror(errno));
		return false;
	}
	p12 = d2i_PKCS12_fp(stream, NULL);
	fclose(stream);
	good = p12 && use_pkcs12(context, p12, password);
	PKCS12_free(p12);
	if (!good)
		complain("no PKCS #12 file with a certificate and a key, or another password", file,
			 error, error_size);
	return good;
}

struct http_tls *http_tls_load(const char *certificate, const char *key, const char *password,
			       char *error, size_t error_size)
{
	struct http_tls *tls = calloc(1, sizeof(*tls));
	bool good;

	ERR_clear_error();
	if (tls)
		tls->context = SSL_CTX_new(TLS_server_method());
	if (!tls || !tls->context) {
		free(tls);
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	atomic_init(&tls->references, 1);
	SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
	SSL_CTX_set_options(tls->context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
						  SSL_OP_CIPHER_SERVER_PREFERENCE |
						  SSL_OP_IGNORE_UNEXPECTED_EOF |
						  SSL_OP_ENABLE_KTLS);
	SSL_CTX_set_mode(tls->context, SSL_MODE_ENABLE_PARTIAL_WRITE |
					       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					       SSL_MODE_RELEASE_BUFFERS);
	/* tickets do, and need no memory here */
	SSL_CTX_set_session_cache_mode(tls->context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_default_passwd_cb(tls->context, no_password);
	good = key ? load_pem(tls->context, certificate, key, error, error_size)
		   : load_pkcs12(tls->context, certificate, password, error, error_size);
	if (good && SSL_CTX_check_private_key(tls->context) != 1) {
		complain("the key is not the certificate's", certificate, error, error_size);
		good = false;
	}
	if (good)
		return tls;
	http_tls_put(tls);
	return NULL;
}

void http_tls_put(struct http_tls *tls)
{
	if (!tls || atomic_fetch_sub_explicit(&tls->references, 1, memory_order_acq_rel) != 1)
		return;
	SSL_CTX_free(tls->context);
	free(tls);
}

void http_door_set_tls(struct http_door *door, struct http_tls *tls)
{
	struct http_tls *old;

	if (tls)
		atomic_fetch_add_explicit(&tls->references, 1, memory_order_relaxed);
	pthread_mutex_lock(&door->tls_lock);
	old = door->tls;
	door->tls = tls;
	pthread_mutex_unlock(&door->tls_lock);
	http_tls_put(old);
}

/* -------------------------------------------------------------- connections */

bool conn_tls_begin(struct http_conn *conn)
{
	struct http_door *door = conn->loop->door;

	pthread_mutex_lock(&door->tls_lock);
	conn->ssl = door->tls ? SSL_new(door->tls->context) : NULL;
	pthread_mutex_unlock(&door->tls_lock);
	if (!conn->ssl || SSL_set_fd(conn->ssl, conn->fd) != 1) {
		SSL_free(conn->ssl);
		conn->ssl = NULL;
		return false;
	}
	SSL_set_accept_state(conn->ssl);
	conn->state = CONN_TLS;
	return true;
}

/* After a call that gave @result: as recv() and send() do, and what has to be waited for. */
static ssize_t outcome(struct http_conn *conn, int result)
{
	int error = errno;

	switch (SSL_get_error(conn->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		conn->tls_wants = EPOLLIN;
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_WANT_WRITE:
		conn->tls_wants = EPOLLOUT;
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		errno = error ? error : ECONNRESET;
		return -1;
	default:
		errno = EPROTO;
		return -1;
	}
}

static void before(struct http_conn *conn)
{
	ERR_clear_error();
	errno = 0;
	conn->tls_wants = 0;
}

enum conn_next conn_tls_accept(struct http_conn *conn)
{
	int result;

	before(conn);
	result = SSL_accept(conn->ssl);
	if (result == 1) {
		conn->state = CONN_HEAD;
		return CONN_AGAIN;
	}
	if (outcome(conn, result) < 0 && errno == EAGAIN)
		return CONN_WAIT_IN;
	azb_log(AZB_LOG_DEBUG, "http %s: no TLS: %s", conn->peer,
		ERR_peek_error() ? ERR_reason_error_string(ERR_peek_error()) : strerror(errno));
	conn->state = CONN_CLOSE;
	return CONN_AGAIN;
}

ssize_t conn_tls_receive(struct http_conn *conn, void *bytes, size_t length)
{
	size_t got;
	int result;

	before(conn);
	result = SSL_read_ex(conn->ssl, bytes, length, &got);
	return result == 1 ? (ssize_t)got : outcome(conn, result);
}

/*
 * Gathers up to a record.  After EAGAIN the same bytes come again, which is what OpenSSL asks for:
 * what is sent is only moved on by what was taken.
 */
ssize_t conn_tls_send(struct http_conn *conn, const struct iovec *iov, size_t count)
{
	char record[RECORD_BYTES];
	size_t length = 0, sent;
	int result;

	for (size_t i = 0; i < count && length < sizeof(record); i++) {
		size_t n = iov[i].iov_len;

		if (n > sizeof(record) - length)
			n = sizeof(record) - length;
		memcpy(record + length, iov[i].iov_base, n);
		length += n;
	}
	before(conn);
	result = SSL_write_ex(conn->ssl, record, length, &sent);
	return result == 1 ? (ssize_t)sent : outcome(conn, result);
}

bool conn_tls_in_kernel(const struct http_conn *conn)
{
	return BIO_get_ktls_send(SSL_get_wbio(conn->ssl)) != 0;
}

ssize_t conn_tls_send_file(struct http_conn *conn, int fd, off_t offset, size_t length)
{
	char record[RECORD_BYTES];
	struct iovec iov = { .iov_base = record };
	ssize_t n;

	before(conn);
	if (conn_tls_in_kernel(conn)) {
		n = SSL_sendfile(conn->ssl, fd, offset, length, 0);
		return n >= 0 ? n : outcome(conn, (int)n);
	}
	do {
		n = pread(fd, record, length < sizeof(record) ? length : sizeof(record), offset);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n;
	iov.iov_len = (size_t)n;
	return conn_tls_send(conn, &iov, 1);
}

bool conn_tls_has_input(const struct http_conn *conn)
{
	return SSL_pending(conn->ssl) > 0;
}

void conn_tls_bye(struct http_conn *conn)
{
	before(conn);
	/* as much as fits: whoever doesn't read it has closed */
	SSL_shutdown(conn->ssl);
}

void conn_tls_end(struct http_conn *conn)
{
	SSL_free(conn->ssl);
	conn->ssl = NULL;
}
