"""Makes what the benchmarks read, the same bytes every time: HostedClusters, and what Helm and Kustomize need to print
the same provider classes."""

import hashlib

KEY_VAULT_USER = "2f6e0f2a-7c33-4b0a-9c27-0d3b1e5a4c11"
VAULT = "mgmt-westeurope-1"
VAULT_TENANT = "93b21e64-4824-439a-b893-46c9b2a51082"
TENANT = "64dc69e4-d083-49fc-9569-ebece1dd1408"
SUBSCRIPTION = "5f1e0f7a-2d7c-4c53-8f53-4f0e3c9a7d21"

# Field of the HostedCluster, provider class, word in the name of the secret. KMS has a place of its own.
CONTROL_PLANE = [
    ("cloudProvider", "managed-azure-cloud-provider", "cloud-provider"),
    ("nodePoolManagement", "managed-azure-nodepool-management", "nodepool-management"),
    ("controlPlaneOperator", "managed-azure-cpo", "control-plane-operator"),
    ("imageRegistry", "managed-azure-image-registry", "image-registry"),
    ("ingress", "managed-azure-ingress", "ingress"),
    ("network", "managed-azure-network", "network"),
    ("disk", "managed-azure-disk-csi", "disk"),
    ("file", "managed-azure-file-csi", "file"),
]
KMS = ("kms", "managed-azure-kms", "kms")
COMPONENTS = [*CONTROL_PLANE, KMS]


def names(count):
    """Names of HostedClusters, in no order that a sort would like."""
    stride = 7919  # a prime, so that every index comes once
    return [f"prod-{index * stride % count:05}" for index in range(count)]


def secret(cluster, component):
    """34 to 40 characters, as generated names are."""
    digest = hashlib.sha256(f"{cluster}/{component}".encode()).hexdigest()
    return f"{cluster}-{component}-{digest}"[: 34 + int(digest[0], 16) % 7]


def uuid(*of):
    digest = hashlib.sha256("/".join(of).encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"


def identity(cluster, component, indent):
    lines = [
        f"clientID: {uuid(cluster, component)}",
        f"credentialsSecretName: {secret(cluster, component)}",
        "objectEncoding: utf-8",
    ]
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def hosted_cluster(name):
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}"
    identities = "".join(
        f"            {field}:\n{identity(name, word, 14)}" for field, _, word in CONTROL_PLANE
    )
    return f"""\
apiVersion: hypershift.openshift.io/v1beta1
kind: HostedCluster
metadata:
  name: {name}
  namespace: clusters
spec:
  platform:
    type: Azure
    azure:
      cloud: AzurePublicCloud
      location: westeurope
      resourceGroup: {name}-managed
      subscriptionID: {SUBSCRIPTION}
      tenantID: {TENANT}
      vnetID: {group}-vnet/providers/Microsoft.Network/virtualNetworks/{name}
      subnetID: {group}-vnet/providers/Microsoft.Network/virtualNetworks/{name}/subnets/workers
      securityGroupID: {group}-nsg/providers/Microsoft.Network/networkSecurityGroups/{name}
      azureAuthenticationConfig:
        azureAuthenticationConfigType: ManagedIdentities
        managedIdentities:
          controlPlane:
            managedIdentitiesKeyVault:
              name: {VAULT}
              tenantID: {VAULT_TENANT}
{identities}\
          dataPlane:
            imageRegistryMSIClientID: {uuid(name, "data-plane", "image-registry")}
            diskMSIClientID: {uuid(name, "data-plane", "disk")}
            fileMSIClientID: {uuid(name, "data-plane", "file")}
  secretEncryption:
    type: kms
    kms:
      provider: Azure
      azure:
        activeKey:
          keyVaultName: {name}-kms
          keyName: etcd
          keyVersion: {uuid(name, "key").replace("-", "")}
        kms:
{identity(name, KMS[2], 10)}"""


def write_stream(path, count):
    """One document per HostedCluster."""
    with open(path, "w") as file:
        for name in names(count):
            file.write("---\n" + hosted_cluster(name))


