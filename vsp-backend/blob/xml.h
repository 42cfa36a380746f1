/* SPDX-License-Identifier: MIT */
/* A writer for the XML that the service answers with.  Elements are closed by their writer. */
#ifndef AZBLOB_BLOB_XML_H
#define AZBLOB_BLOB_XML_H

#include <stddef.h>

#include "../base/buf.h"

/* The declaration that every answer starts with. */
void xml_start(struct azb_buf *out);
void xml_open(struct azb_buf *out, const char *name);
void xml_close(struct azb_buf *out, const char *name);
/* <name>text</name>, escaped; <name /> when the text is empty, as Azure writes it. */
void xml_element(struct azb_buf *out, const char *name, const char *text, size_t length);
void xml_element_z(struct azb_buf *out, const char *name, const char *text);
void xml_element_u64(struct azb_buf *out, const char *name, unsigned long long value);
/* name="value", with a blank before it. */
void xml_attribute(struct azb_buf *out, const char *name, const char *text, size_t length);
/*
 * Text with the five special characters escaped; characters that XML 1.0 cannot hold become
 * U+FFFD, since no escape for them exists.  xml_can_hold() tells beforehand.
 */
void xml_text(struct azb_buf *out, const char *text, size_t length);
int xml_can_hold(const char *text, size_t length);

#endif /* AZBLOB_BLOB_XML_H */
