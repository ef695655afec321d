"""The two webhooks that are compared, each with the HostedClusters of a file and on one core."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
from contextlib import contextmanager

from cluster import Process

OURS, THEIRS = "hcp-identity", "controller-runtime"
WEBHOOKS = [OURS, THEIRS]


class Webhooks:
    def __init__(self, bench, certificates):
        self.bench = bench
        self.certificates = certificates
        self.program = bench / "shipped/admission"
        # One core for whoever is asked, another for whoever asks.
        self.asked, *others = sorted(os.sched_getaffinity(0))
        self.asking = others[0] if others else self.asked
        self.tls = ssl.create_default_context(cafile=certificates / "ca.pem")

    def clusters(self, count):
        return self.bench / f"input/stream-{count}.yaml"

    def command(self, name, port, count):
        clusters = self.clusters(count)
        if name == OURS:
            return [self.program, "serve", str(port), self.certificates, clusters]
        program = self.bench / "bin/controller-runtime"
        options = {"webhook": port, "certificates": self.certificates, "hosted-clusters": clusters}
        return [program, *(f"--{option}={value}" for option, value in options.items())]

    @contextmanager
    def serve(self, name, count):
        port = free_port()
        logs = self.bench / "logs"
        logs.mkdir(exist_ok=True)
        environment = {"PATH": os.environ["PATH"], "GOMAXPROCS": "1"}
        command = [*pinned(self.asked), *self.command(name, port, count)]
        process = Process(command, environment, logs / f"webhook-{name}.log")
        try:
            webhook = Webhook(self, process, port, count)
            webhook.wait()
            yield webhook
        finally:
            process.end()


class Webhook:
    """One that is running."""

    def __init__(self, webhooks, process, port, count):
        self.webhooks = webhooks
        self.process = process
        self.port = port
        self.count = count

    def url(self, path):
        return f"https://127.0.0.1:{self.port}{path}"

    def wait(self):
        until = time.monotonic() + 20
        while not is_open(self.port):
            if self.process.has_ended() or time.monotonic() > until:
                raise SystemExit(f"a webhook does not serve: see {self.process.log}")
            time.sleep(0.05)

    def ask(self, how, *options):
        """What a client has to tell of it, as the program `admission` prints it."""
        webhooks = self.webhooks
        question = [how, self.port, webhooks.certificates, webhooks.clusters(self.count), *options]
        command = [*pinned(webhooks.asking), webhooks.program, *map(str, question)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def times(self):
        """Seconds that the handler took, each since the last time."""
        with urllib.request.urlopen(self.url("/times"), context=self.webhooks.tls) as answer:
            return [nanoseconds / 1e9 for nanoseconds in json.load(answer) or []]


def pinned(core):
    return [shutil.which("taskset"), "--cpu-list", str(core)]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def is_open(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    except ConnectionRefusedError:
        return False
