"""Runs what `hack/bench/run` has built, and prints tables of what it cost.

Programs that are compared run in turn, A B A B, and are compared round by round, so that whatever else the machine does
meets both. Processor time is user and system time together; memory is the peak of what is resident."""

import os
import re
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import inputs

SIZES = [100, 1_000, 10_000]
FEW, MANY = 100, 1_000
MEMORY_ROUNDS = 5
THROUGHPUT_ROUNDS = 7
COMPARED_ROUNDS = 7
STARTUP_ROUNDS = 200


@dataclass
class Cost:
    wall: float  # seconds
    cpu: float  # seconds
    memory: float  # KiB


class Programs:
    """Where everything is, and the one way to run it."""

    def __init__(self, release, bench):
        self.bench = bench
        self.input = bench / "input"
        self.hcp_identity = release / "hcp-identity"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "HCP_IDENTITY_KEY_VAULT_USER_CLIENT_ID": inputs.KEY_VAULT_USER,
        }

    def cost(self, command):
        measured = [self.bench / "release/measure", *command]
        done = subprocess.run(measured, capture_output=True, text=True, check=True, env=self.environment)
        wall, cpu, memory, code = map(int, done.stdout.split())
        if code != 0:
            raise SystemExit(f"ended with exit code {code}: {' '.join(map(str, command))}")
        return Cost(wall / 1e6, cpu / 1e6, memory)

    def output(self, command):
        return subprocess.run(command, capture_output=True, text=True, check=True, env=self.environment).stdout

    def rounds(self, count, commands):
        """The costs of each command, by its name: one run of each, then one more of each, `count` times."""
        costs = {name: [] for name in commands}
        for _ in range(count):
            for name, command in commands.items():
                costs[name].append(self.cost(command))
        return costs

    def render(self, file):
        return [self.hcp_identity, "render", "-f", self.input / file]

    def floor(self, kind, file):
        return [self.bench / "release/floor", kind, self.input / file]

    def alternatives(self, count):
        overlays = self.input / f"kustomization-{count}"
        commands = {
            "hcp-identity render": self.render(f"stream-{count}.yaml"),
            "helm template": [self.bench / "bin/helm", "template", "bench", self.input / f"chart-{count}"],
            "kustomize build": [self.bench / "bin/kustomize", "build", overlays],
        }
        if kubectl := shutil.which("kubectl"):
            commands["kubectl kustomize"] = [kubectl, "kustomize", overlays]
        return commands


def memory(programs):
    for title, kind in [
        ("Memory, a document for each HostedCluster", "stream"),
        ("Memory, one document of kind List", "list"),
    ]:
        commands = {count: programs.render(f"{kind}-{count}.yaml") for count in SIZES}
        costs = programs.rounds(MEMORY_ROUNDS, commands)
        heading(title, f"{MEMORY_ROUNDS} rounds")
        rows = []
        for count, runs in costs.items():
            size = (programs.input / f"{kind}-{count}.yaml").stat().st_size
            wall = spread([run.wall for run in runs], seconds)
            rows.append([f"{count:,}", mebibytes(size / 1024), spread([run.memory for run in runs], mebibytes), wall])
        table(["HostedClusters", "input", "peak memory", "wall clock"], rows)
        few, many = SIZES[0], SIZES[-1]
        growth = [
            (after.memory - before.memory) / (many - few) for before, after in zip(costs[few], costs[many])
        ]
        print(f"\nGrowth from {few:,} to {many:,}: {spread(growth, '{:.2f} KiB'.format)} per HostedCluster.\n")


def throughput(programs):
    count = SIZES[-1]
    file = f"stream-{count}.yaml"
    commands = {
        "hcp-identity render": programs.render(file),
        "floor: every document as a JSON value": programs.floor("values", file),
        "floor: the events of the parser": programs.floor("events", file),
    }
    costs = programs.rounds(THROUGHPUT_ROUNDS, commands)
    heading("Throughput", f"{count:,} HostedClusters, {9 * count:,} provider classes, {THROUGHPUT_ROUNDS} rounds")
    size = (programs.input / file).stat().st_size / 2**20
    ours = costs["hcp-identity render"]
    rows = []
    for name, runs in costs.items():
        rate = spread([size / run.wall for run in runs], "{:.1f} MiB/s".format)
        rows.append([name, spread([run.wall for run in runs], seconds), rate, *ratios(ours, runs)])
    table(["", "wall clock", "input", "render takes, wall clock", "render takes, processor"], rows)
    print()


