"""Runs what `hack/bench/daemon` has built on a test cluster, and prints tables of what it took.

Each program starts on the same world: HostedClusters with their control planes, none of them wired. It has converged when
the status of every HostedCluster says 9/9; afterwards, off the clock, every class and every Deployment is compared with the
golden files of `render`. Programs take turns, every other round in reverse order, and are compared round by round."""

import argparse
import json
import random
import re
import shlex
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import inputs
from bench import heading, mebibytes, milliseconds, seconds, spread, table, times
from cluster import Cluster, Process, Watch, cpu

HOSTED_CLUSTERS = "/apis/hypershift.openshift.io/v1beta1/namespaces/clusters/hostedclusters"
STATUSES = "/apis/hcpidentity.dev/v1alpha1/namespaces/clusters/controlplaneidentities"
CLASSES = "/apis/secrets-store.csi.x-k8s.io/v1/secretproviderclasses"

OBJECTS = {"secretproviderclasses", "deployments", "controlplaneidentities"}

IDENTITIES = "spec.platform.azure.azureAuthenticationConfig.managedIdentities.controlPlane"


@dataclass
class Convergence:
    wall: float  # seconds
    cpu: float  # seconds
    server: float  # seconds of kube-apiserver and etcd
    peak: float  # KiB
    writes: dict
    refused: float
    idle: float = 0.0  # KiB, afterwards


@dataclass
class Program:
    name: str
    command: list
    lasts: bool  # goes on when it has converged
    convergences: list = field(default_factory=list)


class Bench:
    def __init__(self, options, cluster):
        self.options = options
        self.cluster = cluster
        self.scale = options.scale
        self.tool = options.bench / "release/cluster"

    def world(self, *arguments):
        command = [self.tool, *map(str, arguments)]
        subprocess.run(command, check=True, env=self.cluster.environment)

    def start(self, program, command):
        logs = self.options.bench / "logs"
        logs.mkdir(exist_ok=True)
        return Process(command, self.cluster.environment, logs / f"{program}.log")

    def server(self):
        return sum(cpu(self.cluster.pid(name)) for name in ["kube-apiserver", "etcd"])

    def converge(self, program):
        """From the start of the program until every status says 9/9; the program is still running then."""
        self.world("reset", self.scale)
        told = {}
        whole = threading.Event()

        def hear(event, heard):
            wired = event["object"].get("status", {}).get("wired")
            if wired == "9/9" and event["object"]["metadata"]["name"] not in told:
                told[event["object"]["metadata"]["name"]] = heard
                if len(told) == self.scale:
                    whole.set()

        watch = Watch(self.cluster, STATUSES, hear)
        done, refused = self.cluster.writes()
        server = self.server()
        process = self.start(program.name, program.command)
        deadline = process.started + 60 + 5 * self.scale
        while not whole.wait(0.02):
            process.look()
            if process.exit_code() or (program.lasts and process.has_ended()):
                raise SystemExit(f"{program.name} has ended, see {process.log}")
            if time.monotonic() > deadline:
                raise SystemExit(f"{program.name}: {len(told)} of {self.scale} have converged; see {process.log}")
        cpu, server = process.cpu(), self.server() - server
        watch.end()
        convergence = Convergence(max(told.values()) - process.started, cpu, server, process.peak, {}, 0)
        if program.lasts:
            time.sleep(self.options.settle)
            process.look()
            convergence.peak, convergence.idle = process.peak, process.memory("VmRSS")
        new_done, new_refused = self.cluster.writes()
        convergence.writes = difference(new_done, done)
        convergence.refused = sum(count for resource, count in difference(new_refused, refused).items() if resource in OBJECTS)
        self.world("verify", self.scale)
        program.convergences.append(convergence)
        return process

    def steady(self, process):
        """Every HostedCluster is touched, and nothing is to come of it."""
        cpu = process.cpu()
        done, _ = self.cluster.writes()
        connection = self.cluster.connection()
        for number in range(self.scale):
            patch(connection, number, {"metadata": {"annotations": {"example.com/touched": str(time.time())}}})
        time.sleep(self.options.steady)
        writes = difference(self.cluster.writes()[0], done)
        if writes.get("hostedclusters", 0) != self.scale:
            raise SystemExit(f"{writes.get('hostedclusters', 0):g} of {self.scale} HostedClusters were touched")
        objects = sum(count for resource, count in writes.items() if resource in OBJECTS)
        return objects, writes.get("events", 0), (process.cpu() - cpu) / self.options.steady

    def latencies(self):
        """From sending a change of a HostedCluster until it, and until its class, is heard of."""
        heard = {}
        news = threading.Condition()

        def hear(kind, secret):
            def listen(event, when):
                with news:
                    heard.setdefault((kind, secret(event["object"])), when)
                    news.notify()

            return listen

        def of_cluster(cluster):
            for key in IDENTITIES.split("."):
                cluster = cluster[key]
            return cluster["ingress"]["credentialsSecretName"]

        def of_class(provider_class):
            found = re.search(r"objectName: (\S+)", provider_class["spec"]["parameters"]["objects"])
            return found and found.group(1)

        watches = [
            Watch(self.cluster, HOSTED_CLUSTERS, hear("cluster", of_cluster)),
            Watch(self.cluster, CLASSES, hear("class", of_class)),
        ]
        connection = self.cluster.connection()
        taken = {"cluster": [], "class": []}
        run = random.randrange(10**9)
        for number in range(self.options.changes):
            secret = f"{name(number % self.scale)}-ingress-{run}-{number}"
            sent = time.monotonic()
            patch(connection, number % self.scale, nested(IDENTITIES, {"ingress": {"credentialsSecretName": secret}}))
            for kind in taken:
                with news:
                    if not news.wait_for(lambda: (kind, secret) in heard, timeout=60):
                        raise SystemExit(f"the {kind} has not got the secret {secret} within a minute")
                taken[kind].append(heard[kind, secret] - sent)
            # Off the beat of whatever the program does regularly, and after what follows from the class.
            time.sleep(random.uniform(0.3, 0.5))
        for watch in watches:
            watch.end()
        return taken

    def busy(self):
        command = [self.tool, "busy", str(self.scale), str(self.options.rate)]
        return self.start("busy", command)

    def idle_client(self):
        process = self.start("idle", [self.tool, "idle"])
        time.sleep(self.options.settle)
        if process.has_ended():
            raise SystemExit(f"the idle client has ended, see {process.log}")
        memory = process.memory("VmRSS")
        process.end()
        return memory


