"""The test cluster that the daemon is measured on: what the API server counts, what a watch hears, what a process takes."""

import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import threading
import time
from pathlib import Path

CRDS = ["testdata/cluster/crds", "manifests/crds/controlplaneidentities.yaml", "hack/bench/crds.yaml"]

WRITES = re.compile(r"apiserver_request_total\{(.*)\} (\S+)")
LABEL = re.compile(r'(\w+)="([^"]*)"')

TICKS = os.sysconf("SC_CLK_TCK")


class Cluster:
    """A test cluster without controllers: nothing but the programs writes."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {**os.environ, "KUBECONFIG": str(folder / "kubeconfig")}

    def __enter__(self):
        subprocess.run(["hack/cluster", "up", self.folder], check=True, stdout=subprocess.DEVNULL)
        os.kill(self.pid("kube-controller-manager"), signal.SIGTERM)
        kubeconfig = (self.folder / "kubeconfig").read_text()
        self.address = re.search(r"https://([\d.:]+)", kubeconfig).group(1)
        self.tls = ssl.create_default_context(cafile=self.folder / "ca.crt")
        self.tls.load_cert_chain(self.folder / "admin.crt", self.folder / "admin.key")
        for crds in CRDS:
            self.kubectl("apply", "--server-side", "-f", crds)
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        return self

    def __exit__(self, *_):
        subprocess.run(["hack/cluster", "down", self.folder], check=True)

    def pid(self, name):
        return int((self.folder / f"{name}.pid").read_text())

    def kubectl(self, *arguments):
        subprocess.run([self.folder / "kubectl", *arguments], check=True, stdout=subprocess.DEVNULL, env=self.environment)

    def connection(self):
        return http.client.HTTPSConnection(self.address, context=self.tls)

    def get(self, path):
        connection = self.connection()
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        if response.status != 200:
            raise SystemExit(f"GET {path}: {response.status} {body[:300]}")
        return body

    def writes(self):
        """Writes so far, by resource: those that were done, those that were refused."""
        done, refused = {}, {}
        for labels, count in WRITES.findall(self.get("/metrics")):
            labels = dict(LABEL.findall(labels))
            if labels["verb"] in {"APPLY", "PATCH", "POST", "PUT", "DELETE", "DELETECOLLECTION"}:
                counts = done if labels["code"].startswith("2") else refused
                counts[labels["resource"]] = counts.get(labels["resource"], 0) + float(count)
        return done, refused


class Watch:
    """What happens to a collection from now on, with the time at which it was heard of."""

    def __init__(self, cluster, collection, hear):
        version = json.loads(cluster.get(f"{collection}?limit=1"))["metadata"]["resourceVersion"]
        self.connection = cluster.connection()
        self.connection.request("GET", f"{collection}?watch=true&timeoutSeconds=86400&resourceVersion={version}")
        self.response = self.connection.getresponse()
        self.hear = hear
        self.ended = False
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        for line in iter(self.readline, b""):
            heard = time.monotonic()
            event = json.loads(line)
            if event["type"] == "ERROR":
                raise RuntimeError(f"the watch has ended: {event['object']}")
            self.hear(event, heard)

    def readline(self):
        try:
            return self.response.readline()
        except (OSError, ValueError, AttributeError):
            if self.ended:
                return b""
            raise

    def end(self):
        self.ended = True
        self.connection.sock.shutdown(2)
        self.thread.join()


class Process:
    """A program that is running; its end is seen, and read of, before it is collected."""

    def __init__(self, command, environment, log):
        self.log = log
        with open(log, "w") as output:
            self.started = time.monotonic()
            self.child = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        self.peak = 0

    def cpu(self):
        return cpu(self.child.pid)

    def memory(self, name):
        """VmHWM or VmRSS, or nothing of a process that has ended."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        return int(found.group(1)) if found else 0

    def look(self):
        self.peak = max(self.peak, self.memory("VmHWM"))

    def exit_code(self):
        """None while it runs. It is not collected: what it took can still be read."""
        ended = os.waitid(os.P_PID, self.child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return ended and ended.si_status

    def has_ended(self):
        return self.exit_code() is not None

    def end(self, how=signal.SIGTERM):
        self.child.send_signal(how)
        self.child.wait(30)


def cpu(pid):
    """User and system time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
