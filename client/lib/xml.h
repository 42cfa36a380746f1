/* SPDX-License-Identifier: MIT */
/* The service's XML, read with expat. */
#ifndef AZC_XML_H
#define AZC_XML_H

#include "internal.h"

/*
 * Code and first line of the message of an <Error> document, cut to fit; left alone where
 * they are missing or the text is no XML.
 */
void azc_xml_error(const char *text, size_t length, char *code, size_t code_room, char *message,
		   size_t message_room);

/* An <EnumerationResults> document of containers or blobs; freed with azblob_list_free(). */
int azc_xml_list(const char *text, size_t length, struct azblob_list **list,
		 struct azblob_error *error);

/* A <Tags> document; freed with azblob_tags_free(). */
int azc_xml_tags(const char *text, size_t length, struct azblob_tags **tags,
		 struct azblob_error *error);

/* A <BlockList> document; freed with azblob_block_list_free(). */
int azc_xml_block_list(const char *text, size_t length, struct azblob_block_list **list,
		       struct azblob_error *error);

/* Takes the percent-encoding out of a name that is marked as such, in place. */
void azc_xml_decode(char *text);

#endif /* AZC_XML_H */
