/* SPDX-License-Identifier: MIT */
/* The properties of accounts as the store has them, kept in memory while they are in use. */
#ifndef AZBLOB_BLOB_SETTINGS_H
#define AZBLOB_BLOB_SETTINGS_H

#include "props.h"
#include "service.h"
#include "../store/store.h"

struct settings;

struct settings *settings_new(struct store *store); /* NULL when memory is short */
void settings_free(struct settings *settings);      /* NULL is allowed */

/*
 * Those of an account that exists; Azure's defaults when nothing was ever set.  *@props is a
 * reference for the caller.  May block on the store the first time.
 */
enum store_error settings_props(struct settings *settings, const char *account,
				struct props **props);

/* Between these nobody else changes properties: what is read is what is changed.  May block. */
void settings_begin(struct settings *settings);
void settings_end(struct settings *settings);

/* They have been changed in the store: look there again. */
void settings_forget(struct settings *settings, const char *account);

/* What the account keeps of what is replaced or deleted. */
enum store_error settings_keep(struct settings *settings, const char *account,
			       struct store_keep *keep);

#endif /* AZBLOB_BLOB_SETTINGS_H */
