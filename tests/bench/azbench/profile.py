# SPDX-License-Identifier: MIT
"""Where time goes: of the host's processors by process, of the guest's instructions by function."""

import bisect
import socket
from pathlib import Path

# Above are the kernel's addresses, below those of programs.
KERNEL = 1 << 63


class HostTime:
    """Processor time of a guest's parts, from the kernel's account of each thread."""

    def __init__(self, it):
        self._qemu, self._backend = it.guest.process.pid, it.backend.process.pid
        # timeout(1) is between us and QEMU
        children = Path(f"/proc/{self._qemu}/task/{self._qemu}/children").read_text(encoding="ascii").split()
        if children:
            self._qemu = int(children[0])
        self._cpus = {one["thread-id"] for one in it.guest.qmp.command("query-cpus-fast")}

    @staticmethod
    def _threads(pid):
        """{thread: seconds that it ran}"""
        found = {}
        for task in Path(f"/proc/{pid}/task").iterdir():
            try:
                found[int(task.name)] = int((task / "schedstat").read_text(encoding="ascii").split()[0]) / 1e9
            except (FileNotFoundError, ProcessLookupError):
                continue
        return found

    def now(self):
        """Seconds so far of {"guest", "emulator", "backend"}; the guest's own are those of its processors."""
        qemu = self._threads(self._qemu)
        guest = sum(seconds for thread, seconds in qemu.items() if thread in self._cpus)
        return {"guest": guest, "emulator": sum(qemu.values()) - guest,
                "backend": sum(self._threads(self._backend).values())}

    def of(self, run):
        """(what run() returned, the seconds that each took meanwhile)"""
        before = self.now()
        seen = run()
        after = self.now()
        return seen, {name: after[name] - before[name] for name in after}


class Blocks:
    """The guest's instructions by function, from the emulator's plugin (emulator/plugins, blocks=)."""

    def __init__(self, path, guest):
        self._path = path
        kallsyms = guest.agent.get("/proc/kallsyms").decode()
        found = {}
        for line in kallsyms.splitlines():
            address, kind, name = line.split()[:3]
            if kind in "tTwW" and int(address, 16) >= KERNEL:
                found.setdefault(int(address, 16), name)
        self._starts = sorted(found)
        self._names = [found[start] for start in self._starts]

    def _mark(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self._path))
            lines = s.makefile().read().splitlines()
        marks = {}
        for line in lines:
            address, executed = line.split()
            marks[int(address, 16)] = marks.get(int(address, 16), 0) + int(executed)
        return marks

    def _name(self, address):
        if address < KERNEL:
            return "(programs)"
        at = bisect.bisect_right(self._starts, address) - 1
        return self._names[at] if at >= 0 else "(unknown)"

    def of(self, run):
        """(what run() returned, [(instructions, function)], most first)"""
        before = self._mark()
        seen = run()
        by_name = {}
        for address, executed in self._mark().items():
            more = executed - before.get(address, 0)
            if more:
                name = self._name(address)
                by_name[name] = by_name.get(name, 0) + more
        return seen, sorted(((n, name) for name, n in by_name.items()), reverse=True)


def lines(what, found, unit, per, most=16):
    """A profile as text for a report: so many instructions for each of per units."""
    total = sum(n for n, _ in found)
    text = [f"{what}: instructions for each {unit}, by function:", f"    {total / per:12,.0f}  all"]
    return "\n".join(text + [f"    {n / per:12,.0f}  {name}" for n, name in found[:most]])
