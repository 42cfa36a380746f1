/* SPDX-License-Identifier: MIT */
/* azblob-gateway cert: a certificate for --https, of an authority that is good for this machine
 * only. */
#ifndef AZG_CERT_H
#define AZG_CERT_H

/* @argc, @argv: of main(), argv[1] is "cert".  What main() returns: 0, 1, or 2 for a bad command
 * line. */
int cert_run(int argc, char **argv);

#endif /* AZG_CERT_H */
