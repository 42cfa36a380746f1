# SPDX-License-Identifier: MIT
"""From a file of this tree to the file in the kernel: regions, conditions, compatibility."""

import difflib
import re
import subprocess

# Comments that open and close a region; what follows the name explains it.  They may be
# lines inside of a comment, too.  What follows "else: " stands where the region is left
# out; further lines of that kind come after the first.
REGION = re.compile(r"^(?P<lead>\s*(?:/\*|#|//|\.\.|\*)\s*)"
                    r"(?:\[(?P<open>[a-z]+)\b(?P<rest>[^\n]*)|(?P<close>[a-z]+)\][^\n]*|"
                    r"else: ?(?P<more>[^\n]*))$")
OTHERWISE = re.compile(r", else: (.*)$")
# What ends a region, left out, and governs a statement that is not: it moves to the left.
GOVERNS = re.compile(r"^\t+(?:\} )?(?:if \([^\n]*\)|else(?: if \([^\n]*\))?|else \{)$")
# Regions that are for builds outside a kernel tree, or for the host's side: in no patch.
NEVER = {"outside", "host"}
NAMES = NEVER | {"uring", "extra", "tests"}

# Arguments that have one value where a part is left out: they are left out as well.
ARGUMENTS = {"extra": r"(?:enum azb_form form|form|AZB_FORM_CURRENT|u32 in_buffer|in_buffer)"}
# What is called otherwise where a part is left out: a function with all of these arguments,
# and what there is only one of.
RENAMED = {"extra": [("azb_layout_init_any", "azb_layout_init"),
                     ("azb_wire_packet_bytes(req->layout.pages, req->wire_len)",
                      "azb_wire_ring_bytes(req->layout.pages)"),
                     ("req->wire_len", "sizeof(req->wire)")]}
# Functions that only their own file uses where a part is left out.
STATIC = {"extra": ["azb_queue_walked", "azb_wire_packet_bytes"]}
# Their members are described elsewhere, or all together: no tool should look for them here.
NO_KERNEL_DOC = ["az_blob_request", "vsp_wire_request"]

INCLUDES = [("<azblob/vsp_wire.h>", '"vsp_wire.h"')]

URING = "AZB_COMPAT_URING"


class Unclear(Exception):
    """A file cannot be exported by the rules; str() says where and why."""


class _Lines:
    """What is kept of a file, line by line."""

    def __init__(self):
        self.kept = []
        self.left_out = ""
        self.governed = False

    def keep(self, line):
        if self.governed:
            line = line.removeprefix("\t")
            self.governed = not line.endswith(";")
        self.kept.append(line)

    def instead(self, lead, text):
        """A line that stands where a region is left out; lead is what is before the mark."""
        text = re.sub(r"\s*\*/$", "", text)
        # In a comment the mark's own asterisk belongs to the line.
        before = lead if lead.strip() == "*" else re.match(r"\s*", lead)[0]
        self.kept.append(before + text)
        self.left_out = ""

    def end(self):
        """A region that was left out is at its end."""
        self.governed = bool(GOVERNS.match(self.left_out))
        self.left_out = ""


def regions(text, where, parts):
    """Leaves out the regions that are not in parts, and the marks of those that are."""
    lines, stack = _Lines(), []
    for number, line in enumerate(text.split("\n"), 1):
        match = REGION.match(line)
        name = match and (match["open"] or match["close"])
        hidden = any(region[1] for region in stack)
        if match and match["more"] and stack and stack[-1][2]:
            if stack[-1][1] and not any(region[1] for region in stack[:-1]):
                lines.instead(match["lead"], match["more"])
            continue
        if stack:
            stack[-1][2] = False
        if not match or name not in NAMES:
            if not hidden:
                lines.keep(line)
            elif line.strip():
                lines.left_out = line
            continue
        if match["open"]:
            other = OTHERWISE.match(match["rest"])
            own = name in NEVER or \
                ("notests" in parts if name == "tests" else name not in parts)
            if own and not hidden:
                lines.left_out = ""
            if other and own and not hidden:
                lines.instead(match["lead"], other[1])
            stack.append([name, own, bool(other), bool(other)])
            continue
        if not stack or stack[-1][0] != name:
            raise Unclear(f"{where}:{number}: '{name}]' closes what is not open")
        _, own, _, other = stack.pop()
        if own and not other and not any(region[1] for region in stack):
            lines.end()
    if stack:
        raise Unclear(f"{where}: '[{stack[-1][0]}' is never closed")
    # A region taken out may leave two empty lines where there was one on each side.
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines.kept))


