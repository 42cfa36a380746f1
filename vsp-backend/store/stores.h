/* SPDX-License-Identifier: MIT */
/* The stores that store_open() knows. */
#ifndef AZB_STORES_H
#define AZB_STORES_H

#include "store.h"

/* @options: what follows "local,".  Otherwise as store_open(). */
struct store *store_local_open(const char *options, char *error, size_t error_size);
/* @options: what follows "azure,". */
struct store *store_azure_open(const char *options, char *error, size_t error_size);

#endif