def name(number):
    return f"c{number:04}"


def nested(path, value):
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def patch(connection, number, change):
    headers = {"Content-Type": "application/merge-patch+json"}
    connection.request("PATCH", f"{HOSTED_CLUSTERS}/{name(number)}", json.dumps(change), headers)
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise SystemExit(f"HostedCluster {name(number)}: {response.status} {body[:300]}")


def difference(after, before):
    return {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}


def percentile(values, part):
    """The smallest value that so many hundredths are not above."""
    return sorted(values)[max(0, -(-len(values) * part // 100) - 1)]


def converged(programs, options, idle_client):
    heading(
        f"Convergence, {options.scale:,} HostedClusters",
        f"{60 * options.scale:,} Deployments, {11 * options.scale:,} of them to be wired; {options.repeat} rounds",
    )
    reference = programs[0].convergences
    rows = []
    for program in programs:
        runs = program.convergences
        writes = [sum(count for resource, count in run.writes.items() if resource in OBJECTS) / options.scale for run in runs]
        events = [run.writes.get("events", 0) / options.scale for run in runs]
        rows.append([
            program.name,
            spread([run.wall for run in runs], seconds),
            spread([run.wall / options.scale for run in runs], milliseconds),
            spread([run.wall / loop.wall for run, loop in zip(runs, reference)], times),
            spread([run.cpu for run in runs], seconds),
            spread([run.server for run in runs], seconds),
            spread(writes, "{:.1f}".format),
            spread([run.refused for run in runs], "{:.0f}".format),
            spread(events, "{:.1f}".format),
        ])
    columns = ["", "wall clock", "per HostedCluster", f"takes, of `{programs[0].name}`", "processor", "processor of the servers",
               "object writes per HostedCluster", "refused", "events per HostedCluster"]
    table(columns, rows)
    print()
    heading("Memory", f"{options.settle} s after convergence; {options.repeat} rounds")
    rows = [[program.name, spread([run.peak for run in program.convergences], mebibytes),
             spread([run.idle for run in program.convergences], mebibytes) if program.lasts else "",
             spread([run.idle / idle_client for run in program.convergences], times) if program.lasts else ""]
            for program in programs]
    rows.append(["idle client", "", mebibytes(idle_client), ""])
    table(["", "peak", "afterwards", "afterwards, of the idle client"], rows)
    print()


def afterwards(measured, options):
    print(f"### Every HostedCluster touched\n\nIn the {options.steady} s after that.\n")
    rows = [[name, f"{objects:g}", f"{events:g}", f"{part * 100:.2f} %"] for name, ((objects, events, part), _, _) in measured.items()]
    table(["", "object writes", "events", "processor, of one core"], rows)
    print(f"\n### From a change of a HostedCluster to its class\n\n{options.changes} changes one by one; on the busy "
          f"cluster {options.rate} other Deployments are to be changed each second, or as many as it takes.\n")
    rows = []
    for name, (_, latencies, rate) in measured.items():
        for cluster, taken in latencies.items():
            cluster = f"busy, {rate:.0f} a second" if cluster == "busy" else cluster
            for kind, what in [("cluster", "HostedCluster seen by the benchmark"), ("class", "class seen by the benchmark")]:
                rows.append([name, cluster, what, *(milliseconds(percentile(taken[kind], part)) for part in [50, 99, 100])])
    table(["", "cluster", "until", "p50", "p99", "longest"], rows)
    print()


def programs(options):
    tool = str(options.bench / "release/cluster")
    go = str(options.bench / "bin/controller-runtime")
    user = ["--key-vault-user-client-id", inputs.KEY_VAULT_USER]
    all = [Program(f"loop, {clients} at once", [tool, "loop", str(options.scale), str(clients)], lasts=False)
           for clients in options.loops]
    if options.daemon:
        told = ["--pod-patch", "workload", "--listen-health", "127.0.0.1:0", "--listen-metrics", "127.0.0.1:0"]
        all.append(Program("hcp-identity run", [str(options.daemon), "run", *user, *told, *shlex.split(options.daemon_options)], lasts=True))
    all += [Program(f"controller-runtime, {workers} at once", [go, *user, "--workers", str(workers)], lasts=True)
            for workers in options.workers]
    return all


def arguments():
    parser = argparse.ArgumentParser(prog="hack/bench/daemon")
    parser.add_argument("--bench", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--daemon", type=Path, help="the binary")
    parser.add_argument("--daemon-options", default="", help="further options of `run`, in one word")
    parser.add_argument("--without-daemon", action="store_true", help="only what it is compared with")
    parser.add_argument("--scale", type=int, default=60, help="HostedClusters")
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    parser.add_argument("--loops", type=int, nargs="+", default=[1], help="clients of the loop; the first is what the others are compared with")
    parser.add_argument("--workers", type=int, nargs="*", default=[1], help="workers of the Go program")
    parser.add_argument("--settle", type=float, default=10, help="seconds after convergence until memory is read")
    parser.add_argument("--steady", type=float, default=120, help="seconds for which nothing is to happen; 0 skips")
    parser.add_argument("--changes", type=int, default=200, help="changes of which the latency is measured; 0 skips")
    parser.add_argument("--rate", type=int, default=100, help="changes a second of what is nobody's business")
    options = parser.parse_args()
    if not options.daemon and not options.without_daemon:
        parser.error("one of --daemon and --without-daemon is needed")
    return options


def measure_afterwards(bench, process):
    steady = bench.steady(process)
    latencies = {"idle": bench.latencies()}
    busy = bench.busy()
    before = bench.cluster.writes()[0]
    latencies["busy"] = bench.latencies()
    writes = difference(bench.cluster.writes()[0], before)
    if busy.has_ended():
        raise SystemExit(f"what kept the cluster busy has ended, see {busy.log}")
    rate = writes["deployments"] / (time.monotonic() - busy.started)
    busy.end(signal.SIGINT)
    return steady, latencies, rate


def main():
    options = arguments()
    all = programs(options)
    measured = {}
    with Cluster(options.bench / "cluster") as cluster:
        bench = Bench(options, cluster)
        bench.world("create", options.scale)
        idle_client = bench.idle_client()
        # Once off the record: the API server is never again as slow as at first.
        bench.converge(Program("warm-up", all[0].command, lasts=False)).child.wait()
        for number in range(options.repeat):
            for program in all if number % 2 == 0 else reversed(all):
                process = bench.converge(program)
                if program.lasts and number == options.repeat - 1 and options.changes:
                    measured[program.name] = measure_afterwards(bench, process)
                process.end() if program.lasts else process.child.wait()
    converged(all, options, idle_client)
    if measured:
        afterwards(measured, options)


if __name__ == "__main__":
    main()