def conditions(text, where, known):
    """Resolves #ifdef and #ifndef of names in known, {name: defined}; leaves all others."""
    lines, stack = [], []
    directive = re.compile(r"^#\s*(if|ifdef|ifndef|else|elif|endif)\b\s*(\w*)")
    for number, line in enumerate(text.split("\n"), 1):
        match = directive.match(line)
        hidden = any(state == "hidden" for state, _ in stack)
        if not match:
            if not hidden:
                lines.append(line)
            continue
        word, name = match.groups()
        if word == "if" and any(re.search(rf"\b{k}\b", line) for k in known):
            raise Unclear(f"{where}:{number}: a condition on compatibility has to be #ifdef")
        if word in ("ifdef", "ifndef") and name in known:
            shown = known[name] == (word == "ifdef")
            stack.append(("shown" if shown else "hidden", True))
        elif word in ("if", "ifdef", "ifndef"):
            stack.append(("other", False))
            if not hidden:
                lines.append(line)
        elif not stack:
            raise Unclear(f"{where}:{number}: #{word} without #if")
        elif word in ("else", "elif") and stack[-1][1]:
            stack[-1] = ("hidden" if stack[-1][0] == "shown" else "shown", True)
        elif word == "endif":
            ours = stack.pop()[1]
            if not ours and not hidden:
                lines.append(line)
        elif not hidden:
            lines.append(line)
    return "\n".join(lines)


class Compat:
    """What compat.h is on a kernel that has everything that it probes for."""

    def __init__(self, header, probes):
        known = {"HAVE_" + probe.stem.upper(): True for probe in probes.glob("*.c")}
        whole = header.read_text(encoding="utf-8")
        text = conditions(whole, header.name, known)
        self.flags, self.plain, self.calls = {}, {}, {}
        for match in re.finditer(r"^#define (\w+)(\([^)]*\))?((?:[^\n]*\\\n)*[^\n]*)$", text, re.M):
            name, arguments, body = match.groups()
            body = "\n".join(line.rstrip("\\").rstrip() for line in body.split("\n")).strip()
            if name == "AZB_COMPAT_H":
                continue
            if arguments is not None:
                names = [a.strip() for a in arguments[1:-1].split(",") if a.strip()]
                self.calls[name] = (names, body)
            elif body:
                self.plain[name] = body
            else:
                self.flags[name] = True
        # What only older kernels need is not defined.
        self.absent = set(re.findall(r"#\s*define (AZB_COMPAT_\w+)$", whole, re.M)) - \
            set(self.flags)

    def known(self, parts):
        """The conditions that sources may have on it.

        io_uring is a part of its own, which a kernel may then be built without.
        """
        known = {name: True for name in self.flags} | {name: False for name in self.absent}
        if "uring" in parts:
            del known[URING]
        else:
            known[URING] = False
        return known

    def expand(self, text, where):
        """Writes the macros out."""
        for name, body in self.plain.items():
            text = re.sub(rf"\b{name}\b", lambda m, b=body: b, text)
        for name, (names, body) in self.calls.items():
            text = self._calls(text, where, name, names, body)
        left = re.search(r"\b(?:azb_compat|AZB_COMPAT)\w*", text)
        if left:
            raise Unclear(f"{where}: {left[0]} is not defined in compat.h for the newest kernel")
        return text

    @staticmethod
    def _calls(text, where, name, names, body):
        while True:
            match = re.search(rf"\b{name}\(", text)
            if not match:
                return text
            values, end = arguments(text, match.end(), where)
            if len(values) != len(names):
                raise Unclear(f"{where}: {name} takes {len(names)} arguments")
            result = body
            for parameter, value in zip(names, values):
                value = " ".join(value.split())
                if re.fullmatch(r"\w+", value):
                    # A name needs no parentheses.
                    result = re.sub(rf"(?<!\w)\({parameter}\)", value, result)
                result = re.sub(rf"(?:##\s*)?\b{parameter}\b(?:\s*##)?",
                                lambda m, v=value: v, result)
            start = match.start()
            if re.fullmatch(r"\([^()]*\)", result) and text[:start].endswith("if (") and \
                    text[end:end + 1] == ")":
                result = result[1:-1]
            if result in ("", "do { } while (0)"):
                # A statement that is nothing goes with its line, and with one line after it
                # when it stood between two.
                start = text.rfind("\n", 0, start) + 1
                end = text.find("\n", end) + 1
                if text[start - 2:start] == "\n\n" and text[end:end + 1] == "\n":
                    end += 1
                result = ""
            elif "{" in result and text[end:end + 1] == ";":
                # A function takes no semicolon.
                end += 1
            text = text[:start] + result + text[end:]


