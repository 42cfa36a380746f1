// SPDX-License-Identifier: MIT
#include "cert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

#define MAX_NAMES 16u
/* What client libraries accept at most of a server's certificate. */
#define DEFAULT_DAYS 397u
#define MAX_DAYS 3650u
#define CA_DAYS 3650u
/* Clocks differ. */
#define BEFORE_S 300

static const char usage[] =
	"usage: azblob-gateway cert [--out DIR] [--name NAME]... [--days N]\n"
	"\n"
	"Make a certificate for --https: DIR/gateway.pem and DIR/gateway.key, signed by an "
	"authority\n"
	"in DIR/ca.pem and DIR/ca.key, which is made where there is none.  The authority can only\n"
	"sign for this machine: localhost, names below it, 127.0.0.0/8, ::1, and each --name.\n"
	"\n"
	"  --out DIR       where the files go (.)\n"
	"  --name NAME     a further name or address of the gateway; may be repeated\n"
	"  --days N        how long the certificate is good (397)\n";

/**
 * struct work - what is being made
 */
struct work {
	const char *out;
	const char *name[MAX_NAMES];
	unsigned int names;
	unsigned int days;
	EVP_PKEY *ca_key, *key;
	X509 *ca, *leaf;
	bool made_ca;
};

static bool bad(const char *format, ...) __attribute__((format(printf, 1, 2)));

static bool bad(const char *format, ...)
{
	va_list list;

	fputs("azblob-gateway: cert: ", stderr);
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputc('\n', stderr);
	return false;
}

static bool bad_openssl(const char *what)
{
	char text[200] = "out of memory";
	unsigned long error = ERR_get_error();

	if (error)
		ERR_error_string_n(error, text, sizeof(text));
	return bad("%s: %s", what, text);
}

static bool is_address(const char *name)
{
	unsigned char bytes[16];

	return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* Letters, digits, dots, dashes: nothing that has a meaning in OpenSSL's lists. */
static bool name_good(const char *name)
{
	size_t n = strlen(name);

	if (is_address(name))
		return true;
	return n && n < 254 && name[0] != '.' && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") ==
		       n;
}

/* --------------------------------------------------------------------- files */

static char *path_of(const struct work *w, const char *name)
{
	char *path = NULL;

	return asprintf(&path, "%s/%s", w->out, name) < 0 ? NULL : path;
}

/* Under another name first, so that a reader never finds half a file. */
static bool write_file(const struct work *w, const char *name, mode_t mode, const char *data,
		       size_t length)
{
	char *path = path_of(w, name), *fresh = NULL;
	bool good = path && asprintf(&fresh, "%s.new", path) >= 0;
	int fd = -1;

	if (!good) {
		fresh = NULL;
		errno = ENOMEM;
	} else {
		/* the mode is of new files only */
		unlink(fresh);
		fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
		good = fd >= 0 && !fchmod(fd, mode) && write(fd, data, length) == (ssize_t)length &&
		       !fsync(fd) && !rename(fresh, path);
	}
	if (!good)
		bad("%s/%s: %s", w->out, name, strerror(errno));
	if (fd >= 0)
		close(fd);
	free(fresh);
	free(path);
	return good;
}

static bool write_bio(const struct work *w, const char *name, mode_t mode, BIO *bio, bool good)
{
	char *data = NULL;
	long length = bio ? BIO_get_mem_data(bio, &data) : 0;

	good = good && length > 0 ? write_file(w, name, mode, data, (size_t)length)
				  : bad_openssl(name);
	if (data && length > 0)
		OPENSSL_cleanse(data, (size_t)length);
	BIO_free(bio);
	return good;
}

static bool write_key(const struct work *w, const char *name, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());

	return write_bio(w, name, 0600, bio,
			 bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
}

/* @second: NULL, or what follows in the chain. */
static bool write_chain(const struct work *w, const char *name, X509 *first, X509 *second)
{
	BIO *bio = BIO_new(BIO_s_mem());

	return write_bio(w, name, 0644, bio,
			 bio && PEM_write_bio_X509(bio, first) &&
				 (!second || PEM_write_bio_X509(bio, second)));
}

/* False: it may be there, and can't be read.  True with *@file NULL: it is not there. */
static bool open_file(const struct work *w, const char *name, FILE **file)
{
	char *path = path_of(w, name);
	bool good;

	errno = ENOMEM;
	*file = path ? fopen(path, "re") : NULL;
	good = *file || errno == ENOENT;
	if (!good)
		bad("%s/%s: %s", w->out, name, strerror(errno));
	free(path);
	return good;
}

/* The authority that is there.  True with w->ca NULL: there is none. */
static bool read_ca(struct work *w)
{
	FILE *key = NULL, *ca = NULL;
	bool good = open_file(w, "ca.key", &key) && open_file(w, "ca.pem", &ca);

	if (!good) {
		/* said already: one that can't be read is not replaced */
	} else if (key && ca) {
		w->ca_key = PEM_read_PrivateKey(key, NULL, NULL, NULL);
		w->ca = PEM_read_X509(ca, NULL, NULL, NULL);
		if (!w->ca_key || !w->ca || X509_check_private_key(w->ca, w->ca_key) != 1)
			good = bad(
				"%s/ca.pem and ca.key are no authority's; without both a new one "
				"is made",
				w->out);
	} else if (key || ca) {
		good = bad("%s has only one of ca.pem and ca.key; without both a new authority is "
			   "made",
			   w->out);
	}
	if (key)
		(void)fclose(key);
	if (ca)
		(void)fclose(ca);
	return good;
}

/* -------------------------------------------------------------- certificates */

static bool extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;
	bool good;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	good = extension && X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
	return good;
}

