"""Creates pods (server dry-run) of which policies are about more or less, in turn, and prints what that took."""

import argparse
import json
import os
import re
import statistics
import subprocess
import time
from pathlib import Path

import inputs
from cluster import Cluster

CASE = "testdata/render/every-pod-of-the-table-is-wired/input.yaml"
APP = "kube-apiserver"
PLANE, ELSEWHERE = "clusters-prod", "elsewhere"
PLUGIN = re.compile(
    r'apiserver_admission_controller_admission_duration_seconds_(sum|count)\{name="MutatingAdmissionPolicy",operation="CREATE",'
    r'rejected="false",type="admit"\} (\S+)'
)


def render(binary, *arguments):
    environment = {**os.environ, "HCP_IDENTITY_KEY_VAULT_USER_CLIENT_ID": inputs.KEY_VAULT_USER}
    command = [binary, "render", "-o", "json", *arguments]
    return json.loads(subprocess.run(command, capture_output=True, check=True, env=environment).stdout)["items"]


def pod_of(deployment, namespace):
    template = deployment["spec"]["template"]
    metadata = {"generateName": "pod-", "namespace": namespace, "labels": template["metadata"]["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def without_wiring(deployment):
    """As it was before: what mounts a provider class is what was added."""
    deployment = json.loads(json.dumps(deployment))
    spec = deployment["spec"]["template"]["spec"]
    ours = [volume["name"] for volume in spec["volumes"] if "csi" in volume]
    spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] not in ours]
    for container in spec["containers"]:
        container["volumeMounts"] = [m for m in container.get("volumeMounts", []) if m["name"] not in ours]
    return deployment


class Plugin:
    """What the API server counts of its admission by policies."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.before = self.now()

    def now(self):
        found = dict(PLUGIN.findall(self.cluster.get("/metrics")))
        return float(found.get("sum", 0)), float(found.get("count", 0))

    def mean(self):
        before, self.before = self.before, self.now()
        count = self.before[1] - before[1]
        return (self.before[0] - before[0]) / count if count else 0.0


def create(cluster, pod, count):
    """Seconds that each creation took."""
    body = json.dumps(pod).encode()
    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods?dryRun=All"
    connection = cluster.connection()
    took = []
    for _ in range(count):
        start = time.perf_counter()
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        created = response.read()
        took.append(time.perf_counter() - start)
        if response.status != 201:
            raise SystemExit(f"{response.status}: {created[:300]}")
    connection.close()
    mounts = sum("csi" in volume for volume in json.loads(created)["spec"].get("volumes", []))
    return took, mounts


def spread(values, unit="ms", scale=1e3):
    return f"{statistics.median(values) * scale:.2f} {unit} ({min(values) * scale:.2f} to {max(values) * scale:.2f})"


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--hcp-identity", required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--pods", type=int, default=300, help="a case and round")
    arguments = parser.parse_args()
    rendered = render(arguments.hcp_identity, "-f", CASE)
    classes = [object for object in rendered if object["kind"] == "SecretProviderClass"]
    is_it = lambda object: object["kind"] == "Deployment" and object["spec"]["template"]["metadata"]["labels"]["app"] == APP
    wired = next(object for object in rendered if is_it(object))
    unwired = without_wiring(wired)
    other = json.loads(json.dumps(unwired))
    other["spec"]["template"]["metadata"]["labels"]["app"] = "etcd"
    cases = {
        "another namespace": (pod_of(unwired, ELSEWHERE), 0),
        "a control plane, none of the table's pods": (pod_of(other, PLANE), 0),
        "a pod that is wired already": (pod_of(wired, PLANE), 1),
        "a pod that is wired by its policy": (pod_of(unwired, PLANE), 1),
    }
    with Cluster(arguments.bench / "policies-cluster") as cluster:
        for namespace in [PLANE, ELSEWHERE]:
            cluster.kubectl("create", "namespace", namespace)
        cluster.kubectl("label", "namespace", PLANE, "hypershift.openshift.io/hosted-control-plane=true")
        install = cluster.folder / "install.json"
        policies = [object for object in render(arguments.hcp_identity, "--policies")]
        install.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": classes + policies}))
        cluster.kubectl("apply", "--server-side", "-f", install)
        until = time.monotonic() + 60
        while create(cluster, *cases["a pod that is wired by its policy"][:1], 1)[1] == 0:
            if time.monotonic() > until:
                raise SystemExit("the policies do not work")
            time.sleep(0.5)
        took = {name: [] for name in cases}
        in_plugin = {name: [] for name in cases}
        for pod, _ in cases.values():
            create(cluster, pod, arguments.pods)
        plugin = Plugin(cluster)
        for _ in range(arguments.rounds):
            for name, (pod, mounts) in cases.items():
                seconds, mounted = create(cluster, pod, arguments.pods)
                if (mounted > 0) != (mounts > 0):
                    raise SystemExit(f"{name}: {mounted} volumes")
                took[name].append(seconds)
                in_plugin[name].append(plugin.mean())
    print(f"### Creating a pod, as kube-apiserver sees it\n\nMedian (smallest to largest) of {arguments.rounds} rounds of "
          f"{arguments.pods} server dry-runs, one after the other.\n")
    print("|  | p50 of the request | p99 of the request | in the admission by policies, mean |\n| --- | --- | --- | --- |")
    for name in cases:
        half, most = ([percentile(one, share) for one in took[name]] for share in (0.5, 0.99))
        print(f"| {name} | {spread(half)} | {spread(most)} | {spread(in_plugin[name], 'µs', 1e6)} |")


main()
