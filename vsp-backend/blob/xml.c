// SPDX-License-Identifier: MIT
#include "xml.h"

#include <string.h>

void xml_start(struct azb_buf *out)
{
	azb_buf_puts(out, "<?xml version=\"1.0\" encoding=\"utf-8\"?>");
}

void xml_open(struct azb_buf *out, const char *name)
{
	azb_buf_printf(out, "<%s>", name);
}

void xml_close(struct azb_buf *out, const char *name)
{
	azb_buf_printf(out, "</%s>", name);
}

/* U+FFFE and U+FFFF are the only characters above U+001F that XML 1.0 leaves out. */
static int is_noncharacter(const unsigned char *s, size_t left)
{
	return left >= 3 && s[0] == 0xef && s[1] == 0xbf && (s[2] == 0xbe || s[2] == 0xbf);
}

static int is_control(unsigned char c)
{
	return c < 0x20 && c != '\t' && c != '\n' && c != '\r';
}

int xml_can_hold(const char *text, size_t length)
{
	const unsigned char *s = (const unsigned char *)text;

	for (size_t i = 0; i < length; i++)
		if (is_control(s[i]) || is_noncharacter(s + i, length - i))
			return 0;
	return 1;
}

void xml_text(struct azb_buf *out, const char *text, size_t length)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t plain = 0;

	for (size_t i = 0; i < length; i++) {
		const char *instead = NULL;
		size_t skip = 1;

		switch (s[i]) {
		case '<':
			instead = "&lt;";
			break;
		case '>':
			instead = "&gt;";
			break;
		case '&':
			instead = "&amp;";
			break;
		case '"':
			instead = "&quot;";
			break;
		case '\'':
			instead = "&apos;";
			break;
		case '\r':
			/* a reader would turn a bare one into a line feed */
			instead = "&#xD;";
			break;
		default:
			if (is_control(s[i])) {
				instead = "\xef\xbf\xbd";
			} else if (is_noncharacter(s + i, length - i)) {
				instead = "\xef\xbf\xbd";
				skip = 3;
			}
			break;
		}
		if (!instead)
			continue;
		azb_buf_add(out, text + plain, i - plain);
		azb_buf_puts(out, instead);
		i += skip - 1;
		plain = i + 1;
	}
	if (length > plain)
		azb_buf_add(out, text + plain, length - plain);
}

void xml_element(struct azb_buf *out, const char *name, const char *text, size_t length)
{
	if (!length) {
		azb_buf_printf(out, "<%s />", name);
		return;
	}
	xml_open(out, name);
	xml_text(out, text, length);
	xml_close(out, name);
}

void xml_element_z(struct azb_buf *out, const char *name, const char *text)
{
	xml_element(out, name, text, strlen(text));
}

void xml_element_u64(struct azb_buf *out, const char *name, unsigned long long value)
{
	azb_buf_printf(out, "<%s>%llu</%s>", name, value, name);
}

void xml_attribute(struct azb_buf *out, const char *name, const char *text, size_t length)
{
	azb_buf_printf(out, " %s=\"", name);
	xml_text(out, text, length);
	azb_buf_add(out, "\"", 1);
}
