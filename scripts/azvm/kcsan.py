# SPDX-License-Identifier: MIT
"""What KCSAN has found, out of a guest's console: data races of the driver, and those of others."""

import re
from dataclasses import dataclass

MODULE = "[hv_azure_blob]"
RULER = re.compile(r"^=+$")
TITLE = re.compile(r"BUG: KCSAN: (.*)$")
# "write (marked) to 0xffff888003f0a9a8 of 4 bytes by task 76 on cpu 1:"
ACCESS = re.compile(r"^(?:race at unknown origin, with )?(?:read|write|assert|read-write)\b"
                    r".* of \d+ bytes by ")
FRAME = re.compile(r"^ \S")
STAMP = re.compile(r"^\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?")


@dataclass
class Report:
    """One race: its title, all of its lines, and the stacks of those who met."""
    title: str
    lines: list
    stacks: list
    complete: bool

    @property
    def ours(self):
        """The driver's own code touched what raced, or both came to it through the driver.

        One stack that begins in the driver and ends in, say, the page allocator is about
        something of the page allocator's.
        """
        through = [any(MODULE in frame for frame in stack) for stack in self.stacks]
        at = [bool(stack) and MODULE in stack[0] for stack in self.stacks]
        return any(at) or (len(through) > 1 and all(through))

    @property
    def text(self):
        return "\n".join(self.lines)


def reports(console):
    """All reports in the text of a console; the last one may not be complete yet."""
    found, current = [], None
    for raw in console.splitlines():
        line = STAMP.sub("", raw.rstrip("\r"))
        title = TITLE.search(line)
        if title:
            current = Report(title[1], [line], [], False)
            found.append(current)
        elif current and RULER.match(line):
            current.complete = True
            current = None
        elif current:
            current.lines.append(line)
            if ACCESS.match(line):
                current.stacks.append([])
            elif current.stacks and FRAME.match(line):
                current.stacks[-1].append(line.strip())
    return found
