"""Runs what `hack/bench/credential` has built, and prints tables of what it cost; in rounds, as `bench.py` does."""

import json
import statistics
import subprocess
import sys
from pathlib import Path

from bench import Cost, heading, spread, table, times

JUDGE_ROUNDS = 15
# So many of each kind take about half a second.
JUDGED = {"PEM": ("bundle.pem", 2_000), "PKCS#12": ("bundle.pfx", 200)}
SWEEP_ROUNDS = 3
LEVEL_ROUNDS = 5
LEVELS = ["metadata", "content", "sign-in"]
LEVEL_SECRETS = 900
SECRETS = 9 * 600


class Program:
    def __init__(self, programs, input):
        self.programs = programs
        self.input = input

    def run(self, *arguments):
        command = [self.programs / "credential", *map(str, arguments)]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout

    def cost(self, *arguments):
        command = [self.programs / "measure", self.programs / "credential", *map(str, arguments)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        wall, cpu, memory, code = map(int, done.stdout.split())
        if code != 0:
            raise SystemExit(f"ended with exit code {code}: {command}")
        return Cost(wall / 1e6, cpu / 1e6, memory)


def judge(program):
    heading("Judging a credential", f"{JUDGE_ROUNDS} rounds")
    rows = []
    for kind, (file, count) in JUDGED.items():
        file = program.input / file
        commands = {
            "judged": ["judge", file, count],
            "read, key by `rsa`": ["read", file, count, "rsa"],
            "read, key by AWS-LC": ["read", file, count, "aws-lc"],
        }
        costs = {name: [] for name in commands}
        for _ in range(JUDGE_ROUNDS):
            for name, command in commands.items():
                costs[name].append(program.cost(*command))
        for name, runs in costs.items():
            allocations, size = map(int, program.run(*commands[name]).split())
            rows.append(
                [
                    f"{kind}, {name}",
                    spread([run.cpu / count for run in runs], microseconds),
                    f"{count / statistics.median(run.cpu for run in runs):,.0f}",
                    spread([ours.cpu / run.cpu for ours, run in zip(costs["judged"], runs)], times),
                    f"{allocations:,}",
                    f"{size / 1024:.1f} KiB",
                ]
            )
    table(["", "processor", "a second", "judging takes, of it", "allocations", "allocated"], rows)
    print()


def sweep(program):
    file = program.input / "bundle.pem"
    counts = [0, 1, SECRETS]
    found = {count: [] for count in counts}
    for _ in range(SWEEP_ROUNDS):
        for count in counts:
            found[count].append(json.loads(program.run("sweep", file, SECRETS, count)))
    heading(f"A vault with {SECRETS:,} secrets", f"{SWEEP_ROUNDS} rounds")
    rows = []
    for count in counts[1:]:
        rounds = found[count]
        for operation in sorted({name for one in rounds for name in one["first"]}):
            first = [one["first"].get(operation, 0) for one in rounds]
            later = [one["later"].get(operation, 0) / one["laterSweeps"] for one in rounds]
            rows.append([f"{count:,}", operation, spread(first, "{:,}".format), spread(later, "{:,.1f}".format)])
    table(["kept known", "asked", "until all are known", "in each sweep after that"], rows)
    print()
    rows = [
        [
            f"{count:,}",
            *(spread([one[what] for one in found[count]], mebibytes) for what in ["resident", "peak"]),
            spread([one["allocated"] / 1024 for one in found[count]], mebibytes),
        ]
        for count in counts
    ]
    table(["kept known", "resident", "peak", "allocated"], rows)
    for fewer in counts[:-1]:
        pairs = list(zip(found[fewer], found[SECRETS]))
        resident = [many["resident"] - few["resident"] for few, many in pairs]
        each = [(many["allocated"] - few["allocated"]) / (SECRETS - fewer) for few, many in pairs]
        print(
            f"\n{SECRETS:,} over {fewer}: {spread(resident, mebibytes)} resident;"
            f" {spread(each, '{:,.0f} bytes'.format)} allocated for each."
        )


def level(program):
    heading(f"The first look at {LEVEL_SECRETS} credentials", f"{LEVEL_ROUNDS} rounds")
    file = program.input / "bundle.pem"
    found = {level: [] for level in LEVELS}
    for _ in range(LEVEL_ROUNDS):
        for level in LEVELS:
            found[level].append([int(word) for word in program.run("level", file, LEVEL_SECRETS, level).split()])
    rows = [
        [
            f"`{level}`",
            spread([processor / 1e6 for processor, _ in rounds], microseconds),
            f"{1e6 / statistics.median(processor for processor, _ in rounds):,.0f}",
            spread([count for _, count in rounds], "{:,}".format),
        ]
        for level, rounds in found.items()
    ]
    table(["level", "processor of each", "a second", "allocations of each"], rows)
    print()


def microseconds(value):
    return f"{value * 1e6:,.0f} µs"


def mebibytes(kibibytes):
    return f"{kibibytes / 1024:.2f} MiB"


MEASURES = {measure.__name__: measure for measure in [judge, level, sweep]}


def main():
    programs, input, *names = sys.argv[1:]
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        raise SystemExit(f"no measure is called {', '.join(unknown)}; there are {', '.join(MEASURES)}")
    for name in names or MEASURES:
        MEASURES[name](Program(Path(programs), Path(input)))


if __name__ == "__main__":
    main()
