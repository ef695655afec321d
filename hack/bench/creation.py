"""Creates pods (server dry-run) that policies or webhooks are about more or less, in turn, and prints what that took."""

import base64
import json
import os
import re
import subprocess
import time
from contextlib import ExitStack

import inputs
from bench import heading, milliseconds, spread, table
from cluster import Cluster
from webhook import OURS, THEIRS

CASE = "testdata/render/every-pod-of-the-table-is-wired/input.yaml"
APP = "kube-apiserver"
PLANE, ELSEWHERE = "clusters-prod", "elsewhere"
# Control planes of the HostedClusters that the webhooks know of; each asks one of them only, and no policy is about these.
ASKING = {OURS: "clusters-prod-00000", THEIRS: "clusters-prod-00001"}
SCALE = 60
ROUNDS, PODS = 7, 200

DURATION = re.compile(
    r'apiserver_admission_(controller|webhook)_admission_duration_seconds_sum'
    r'\{name="([^"]+)",operation="CREATE",rejected="false",type="admit"\} (\S+)'
)
POLICIES = ("controller", "MutatingAdmissionPolicy")
WEBHOOKS = ("controller", "MutatingAdmissionWebhook")
CALLS = {name: ("webhook", f"{name}.bench.example.com") for name in ASKING}


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


class Admission:
    """What the API server counts of its mutating admission."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.before = self.now()

    def now(self):
        return {(kind, name): float(value) for kind, name, value in DURATION.findall(self.cluster.get("/metrics"))}

    def spent(self):
        """Seconds since the last time, by who took part. A pod that is changed is gone through again."""
        before, self.before = self.before, self.now()
        spent = {of: seconds - before.get(of, 0) for of, seconds in self.before.items()}
        return {of: seconds for of, seconds in spent.items() if seconds > 0}


def create(cluster, pod, count):
    """Seconds that each creation took, and whether the last pod has a mount."""
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
    return took, any("csi" in volume for volume in json.loads(created)["spec"].get("volumes", []))


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def configuration(name, webhook):
    authority = (webhook.webhooks.certificates / "ca.pem").read_bytes()
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": CALLS[name][1],
                "clientConfig": {"url": webhook.url("/wire-pods"), "caBundle": base64.b64encode(authority).decode()},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ASKING[name]}},
                "sideEffects": "None",
                "timeoutSeconds": 2,
                "failurePolicy": "Fail",
                "admissionReviewVersions": ["v1"],
            }
        ],
    }


def cases(rendered):
    """The pod of each, and whether it comes out with a mount."""
    is_it = lambda object: object["kind"] == "Deployment" and object["spec"]["template"]["metadata"]["labels"]["app"] == APP
    wired = next(object for object in rendered if is_it(object))
    unwired = without_wiring(wired)
    other = json.loads(json.dumps(unwired))
    other["spec"]["template"]["metadata"]["labels"]["app"] = "etcd"
    cases = {"none: another namespace": (pod_of(unwired, ELSEWHERE), False)}
    for door, namespace in {"policies": PLANE, f"webhook, {OURS}": ASKING[OURS], f"webhook, {THEIRS}": ASKING[THEIRS]}.items():
        cases[f"{door}: none of the table's pods"] = (pod_of(other, namespace), False)
        cases[f"{door}: a pod that is wired already"] = (pod_of(wired, namespace), True)
        cases[f"{door}: a pod that is wired by it"] = (pod_of(unwired, namespace), True)
    return cases


def install(cluster, objects):
    file = cluster.folder / "install.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    cluster.kubectl("apply", "--server-side", "-f", file)


def wait(cluster, cases):
    """Until every pod comes out as it should."""
    until = time.monotonic() + 60
    for name, (pod, is_wired) in cases.items():
        while create(cluster, pod, 1)[1] != is_wired:
            if time.monotonic() > until:
                raise SystemExit(f"{name}: wired or not, it is not as it should be")
            time.sleep(0.5)


def creation(webhooks, hcp_identity):
    rendered = render(hcp_identity, "-f", CASE)
    pods = cases(rendered)
    objects = [object for object in rendered if object["kind"] == "SecretProviderClass"]
    objects += render(hcp_identity, "--policies")
    took, spent = {name: [] for name in pods}, {name: [] for name in pods}
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(webhooks.bench / "admission-cluster"))
        for namespace in [PLANE, ELSEWHERE, *ASKING.values()]:
            cluster.kubectl("create", "namespace", namespace)
        cluster.kubectl("label", "namespace", PLANE, "hypershift.openshift.io/hosted-control-plane=true")
        for name in ASKING:
            objects.append(configuration(name, stack.enter_context(webhooks.serve(name, SCALE))))
        install(cluster, objects)
        wait(cluster, pods)
        for pod, _ in pods.values():
            create(cluster, pod, PODS)
        admission = Admission(cluster)
        for _ in range(ROUNDS):
            for name, (pod, is_wired) in pods.items():
                seconds, was_wired = create(cluster, pod, PODS)
                if was_wired != is_wired:
                    raise SystemExit(f"{name}: wired or not, it is not as it should be")
                took[name].append(seconds)
                spent[name].append(admission.spent())
    print_creation(took, spent)


def print_creation(took, spent):
    heading("Creating a pod, as kube-apiserver sees it", f"{PODS} server dry-runs, one after the other; {ROUNDS} rounds")
    rows = []
    for name, rounds in took.items():
        requests = [spread([percentile(one, share) for one in rounds], milliseconds) for share in (0.5, 0.99)]
        rows.append([name, *requests, *(each(spent[name], of) for of in ([POLICIES], [WEBHOOKS], CALLS.values()))])
    table(
        ["", "p50 of the request", "p99 of the request", "admission by policies", "admission by webhooks", "call of the webhook"],
        rows,
    )
    print()


def each(rounds, of):
    """Of whichever of these took part, for each pod; there may be none."""
    found = [spent[one] / PODS for spent in rounds for one in of if one in spent]
    return spread(found, microseconds) if found else ""


def microseconds(value):
    return f"{value * 1e6:,.0f} µs"