static bool set_serial(X509 *cert)
{
	unsigned char bytes[16];
	BIGNUM *number;
	bool good;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	/* positive, and never shorter */
	bytes[0] = (unsigned char)((bytes[0] & 0x3f) | 0x40);
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
	BN_free(number);
	return good;
}

/* Everything but extensions and signature. */
static X509 *begin(const char *common_name, EVP_PKEY *key, X509 *issuer, unsigned int days)
{
	X509 *cert = X509_new();
	X509_NAME *name = cert ? X509_get_subject_name(cert) : NULL;

	if (name && X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
	    X509_gmtime_adj(X509_getm_notBefore(cert), -BEFORE_S) &&
	    X509_time_adj_ex(X509_getm_notAfter(cert), (int)days, 0, NULL) &&
	    X509_set_pubkey(cert, key) &&
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
				       (const unsigned char *)common_name, -1, -1, 0) &&
	    X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : name))
		return cert;
	X509_free(cert);
	return NULL;
}

static bool make_ca(struct work *w)
{
	struct azb_buf limits = { 0 };
	char host[65] = "", common_name[100];
	bool good;

	gethostname(host, sizeof(host) - 1);
	/* a common name has at most 64 characters */
	snprintf(common_name, sizeof(common_name), "azblob-gateway on %.40s", host);
	azb_buf_puts(&limits, "critical,permitted;DNS:localhost,"
			      "permitted;IP:127.0.0.0/255.0.0.0,"
			      "permitted;IP:::1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff,"
			      /* a kind without a limit is free: .invalid is nobody's (RFC 2606) */
			      "permitted;email:invalid,permitted;URI:invalid");
	for (unsigned int i = 0; i < w->names; i++) {
		if (!is_address(w->name[i]))
			azb_buf_printf(&limits, ",permitted;DNS:%s", w->name[i]);
		else if (strchr(w->name[i], ':'))
			azb_buf_printf(&limits,
				       ",permitted;IP:%s/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
				       w->name[i]);
		else
			azb_buf_printf(&limits, ",permitted;IP:%s/255.255.255.255", w->name[i]);
	}
	w->ca_key = EVP_EC_gen("P-256");
	w->ca = w->ca_key ? begin(common_name, w->ca_key, NULL, CA_DAYS) : NULL;
	good = w->ca && !limits.failed &&
	       extend(w->ca, w->ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	       extend(w->ca, w->ca, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	       /* for servers alone: not for mail, programs or clients */
	       extend(w->ca, w->ca, NID_ext_key_usage, "serverAuth") &&
	       extend(w->ca, w->ca, NID_subject_key_identifier, "hash") &&
	       extend(w->ca, w->ca, NID_name_constraints, limits.data) &&
	       X509_sign(w->ca, w->ca_key, EVP_sha256());
	azb_buf_free(&limits);
	w->made_ca = good;
	return good || bad_openssl("the authority");
}

static bool make_leaf(struct work *w)
{
	struct azb_buf names = { 0 };
	bool good;

	azb_buf_puts(&names, "DNS:localhost,DNS:*.blob.localhost,IP:127.0.0.1,IP:::1");
	for (unsigned int i = 0; i < w->names; i++)
		azb_buf_printf(&names, ",%s:%s", is_address(w->name[i]) ? "IP" : "DNS", w->name[i]);
	w->key = EVP_EC_gen("P-256");
	w->leaf = w->key ? begin("azblob-gateway", w->key, w->ca, w->days) : NULL;
	good = w->leaf && !names.failed &&
	       extend(w->leaf, w->ca, NID_basic_constraints, "critical,CA:FALSE") &&
	       extend(w->leaf, w->ca, NID_key_usage, "critical,digitalSignature") &&
	       extend(w->leaf, w->ca, NID_ext_key_usage, "serverAuth") &&
	       extend(w->leaf, w->ca, NID_subject_key_identifier, "hash") &&
	       extend(w->leaf, w->ca, NID_authority_key_identifier, "keyid") &&
	       extend(w->leaf, w->ca, NID_subject_alt_name, names.data) &&
	       X509_sign(w->leaf, w->ca_key, EVP_sha256());
	azb_buf_free(&names);
	return good || bad_openssl("the certificate");
}

/* An authority of before may not allow a name, or be too old. */
static bool verify(const struct work *w)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	bool good = store && context && X509_STORE_add_cert(store, w->ca) &&
		    X509_STORE_CTX_init(context, store, w->leaf, NULL);

	if (!good)
		bad_openssl("the certificate");
	else if (X509_verify_cert(context) != 1)
		good = bad("%s/ca.pem does not allow it: %s; without ca.pem and ca.key a new "
			   "authority is made",
			   w->out,
			   X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	return good;
}

/* ---------------------------------------------------------------- the command */

static void tell(const struct work *w)
{
	char *folder = realpath(w->out, NULL);
	const char *out = folder ? folder : w->out;

	printf("%s %s/ca.pem: trust it where clients run, for instance\n"
	       "  sudo cp %s/ca.pem /usr/local/share/ca-certificates/azblob-gateway.crt\n"
	       "  sudo update-ca-certificates\n"
	       "or for one program: SSL_CERT_FILE (OpenSSL, Go, Python), REQUESTS_CA_BUNDLE "
	       "(Python's\n"
	       "requests), NODE_EXTRA_CA_CERTS (Node.js)=%s/ca.pem\n"
	       "It can only vouch for this machine's names; still, keep %s/ca.key to yourself.\n"
	       "\n"
	       "Serve with it (SIGHUP reads it again after a renewal):\n"
	       "  azblob-gateway --https 127.0.0.1:10443 --cert %s/gateway.pem --key "
	       "%s/gateway.key\n"
	       "  https://127.0.0.1:10443/ACCOUNT or https://ACCOUNT.blob.localhost:10443\n",
	       w->made_ca ? "A new authority is in" : "The authority is that in", out, out, out,
	       out, out, out);
	free(folder);
}

static bool make(struct work *w)
{
	if (mkdir(w->out, 0700) && errno != EEXIST)
		return bad("--out: %s: %s", w->out, strerror(errno));
	if (!read_ca(w) || (!w->ca && !make_ca(w)) || !make_leaf(w) || !verify(w))
		return false;
	if (w->made_ca &&
	    (!write_key(w, "ca.key", w->ca_key) || !write_chain(w, "ca.pem", w->ca, NULL)))
		return false;
	return write_key(w, "gateway.key", w->key) && write_chain(w, "gateway.pem", w->leaf, w->ca);
}

/* False: *@status is for exit(). */
static bool parse(struct work *w, int argc, char **argv, int *status)
{
	static const struct option longs[] = {
		{ "out", required_argument, NULL, 'o' },
		{ "name", required_argument, NULL, 'n' },
		{ "days", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static char program[] = "azblob-gateway";
	unsigned long n;
	char *end;
	int option;

	*status = 2;
	argv[0] = program;
	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (option) {
		case 'o':
			w->out = optarg;
			break;
		case 'n':
			if (!name_good(optarg))
				return bad("--name: '%.60s': a host name or an address is accepted",
					   optarg);
			if (w->names == MAX_NAMES)
				return bad("--name: at most %u are accepted", MAX_NAMES);
			w->name[w->names++] = optarg;
			break;
		case 'd':
			n = strtoul(optarg, &end, 10);
			if (*optarg < '0' || *optarg > '9' || *end || !n || n > MAX_DAYS)
				return bad("--days: '%.20s': 1 to %u are accepted", optarg,
					   MAX_DAYS);
			w->days = (unsigned int)n;
			break;
		case 'h':
			fputs(usage, stdout);
			*status = EXIT_SUCCESS;
			return false;
		default:
			/* getopt_long() has said what is wrong, in one line */
			return false;
		}
	}
	if (optind < argc)
		return bad("'%.60s': only options are accepted, see --help", argv[optind]);
	return true;
}

int cert_run(int argc, char **argv)
{
	struct work w = { .out = ".", .days = DEFAULT_DAYS };
	int status;

	if (!parse(&w, argc - 1, argv + 1, &status))
		return status;
	status = make(&w) ? EXIT_SUCCESS : EXIT_FAILURE;
	if (status == EXIT_SUCCESS)
		tell(&w);
	X509_free(w.leaf);
	X509_free(w.ca);
	EVP_PKEY_free(w.key);
	EVP_PKEY_free(w.ca_key);
	return status;
}
