# SPDX-License-Identifier: MIT
"""Changes to the kernel's own files, found by what stands there, not by line numbers."""

import re

from azupstream import source

TOUCHED = [
    "Documentation/userspace-api/ioctl/ioctl-number.rst",
    "Documentation/virt/hyperv/index.rst",
    "MAINTAINERS",
    "drivers/hv/channel_mgmt.c",
    "drivers/misc/Kconfig",
    "drivers/misc/Makefile",
    "include/linux/hyperv.h",
]


class Unexpected(Exception):
    """A file of the kernel does not look as the rules here expect."""


def edit(tree, name, pattern, replacement):
    """Replaces the one match of a pattern."""
    path = tree / name
    text = path.read_text(encoding="utf-8")
    found = re.findall(pattern, text, re.M | re.S)
    if len(found) != 1:
        raise Unexpected(f"{name}: {len(found)} places match {pattern!r}, and there has to be one")
    path.write_text(re.sub(pattern, replacement, text, count=1, flags=re.M | re.S),
                    encoding="utf-8")


def name_device(tree):
    """The device's type and GUID, and its row in the table of devices that VMBus knows."""
    header = "include/linux/hyperv.h"
    edit(tree, header, r"^\tHV_UNKNOWN,\n\};", "\tHV_AZURE_BLOB,\n\tHV_UNKNOWN,\n};")
    edit(tree, header, r"^/\*\n \* Linux doesn't support these \d devices", r'''/*
 * Azure Blob requests
 * {0590b792-db64-45cc-81db-b8d70c577c9e}
 */
#define HV_AZURE_BLOB_GUID \\
	.guid = GUID_INIT(0x0590b792, 0xdb64, 0x45cc, 0x81, 0xdb, \\
			  0xb8, 0xd7, 0x0c, 0x57, 0x7c, 0x9e)

\g<0>''')
    edit(tree, "drivers/hv/channel_mgmt.c", r"^\t/\*\n\t \* Unknown GUID\n",
         r'''	/* Azure Blob requests */
	{ .dev_type = HV_AZURE_BLOB,
	  HV_AZURE_BLOB_GUID,
	  .perf_device = false,
	  .allowed_in_isolated = false,
	},

\g<0>''')


def reserve_ioctls(tree):
    edit(tree, "Documentation/userspace-api/ioctl/ioctl-number.rst",
         r"^'R'   E0 [^\n]*\n",
         r"\g<0>'R'   F0-FF  uapi/misc/hv_azure_blob.h                               "
         "<mailto:linux-hyperv@vger.kernel.org>\n")


def hook_up(tree, directory):
    leaf = directory.rsplit("/", 1)[1]
    edit(tree, "drivers/misc/Kconfig", r"^endmenu\n\Z",
         f'source "{directory}/Kconfig"\nendmenu\n')
    path = tree / "drivers/misc/Makefile"
    path.write_text(path.read_text(encoding="utf-8").rstrip("\n") +
                    f"\nobj-$(CONFIG_HV_AZURE_BLOB)\t+= {leaf}/\n", encoding="utf-8")


def maintain(tree, directory):
    edit(tree, "MAINTAINERS", r"^(?=F:\tinclude/uapi/misc/hv_azure_blob.h\n)", f"F:\t{directory}/\n")


def add_maintainer(tree, who):
    """A section in its place in the alphabet."""
    section = f"""AZURE BLOB REQUESTS OVER VMBUS
M:	{who}
L:	linux-hyperv@vger.kernel.org
S:	Maintained
F:	include/uapi/misc/hv_azure_blob.h

"""
    path = tree / "MAINTAINERS"
    text = path.read_text(encoding="utf-8")
    start = re.search(r"^Maintainers List\n", text, re.M)
    if not start:
        raise Unexpected("MAINTAINERS: where does the list begin?")
    # The list is not quite in order: a few sections stand far before their place.  So ours
    # comes behind the last of those that belong before it, not before the first behind it.
    ours = section.split("\n", maxsplit=1)[0]
    names = list(re.finditer(r"(?<=\n\n)([^\s:][^\n]*)\n(?=[A-Z]:\t)", text[start.end():]))
    before = max((match for match in names if match[1].upper() < ours),
                 key=lambda match: match[1].upper(), default=None)
    after = before and next((match for match in names if match.start() > before.start()), None)
    if not after:
        raise Unexpected("MAINTAINERS: nothing comes before our section, or nothing after it")
    at = start.end() + after.start()
    path.write_text(text[:at] + section + text[at:], encoding="utf-8")


def write_documents(tree, root, parts):
    """The ABI texts and the page of the driver, as far as parts reach."""
    page = "Documentation/virt/hyperv/azure_blob.rst"
    files = {root / "driver" / "upstream" / "azure_blob.rst": tree / page}
    for name in ("sysfs-class-azure-blob", "debugfs-hv-azure-blob"):
        files[root / "docs" / "ABI" / name] = tree / "Documentation" / "ABI" / "testing" / name
    for here, there in files.items():
        text = source.regions(here.read_text(encoding="utf-8"), here.name, parts)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(re.sub(r"\A# SPDX[^\n]*\n\n", "", text), encoding="utf-8")


def list_documents(tree):
    """Where the documents are found."""
    edit(tree, "MAINTAINERS", r"^(?=F:\tdrivers/misc/hv_azure_blob/\n)",
         """F:	Documentation/ABI/testing/debugfs-hv-azure-blob
F:	Documentation/ABI/testing/sysfs-class-azure-blob
F:	Documentation/virt/hyperv/azure_blob.rst
""")
    edit(tree, "Documentation/virt/hyperv/index.rst", r"^   coco\n", "   coco\n   azure_blob\n")
