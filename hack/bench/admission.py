"""Runs what `hack/bench/admission` has built, and prints tables of what it cost; in rounds, as `bench.py` does.

Each round starts the webhooks anew, one after the other, every other round in reverse order. Before anything is measured each
has to wire every pod as the plan does."""

import json
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import inputs
from bench import heading, mebibytes, spread, table, times
from creation import creation, microseconds
from webhook import OURS, WEBHOOKS, Webhooks

ROUNDS = 5
FEW, MANY = [1, 60], 600
CONNECTIONS = 16
RATE, SECONDS = 1_000, 8
WARM_UP, FULL = 2, 4


@dataclass
class Round:
    steady: dict  # what the client saw at a fixed rate
    handler: list  # seconds
    rate: float  # a second, closed loop
    processor: float  # seconds for each of those
    resident: float  # KiB
    proportional: float  # KiB


def answers(webhooks, _):
    rounds = {name: [] for name in WEBHOOKS}
    memory = {(name, count): [] for name in WEBHOOKS for count in FEW}
    for name in WEBHOOKS:
        with webhooks.serve(name, MANY) as webhook:
            print(f"{name}: {webhook.ask('check')}", file=sys.stderr)
    for number in range(ROUNDS):
        for name in WEBHOOKS[:: -1 if number % 2 else 1]:
            rounds[name].append(one_round(webhooks, name))
            for count in FEW:
                with webhooks.serve(name, count) as webhook:
                    webhook.ask("closed", 1, CONNECTIONS)
                    memory[name, count].append(resident(webhook))
    print_answers(rounds)
    print_memory(rounds, memory)


def one_round(webhooks, name):
    with webhooks.serve(name, MANY) as webhook:
        webhook.ask("closed", WARM_UP, CONNECTIONS)
        webhook.times()
        steady = json.loads(webhook.ask("open", SECONDS, CONNECTIONS, RATE))
        handler = webhook.times()
        before = webhook.process.cpu()
        full = json.loads(webhook.ask("closed", FULL, CONNECTIONS))
        processor = (webhook.process.cpu() - before) / full["asked"]
        return Round(steady, handler, full["rate"], processor, *resident(webhook))


def resident(webhook):
    """What is resident when it has come to rest, and its share of what it shares; KiB."""
    time.sleep(0.5)
    rollup = Path(f"/proc/{webhook.process.child.pid}/smaps_rollup").read_text()
    return webhook.process.memory("VmRSS"), float(re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE).group(1))


def print_answers(rounds):
    heading(
        f"Answers, {MANY:,} HostedClusters",
        f"{RATE:,} questions a second for {SECONDS} s, on {CONNECTIONS} connections, each timed from when it was due;"
        f" {ROUNDS} rounds",
    )
    seen = {
        "client": lambda one, share: one.steady[f"p{share}"],
        "handler": lambda one, share: percentile(one.handler, share),
    }
    rows = []
    for where, at in seen.items():
        for name, runs in rounds.items():
            figures = [[at(one, share) for one in runs] for share in (50, 99, 99.9)]
            ours = [at(one, 99) for one in rounds[OURS]]
            rows.append([name, where, *(spread(one, microseconds) for one in figures), ratio(figures[1], ours)])
    table(["", "seen by the", "p50", "p99", "p99.9", f"p99, of {OURS}'s"], rows)
    print()
    heading("As many answers as there can be", f"{CONNECTIONS} connections, one core, {FULL} s; {ROUNDS} rounds")
    rows = [
        [
            name,
            spread([one.rate for one in runs], "{:,.0f}".format),
            ratio([one.rate for one in runs], [one.rate for one in rounds[OURS]]),
            spread([one.processor for one in runs], microseconds),
            ratio([one.processor for one in runs], [one.processor for one in rounds[OURS]]),
        ]
        for name, runs in rounds.items()
    ]
    table(["", "answers a second", f"of {OURS}'s", "processor of each", f"of {OURS}'s"], rows)
    print()


def print_memory(rounds, memory):
    heading("Memory of the webhook", f"half a second after it was asked at full rate; {ROUNDS} rounds")
    rows = []
    for name, runs in rounds.items():
        found = {count: memory[name, count] for count in FEW}
        found[MANY] = [(one.resident, one.proportional) for one in runs]
        for count, kibibytes in found.items():
            columns = [spread(column, mebibytes) for column in zip(*kibibytes)]
            rows.append([name, f"{count:,}", *columns])
    table(["", "HostedClusters", "resident", "proportional"], rows)
    print()


def ratio(these, those):
    return spread([this / that for this, that in zip(these, those)], times)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share / 100))]


MEASURES = {"answers": answers, "creation": creation}


def main():
    hcp_identity, bench, certificates, *names = sys.argv[1:]
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        raise SystemExit(f"no measure is called {', '.join(unknown)}; there are {', '.join(MEASURES)}")
    webhooks = Webhooks(Path(bench), Path(certificates))
    inputs.write(webhooks.bench / "input", sizes=[*FEW, MANY], charts=[], kustomizations=[])
    for name in names or MEASURES:
        MEASURES[name](webhooks, hcp_identity)


if __name__ == "__main__":
    main()