def write_list(path, count):
    """One document: a List with all of them."""
    with open(path, "w") as file:
        file.write("apiVersion: v1\nkind: List\nitems:\n")
        for name in names(count):
            first, *rest = hosted_cluster(name).splitlines()
            file.write("\n".join([f"- {first}", *(f"  {line}" for line in rest)]) + "\n")


OBJECTS = """\
    objects: |

      array:
        - |
          objectName: %s
          objectEncoding: utf-8
          objectType: secret
"""
FIXED = f"""\
    usePodIdentity: "false"
    useVMManagedIdentity: "true"
    userAssignedIdentityID: {KEY_VAULT_USER}
"""
HEAD = "apiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\n"


def write_chart(folder, count):
    """A chart of one template that loops over the clusters of values.yaml, and over the identities of each."""
    template = f"""\
{{{{- range $cluster := .Values.clusters }}}}
{{{{- range $class, $secret := $cluster.secrets }}}}
---
{HEAD}metadata:
  annotations:
    hypershift.openshift.io/cluster: clusters/{{{{ $cluster.name }}}}
  labels:
    app.kubernetes.io/managed-by: {{{{ $.Release.Service }}}}
  name: {{{{ $class }}}}
  namespace: clusters-{{{{ $cluster.name }}}}
spec:
  provider: azure
  parameters:
    keyvaultName: {{{{ $cluster.vault }}}}
{OBJECTS % "{{ $secret }}"}\
    tenantId: {{{{ $cluster.tenant }}}}
{FIXED}\
{{{{- end }}}}
{{{{- end }}}}
"""
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: provider-classes\nversion: 0.1.0\n")
    (folder / "templates/classes.yaml").write_text(template)
    with open(folder / "values.yaml", "w") as file:
        file.write("clusters:\n")
        for name in names(count):
            file.write(f"- name: {name}\n  vault: {VAULT}\n  tenant: {VAULT_TENANT}\n  secrets:\n")
            file.writelines(f"    {kind}: {secret(name, word)}\n" for _, kind, word in COMPONENTS)


def write_kustomization(folder, count):
    """A base of nine provider classes, and for each cluster an overlay that patches them."""
    (folder / "base").mkdir(parents=True, exist_ok=True)
    kinds = [kind for _, kind, _ in COMPONENTS]
    bases = (
        f"{HEAD}metadata:\n  labels:\n    app.kubernetes.io/managed-by: kustomize\n  name: {kind}\n"
        f"spec:\n  provider: azure\n  parameters:\n    keyvaultName: {VAULT}\n    tenantId: {VAULT_TENANT}\n{FIXED}"
        for kind in kinds
    )
    (folder / "base/classes.yaml").write_text("---\n".join(bases))
    (folder / "base/kustomization.yaml").write_text("resources:\n- classes.yaml\n")
    for name in names(count):
        overlay = folder / name
        overlay.mkdir(exist_ok=True)
        patches = (
            f"{HEAD}metadata:\n  annotations:\n    hypershift.openshift.io/cluster: clusters/{name}\n  name: {kind}\n"
            f"spec:\n  parameters:\n{OBJECTS % secret(name, word)}"
            for _, kind, word in COMPONENTS
        )
        (overlay / "patches.yaml").write_text("---\n".join(patches))
        (overlay / "kustomization.yaml").write_text(
            f"namespace: clusters-{name}\nresources:\n- ../base\npatches:\n- path: patches.yaml\n"
        )
    resources = "".join(f"- {name}\n" for name in names(count))
    (folder / "kustomization.yaml").write_text(f"resources:\n{resources}")


def secrets(count):
    """The name of every secret, sorted."""
    return sorted(secret(name, word) for name in names(count) for _, _, word in COMPONENTS)


def write(folder, sizes, charts, kustomizations):
    """Writes every input, for these numbers of HostedClusters."""
    folder.mkdir(parents=True, exist_ok=True)
    for count in sizes:
        write_stream(folder / f"stream-{count}.yaml", count)
        write_list(folder / f"list-{count}.yaml", count)
    for count in charts:
        write_chart(folder / f"chart-{count}", count)
    for count in kustomizations:
        write_kustomization(folder / f"kustomization-{count}", count)
