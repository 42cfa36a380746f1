# SPDX-License-Identifier: MIT
"""What a measurement found: a table for people, JSON for programs, a plot."""

import json
import os
import platform
import statistics
import subprocess
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Row:
    """One line of a table: several rounds of us and of each peer, taken in turns.

    ours and peers hold one number for each round; larger is better, unless the report says that
    less is. ratio() is of the medians, ours to the first peer's.
    """
    what: str
    ours: list
    peers: dict = field(default_factory=dict)

    def ratio(self):
        if not self.peers:
            return None
        peer = statistics.median(next(iter(self.peers.values())))
        return statistics.median(self.ours) / peer if peer else None


@dataclass
class Report:
    """All rows of one measurement.

    target is the ratio wanted against the first peer (None: the limit of ours, see limit);
    less says that a smaller ratio is the better one.
    """
    id: str
    title: str
    unit: str
    how: str
    target: float = None
    less: bool = False
    limit: float = None
    rows: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    def met(self, row):
        """Whether the row meets the target; None where there is none."""
        if self.limit is not None:
            return statistics.median(row.ours) <= self.limit
        ratio = row.ratio()
        if ratio is None or self.target is None:
            return None
        return ratio <= self.target if self.less else ratio >= self.target


def _number(value):
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def _spread(values):
    """Half the distance from the least to the largest, in per cent of the median."""
    middle = statistics.median(values)
    return 100 * (max(values) - min(values)) / 2 / middle if middle else 0


def table(report):
    """The report as text."""
    peers = list(dict.fromkeys(name for row in report.rows for name in row.peers))
    head = ["", f"ours ({report.unit})"] + peers + (["ratio", "target"] if peers or report.limit else [])
    lines = [head]
    for row in report.rows:
        line = [row.what, f"{_number(statistics.median(row.ours))} ±{_spread(row.ours):.0f}%"]
        for name in peers:
            values = row.peers.get(name)
            line.append(f"{_number(statistics.median(values))} ±{_spread(values):.0f}%" if values else "-")
        if peers or report.limit:
            line.append(_number(row.ratio()))
            met = report.met(row)
            goal = report.limit if report.limit is not None else report.target
            sign = "<=" if report.less or report.limit is not None else ">="
            line.append("-" if met is None else f"{sign} {_number(goal)} " + ("met" if met else "missed"))
        lines.append(line)
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    text = [f"{report.id}: {report.title}", report.how]
    for line in lines:
        text.append("  " + line[0].ljust(widths[0]) + "".join(
            "  " + cell.rjust(width) for cell, width in zip(line[1:], widths[1:])).rstrip())
    text += [f"  note: {note}" for note in report.notes]
    return "\n".join(text)


def machine():
    """What a reader has to know of the machine to repeat a figure."""
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as text:
        for line in text:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    commit = subprocess.run(["git", "-C", Path(__file__).parent, "rev-parse", "--short", "HEAD"],
                            capture_output=True, text=True, check=False).stdout.strip()
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release(),
            "load": os.getloadavg()[0], "commit": commit}


def write(report, directory, facts):
    """JSON and, where matplotlib is there, a plot."""
    data = {"id": report.id, "title": report.title, "unit": report.unit, "how": report.how,
            "target": report.target, "limit": report.limit, "machine": facts, "notes": report.notes,
            "rows": [{"what": row.what, "ours": row.ours, "peers": row.peers, "ratio": row.ratio(),
                      "met": report.met(row)} for row in report.rows]}
    path = Path(directory) / f"{report.id}.json"
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    try:
        import matplotlib  # pylint: disable=import-outside-toplevel
    except ImportError:
        return
    matplotlib.use("svg")
    from matplotlib import pyplot  # pylint: disable=import-outside-toplevel

    peers = list(dict.fromkeys(name for row in report.rows for name in row.peers))
    figure, axes = pyplot.subplots(figsize=(8, 1.5 + 0.45 * len(report.rows) * (1 + len(peers))))
    height = 0.8 / (1 + len(peers))
    for n, name in enumerate(["ours"] + peers):
        values = [row.ours if name == "ours" else row.peers.get(name, [0]) for row in report.rows]
        axes.barh([i + n * height for i in range(len(values))],
                  [statistics.median(v) for v in values], height, label=name)
    axes.set_yticks([i + 0.4 - height / 2 for i in range(len(report.rows))],
                    [row.what for row in report.rows])
    axes.invert_yaxis()
    axes.set_xlabel(report.unit)
    axes.set_title(f"{report.id}: {report.title}", fontsize=10)
    axes.legend()
    figure.tight_layout()
    figure.savefig(Path(directory) / f"{report.id}.svg")
    pyplot.close(figure)