def alternatives(programs):
    for name, command in programs.alternatives(FEW).items():
        check(name, programs.output(command))
    compare(programs, FEW, programs.alternatives(FEW))
    # Kustomize takes minutes for as many.
    left = {name: command for name, command in programs.alternatives(MANY).items() if "kustomize" not in name}
    compare(programs, MANY, left)


def compare(programs, count, commands):
    costs = programs.rounds(COMPARED_ROUNDS, commands)
    heading(
        f"The alternatives, {count:,} HostedClusters", f"{9 * count:,} provider classes, {COMPARED_ROUNDS} rounds"
    )
    ours = costs["hcp-identity render"]
    rows = [
        [
            name,
            spread([run.wall for run in runs], seconds),
            spread([run.wall / count for run in runs], milliseconds),
            spread([run.memory for run in runs], mebibytes),
            *ratios(runs, ours),
        ]
        for name, runs in costs.items()
    ]
    table(["", "wall clock", "per HostedCluster", "peak memory", "takes, wall clock", "takes, processor"], rows)
    print()


def startup(programs):
    true = shutil.which("true")
    commands = {"hcp-identity render": programs.render("stream-1.yaml"), "true": [true]}
    costs = programs.rounds(STARTUP_ROUNDS, commands)
    heading("Start-up", f"one HostedCluster, {STARTUP_ROUNDS} rounds")
    rows = [
        [name, spread([run.wall for run in runs], milliseconds), spread([run.cpu for run in runs], milliseconds)]
        for name, runs in costs.items()
    ]
    rows.append(["ratio", *ratios(costs["hcp-identity render"], costs["true"])])
    table(["", "wall clock", "processor"], rows)
    print()


def check(name, output):
    """That a program prints what is asked of it: every provider class, each with its secret."""
    classes = len(re.findall(r"^kind: SecretProviderClass$", output, re.MULTILINE))
    secrets = sorted(re.findall(r"objectName: ([\w-]+)", output))
    if classes != 9 * FEW or secrets != inputs.secrets(FEW):
        raise SystemExit(f"{name} prints {classes} provider classes, or not with the secrets that they should have")


def ratios(these, those):
    """How many times as long as those these take, round by round: wall clock and processor time."""
    return [
        spread([this.wall / that.wall for this, that in zip(these, those)], times),
        spread([this.cpu / that.cpu for this, that in zip(these, those)], times),
    ]


def spread(values, form):
    """The median, and from where to where."""
    return f"{form(statistics.median(values))} ({form(min(values))} to {form(max(values))})"


def seconds(value):
    return f"{value:.3f} s"


def milliseconds(value):
    return f"{value * 1e3:.2f} ms"


def mebibytes(kibibytes):
    return f"{kibibytes / 1024:.1f} MiB"


def times(value):
    return f"{value:.2f}x"


def heading(title, how):
    print(f"### {title}\n\nMedian (smallest to largest); {how}.\n")


def table(columns, rows):
    for row in [columns, ["---"] * len(columns), *rows]:
        print(f"| {' | '.join(row)} |", flush=True)


MEASURES = {measure.__name__: measure for measure in [memory, throughput, alternatives, startup]}


def main():
    release, bench, *names = sys.argv[1:]
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        raise SystemExit(f"no measure is called {', '.join(unknown)}; there are {', '.join(MEASURES)}")
    programs = Programs(Path(release), Path(bench))
    inputs.write(programs.input, sizes=[1, *SIZES], charts=[FEW, MANY], kustomizations=[FEW])
    for name in names or MEASURES:
        MEASURES[name](programs)


if __name__ == "__main__":
    main()
