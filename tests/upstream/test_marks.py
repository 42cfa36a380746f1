#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The marks that the export of the driver goes by; tests/upstream/check runs this."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from azupstream import source  # noqa: E402  pylint: disable=wrong-import-position


def without(text):
    return source.regions(text, "x.c", set())


def complete(text):
    return source.regions(text, "x.c", {"uring", "extra"})


class Marks(unittest.TestCase):
    def both(self, text, left_out, whole):
        self.assertEqual(without(text), left_out)
        self.assertEqual(complete(text), whole)

    def test_region(self):
        self.both("a\n/* [extra */\nb\n/* extra] */\nc", "a\nc", "a\nb\nc")

    def test_region_inside_of_another(self):
        text = "a\n/* [uring */\nb\n/* [extra */\nc\n/* extra] */\nd\n/* uring] */\ne"
        self.both(text, "a\ne", "a\nb\nc\nd\ne")
        self.assertEqual(source.regions(text, "x.c", {"uring"}), "a\nb\nd\ne")

    def test_text_instead(self):
        self.both("\t/* [extra, else: f(1); */\n\tf(2);\n\tg();\n\t/* extra] */",
                  "\tf(1);", "\tf(2);\n\tg();")

    def test_several_lines_instead(self):
        self.both("/* [extra, else: int f(int a, */\n/* else:\t  int b) */\nint f(void)\n/* extra] */\n{",
                  "int f(int a,\n\t  int b)\n{", "int f(void)\n{")

    def test_nothing_instead_of_what_is_in_a_region_left_out(self):
        self.both("/* [uring */\n/* [extra, else: a */\nb\n/* extra] */\n/* uring] */\nc", "c", "b\nc")

    def test_inside_of_a_comment(self):
        self.both("/*\n * a\n * [uring, else: b\n * c\n * uring]\n */", "/*\n * a\n * b\n */",
                  "/*\n * a\n * c\n */")

    def test_what_an_omitted_condition_governs_moves_to_the_left(self):
        self.both("\t/* [extra */\n\tif (a)\n\t/* extra] */\n\t\tf(1,\n\t\t  2);\n\tg();",
                  "\tf(1,\n\t  2);\n\tg();", "\tif (a)\n\t\tf(1,\n\t\t  2);\n\tg();")

    def test_what_an_omitted_else_governs_moves_to_the_left(self):
        self.both("\t/* [uring */\n\tif (a) {\n\t\tf();\n\t} else {\n\t/* uring] */\n\t\tg();\n"
                  "\t/* [uring */\n\t}\n\t/* uring] */\n\th();",
                  "\tg();\n\th();", "\tif (a) {\n\t\tf();\n\t} else {\n\t\tg();\n\t}\n\th();")

    def test_what_another_condition_governs_stays(self):
        self.both("\t/* [extra, else: if (a) */\n\tif (a && b)\n\t/* extra] */\n\t\tf();",
                  "\tif (a)\n\t\tf();", "\tif (a && b)\n\t\tf();")

    def test_what_follows_another_statement_stays(self):
        self.both("\t/* [extra */\n\tif (a)\n\t\tf();\n\t/* extra] */\n\tg();", "\tg();",
                  "\tif (a)\n\t\tf();\n\tg();")

    def test_words_that_are_no_marks(self):
        text = "/* [other */\na[extra];\n/* else: b */\n * else: c"
        self.both(text, text, text)

    def test_marks_that_do_not_match(self):
        for text in ("/* [extra */\na", "a\n/* extra] */", "/* [extra */\n/* [uring */\n/* extra] */"):
            self.assertRaises(source.Unclear, without, text)

    def test_arguments_and_names_of_another_part(self):
        text = ("static int azb_layout_init_any(struct x *x, enum azb_form form, u32 in_buffer);\n"
                "azb_layout_init_any(x, AZB_FORM_CURRENT,\n\t\tin_buffer);\n"
                "void azb_queue_walked(int a,\n\t\tint b);\nvoid azb_queue_walked(int a,\n\t\tint b)\n{")
        self.assertEqual(source.without_arguments(text, set()),
                         "static int azb_layout_init(struct x *x);\nazb_layout_init(x);\n"
                         "static void azb_queue_walked(int a,\n\t\tint b)\n{")
        self.assertEqual(source.without_arguments(text, {"extra"}), text)


if __name__ == "__main__":
    unittest.main()