def arguments(text, start, where):
    """The arguments of a call whose parenthesis was before start, and where it ends."""
    depth, values, begin = 1, [], start
    for at in range(start, len(text)):
        char = text[at]
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        if (char == "," and depth == 1) or not depth:
            values.append(text[begin:at].strip())
            begin = at + 1
        if not depth:
            return ([] if values == [""] else values), at + 1
    raise Unclear(f"{where}: a call has no end")


def without_arguments(text, parts):
    """Leaves out, from declarations and calls alike, the ARGUMENTS of other parts.

    And writes what is RENAMED or STATIC with them.
    """
    for part, names in ARGUMENTS.items():
        if part not in parts:
            text = re.sub(rf",\s*{names}(?=\s*[,)])", "", text)
            for old, new in RENAMED.get(part, []):
                text = re.sub(rf"\b{re.escape(old)}(?!\w)", new, text)
            for name in STATIC.get(part, []):
                text = re.sub(rf"^\w+ {name}\([^;{{]*\);\n", "", text, flags=re.M)
                text = re.sub(rf"^(?=\w+ {name}\()", "static ", text, flags=re.M)
    return text


def kernel_words(text):
    """C's own words, which a header for everyone has to use, in the kernel's."""
    text = text.replace("__attribute__((packed))", "__packed")
    text = re.sub(r'\b_Static_assert\((.*), "[^"]*"\);', r"static_assert(\1);", text)
    text = re.sub(r" \(docs/[\w.-]+\b[^)]*\)", "", text)
    return text


def kernel_doc(text):
    """Comments that are no descriptions for a tool to read do not look like it."""
    return re.sub(rf"^/\*\*(?=\n \* struct (?:{'|'.join(NO_KERNEL_DOC)}) -)", "/*", text, flags=re.M)


def changed(before, after):
    """Ranges of lines of after that before does not have."""
    matcher = difflib.SequenceMatcher(None, before.split("\n"), after.split("\n"), autojunk=False)
    return [(j1 + 1, j2) for tag, _, _, j1, j2 in matcher.get_opcodes() if tag != "equal" and j2 > j1]


def realign(text, ranges, style):
    """Other names have other lengths: clang-format puts the lines in ranges right."""
    if not ranges:
        return text
    command = ["clang-format", f"--style=file:{style}", "--assume-filename=x.c",
               *(f"--lines={a}:{b}" for a, b in ranges)]
    try:
        result = subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unclear("clang-format does not run; it is in Debian's package clang-format") from error
    return result.stdout


def export(text, where, parts, compat, style):
    """The text of a file as the kernel gets it; style is the kernel's .clang-format."""
    text = regions(text, where, parts)
    if where.endswith((".c", ".h")):
        known = compat.known(parts)
        # Programs in C++ do not include what is inside the kernel.
        if not where.startswith("include/uapi/"):
            known["__cplusplus"] = False
            text = kernel_words(text)
        text = kernel_doc(conditions(text, where, known))
        text = re.sub(rf"^(#\s*ifdef|#endif /\*) {URING}\b", r"\1 CONFIG_IO_URING", text,
                      flags=re.M)
        expanded = compat.expand(without_arguments(text, parts), where)
        text = realign(expanded, changed(text, expanded), style)
        for here, there in INCLUDES:
            text = text.replace(here, there)
        # Where a region stood last in a block, the empty line before it is left.
        text = re.sub(r"\n\n(\t*\})", r"\n\1", text)
    return re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"
