#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tables from the JSON lines of `scenarios` and `verifier_cost`, one file a kernel, in the order given. Exit code 1 when
a line says FAILED, a program was refused or is over its budget, or a file is not whole.

usage: report.py [--document FILE] RESULTS...
"""

import argparse
import json
import sys
from collections import defaultdict

OOM_RUNGS = ["oom_kill_process", "oom_kill_process-kprobe", "mark_victim", "kmsg", "polling"]
CHARGE_RUNGS = ["page_counter", "page_counter-kprobe", "lru+state", "lru", "sampled"]
WORDS = {"exact": "exact", "gaps": "gaps", "not_possible": "–", "FAILED": "**FAILED**"}
# What a person would call them; the order is that of the tables.
OOM = {
    "anon": "anonymous memory",
    "thp": "huge pages",
    "tmpfs": "tmpfs",
    "threads": "4 threads",
    "clone-vm": "CLONE_VM sibling",
    "group": "memory.oom.group, 3 victims",
    "lowered": "memory.max lowered below use",
    "ancestor": "an ancestor's limit",
    "high": "memory.high throttling, then the limit",
    "swap-full": "memory.swap.max reached",
    "memsw": "v1 memsw limit",
    "stuck": "v1 oom_kill_disable: tasks hang",
    "sysrq": "sysrq-f",
    "cpuset": "cpuset",
    "mempolicy": "mempolicy",
    "global": "the whole machine, with ranking",
}
CHARGE = {
    "burst-1ms": "64 MiB for 1 ms",
    "burst-10ms": "64 MiB for 10 ms",
    "burst-50ms": "64 MiB for 50 ms",
    "refused-pipe": "refused charge: pipe",
    "refused-map": "refused charge: BPF map",
}
KINDS = {
    "kind-anon": "anon 4K",
    "kind-thp": "THP",
    "kind-file": "file read",
    "kind-tmpfs": "tmpfs",
    "kind-slab": "slab",
    "kind-pipes": "pipes",
    "kind-tcp": "TCP",
    "kind-pagetables": "page tables",
    "kind-threads": "kernel stacks",
    "kind-fdtable": "vmalloc",
    "kind-hugetlb": "hugetlb",
    "kind-bpf": "BPF map",
}
BREAK = {
    "break-stop": "stopped at the line, and goes on",
    "break-fast": "200 MiB at once",
    "break-threads": "200 MiB by 4 threads",
    "break-thp": "200 MiB in huge pages",
}


def read(path):
    """The JSON lines among whatever else a console shows: those of scenarios, those of verifier_cost, and whether
    scenarios came to its end."""
    lines = []
    with open(path, encoding="utf-8", errors="replace") as text:
        for line in text:
            if line.startswith("{"):
                try:
                    lines.append(json.loads(line))
                except ValueError:
                    continue
    return (
        [line for line in lines if "scenario" in line],
        [line for line in lines if "instructions" in line],
        any("scenarios_done" in line for line in lines),
    )


def column(line):
    return f"{line['kernel']} v{line['cgroup_version']}"


class Matrix:
    def __init__(self, lines):
        self.columns = []
        self.releases = {}
        self.cells = {}
        self.absent = {}
        self.reasons = defaultdict(lambda: defaultdict(list))
        self.costs = defaultdict(dict)
        for line in lines:
            name = column(line)
            if name not in self.columns:
                self.columns.append(name)
                self.releases[name] = line["release"]
            self.add(name, line)

    def add(self, name, line):
        scenario, charge, oom = line["scenario"], line["charge_tier"], line["oom_tier"]
        if scenario == "attach" and line["result"] == "not_possible":
            self.absent[name, charge or oom] = line["detail"]
            return
        rung = oom if scenario in OOM else charge
        self.cells[name, rung, scenario] = line
        if line["result"] == "gaps" and line["detail"]:
            for reason in line["detail"].split("; "):
                if not reason.startswith("peak ") and "hog was refused" not in reason:
                    self.reasons[rung][reason].append((scenario, name))

    def add_costs(self, name, costs):
        for cost in costs:
            self.costs[cost["program"]][name] = cost

    def cost_rows(self):
        def cell(cost):
            return "" if cost is None else "**refused**" if cost["error"] else f"{cost['instructions']:,}"

        names = [name for name in self.columns if any(name in by_name for by_name in self.costs.values())]
        rows = [[f"`{program}`", *(cell(by_name.get(name)) for name in names)] for program, by_name in self.costs.items()]
        return ["program", *names], rows

    def word(self, name, rung, scenario):
        if (name, rung) in self.absent:
            return "–"
        line = self.cells.get((name, rung, scenario))
        return WORDS[line["result"]] if line else ""

    def peak(self, name, rung, scenario):
        """How far memcrest's peak was off, as a table cell."""
        line = self.cells.get((name, rung, scenario))
        if (name, rung) in self.absent or not line:
            return "–" if (name, rung) in self.absent else ""
        words = line["detail"].split("; ")[0].split(", ")[0].split()
        if line["result"] in ("FAILED", "not_possible") or len(words) != 4 or words[0] != "peak":
            return WORDS[line["result"]]
        seen, truth = int(words[1]), int(words[3])
        return "exact" if seen == truth else f"{(seen - truth) / truth * 100:+.1f} %"

    def beyond(self, name, rung, scenario):
        """How far beyond its line it was caught, as a table cell."""
        line = self.cells.get((name, rung, scenario))
        if (name, rung) in self.absent or not line or not line["detail"].startswith("beyond by ") or line["result"] == "FAILED":
            return self.word(name, rung, scenario)
        return f"{int(line['detail'].split('; ')[0].removeprefix('beyond by ')) / 1024:,.0f} KiB"

    def table(self, rung, scenarios, cell):
        rows = []
        for scenario, words in scenarios.items():
            cells = [cell(name, rung, scenario) for name in self.columns]
            if any(cells) and not all(one in ("–", "") for one in cells):
                rows.append([words, *cells])
        return rows


def markdown(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def document(matrix):
    out = [
        "# Kernel support",
        "",
        "Written by `scripts/vm-matrix`, which plays each scenario for real and compares what `memcrest watch` said with",
        "what happened: exit statuses, `memory.events` or `memory.oom_control`, and the kernel's own watermark.",
        "",
        "- **exact**: all of it was told, and said to be complete.",
        "- **gaps**: right as far as it goes, and the incident says that it is incomplete, and why.",
        "- **–**: not possible: this kernel, cgroup version or rung does not have it.",
        "- empty: not played.",
        "",
        "`v1` and `v2` are cgroup versions. `lockdown` is a kernel booted with `lockdown=confidentiality`. `host` is the",
        "machine that the matrix ran on, without a VM: only what cannot harm others is played there.",
        "",
        "Kernels: " + ", ".join(f"{name} is {matrix.releases[name]}" for name in matrix.columns) + ".",
    ]
    head = ["scenario", *matrix.columns]
    out += ["", "## OOM kills, by OOM rung"]
    for rung in OOM_RUNGS:
        out += section(matrix, rung, head, OOM, matrix.word)
    out += ["", "## Bursts and refused charges, by charge rung"]
    for rung in CHARGE_RUNGS:
        out += section(matrix, rung, head, CHARGE, matrix.word)
    out += [
        "",
        "## Peak by kind of memory, by charge rung",
        "",
        "memcrest's peak of a rise of 24 to 48 MiB that is held for 100 ms against the kernel's own watermark. Where the",
        "kernel shows none (cgroup v2 before 5.19), against what the test program took: its own pages come on top.",
    ]
    for rung in CHARGE_RUNGS:
        out += section(matrix, rung, ["kind", *matrix.columns], KINDS, matrix.peak)
    out += [
        "",
        "## Breakpoints, by charge rung",
        "",
        "How far beyond its line of 40 MiB `memcrest break` caught the process, under a limit 5 % above the line. No OOM",
        "kill came first.",
    ]
    for rung in CHARGE_RUNGS:
        out += section(matrix, rung, ["what grows", *matrix.columns], BREAK, matrix.beyond)
    head, rows = matrix.cost_rows()
    if rows:
        out += [
            "",
            "## Verifier instructions per program",
            "",
            "What the kernel's verifier processes to accept a program (`tests/bpf/verifier_cost`); its limit is a million.",
            "Empty: this kernel does not have the hook. `tests/bpf/verifier-budget.txt` bounds them.",
            "",
            *markdown(head, rows),
        ]
    out += ["", "## Rungs that a kernel does not have", ""]
    for (name, rung), reason in sorted(matrix.absent.items()):
        out.append(f"- {name}, `{rung}`: {reason}")
    out += ["", "## What the gaps are", ""]
    for rung in OOM_RUNGS + CHARGE_RUNGS:
        for reason, where in sorted(matrix.reasons[rung].items()):
            scenarios = sorted({scenario for scenario, _ in where})
            out.append(f"- `{rung}`, {', '.join(scenarios)}: {reason}")
    return "\n".join(out) + "\n"


def section(matrix, rung, head, scenarios, cell):
    rows = matrix.table(rung, scenarios, cell)
    if not rows:
        return ["", f"### `{rung}`", "", "Nowhere."]
    return ["", f"### `{rung}`", "", *markdown(head, rows)]


def printed(matrix):
    """The same for a terminal: one row a scenario and rung, short words."""
    out = []
    for title, rungs, scenarios, cell in (
        ("OOM", OOM_RUNGS, OOM, matrix.word),
        ("charges", CHARGE_RUNGS, CHARGE, matrix.word),
        ("peak", CHARGE_RUNGS, KINDS, matrix.peak),
        ("breakpoints", CHARGE_RUNGS, BREAK, matrix.beyond),
    ):
        for rung in rungs:
            rows = matrix.table(rung, scenarios, cell)
            if rows:
                out += ["", f"{title}, {rung}"] + aligned([["", *matrix.columns], *rows])
    return "\n".join(out)


def aligned(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--document")
    parser.add_argument("results", nargs="+")
    options = parser.parse_args()
    lines, costs, status = [], [], 0
    for path in options.results:
        found, measured, done = read(path)
        for what, there in (("results", found), ("end", done), ("verifier instructions", measured)):
            if not there and not (what == "verifier instructions" and "lockdown" in path):
                print(f"report: {path} has no {what}", file=sys.stderr)
                status = 1
        if not found:
            continue
        lines += found
        costs += [(column(found[0]), measured)]
    matrix = Matrix(lines)
    for name, measured in costs:
        matrix.add_costs(name, measured)
    print(printed(matrix))
    for name, measured in costs:
        for cost in measured:
            if cost["error"] or cost["over_budget"]:
                print(f"FAILED {name} {cost['program']}: {cost['error'] or 'over its verifier budget'}")
                status = 1
    failures = [line for line in lines if line["result"] == "FAILED"]
    for line in failures:
        print(f"FAILED {column(line)} {line['charge_tier']}/{line['oom_tier']} {line['scenario']}: {line['detail']}")
    counts = {word: sum(line["result"] == word for line in lines) for word in WORDS}
    print("\n" + ", ".join(f"{count} {word.replace('_', ' ')}" for word, count in counts.items()))
    if options.document:
        with open(options.document, "w", encoding="utf-8") as out:
            out.write(document(matrix))
    return 1 if failures else status


if __name__ == "__main__":
    sys.exit(main())
