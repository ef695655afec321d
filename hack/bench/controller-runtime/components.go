package main

// component is one of the nine identities: whose class it is, and which pods get what of it.
type component struct {
	id       string
	class    string
	identity func(*HostedCluster) ManagedIdentity
	pods     []pod
}

type pod struct {
	app        string
	containers []string // The first has to be there.
	volume     string
	path       string
	env        []env
}

type env struct {
	name  string
	value func(class, secret string) string
}

func ofControlPlane(identity func(*ControlPlaneIdentities) ManagedIdentity) func(*HostedCluster) ManagedIdentity {
	return func(cluster *HostedCluster) ManagedIdentity {
		azure := &cluster.Spec.Platform.Azure
		return identity(&azure.AzureAuthenticationConfig.ManagedIdentities.ControlPlane)
	}
}

func classOf(class, _ string) string { return class }

func secretOf(_, secret string) string { return secret }

func in(folder string) func(class, secret string) string {
	return func(_, secret string) string { return folder + "/" + secret }
}

var components = []component{
	{
		id: "cloud-provider", class: "managed-azure-cloud-provider",
		identity: ofControlPlane(func(c *ControlPlaneIdentities) ManagedIdentity { return c.CloudProvider }),
		pods: []pod{{
			app: "cloud-controller-manager", containers: []string{"cloud-controller-manager"},
			volume: "cloud-provider-cert", path: "/mnt/certs",
		}},
	},
	{
		id: "cpo", class: "managed-azure-cpo",
		identity: ofControlPlane(func(c *ControlPlaneIdentities) ManagedIdentity { return c.ControlPlaneOperator }),
		pods: []pod{{
			app: "control-plane-operator", containers: []string{"control-plane-operator"},
			volume: "cpo-cert", path: "/mnt/certs",
		}},
	},
	{
		id: "nodepool", class: "managed-azure-nodepool-management",
		identity: ofControlPlane(func(c *ControlPlaneIdentities) ManagedIdentity { return c.NodePoolManagement }),
		pods: []pod{{
			app: "capi-provider-controller-manager", containers: []string{"manager"},
			volume: "nodepool-management-cert", path: "/mnt/certs",
		}},
	},
	{
		id: "ingress", class: "managed-azure-ingress",
		identity: ofControlPlane(func(c *ControlPlaneIdentities) ManagedIdentity { return c.Ingress }),
		pods: []pod{{
			app: "ingress-operator", containers: []string{"ingress-operator"},
			volume: "ingress-cert", path: "/mnt/certs",
			env: []env{{"MANAGED_AZURE_HCP_CREDENTIALS_FILE_PATH", in("/mnt/certs")}},
		}},
	},
	{
		id: "network", class: "managed-azure-network",
		identity: ofControlPlane(func(c *ControlPlaneIdentities) ManagedIdentity { return c.Network }),
		pods: []pod{
			{
				app: "cloud-network-config-controller", containers: []string{"controller"},
				volume: "cncc-cert", path: "/var/run/secrets/azure",
				env: []env{{"ARO_HCP_CLIENT_CREDENTIALS_PATH", in("/var/run/secrets/azure")}},
			},
			{
				app: "cluster-network-operator", containers: []string{"cluster-network-operator"},
				env: []env{
					{"ARO_HCP_SECRET_PROVIDER_CLASS", classOf},
					{"MANAGED_AZURE_HCP_CREDENTIALS_FILE_PATH", secretOf},
				},
			},
		},
	},
	{
		id: "disk", class: "managed-azure-disk-csi",
		identity: ofControlPlane(func(c *ControlPlaneIdentities) ManagedIdentity { return c.Disk }),
		pods: []pod{
			{
				app: "azure-disk-csi-driver-controller", containers: []string{"csi-driver"},
				volume: "azure-disk", path: "/mnt/certs",
			},
			{
				app: "cluster-storage-operator", containers: []string{"cluster-storage-operator"},
				env: []env{{"ARO_HCP_SECRET_PROVIDER_CLASS_FOR_DISK", classOf}},
			},
		},
	},
	{
		id: "file", class: "managed-azure-file-csi",
		identity: ofControlPlane(func(c *ControlPlaneIdentities) ManagedIdentity { return c.File }),
		pods: []pod{
			{
				app: "azure-file-csi-driver-controller", containers: []string{"csi-driver"},
				volume: "azure-file", path: "/mnt/certs",
			},
			{
				app: "cluster-storage-operator", containers: []string{"cluster-storage-operator"},
				env: []env{{"ARO_HCP_SECRET_PROVIDER_CLASS_FOR_FILE", classOf}},
			},
		},
	},
	{
		id: "registry", class: "managed-azure-image-registry",
		identity: ofControlPlane(func(c *ControlPlaneIdentities) ManagedIdentity { return c.ImageRegistry }),
		pods: []pod{{
			app: "cluster-image-registry-operator", containers: []string{"cluster-image-registry-operator"},
			volume: "image-registry-cert", path: "/mnt/certs",
			env: []env{{"MANAGED_AZURE_HCP_CREDENTIALS_FILE_PATH", in("/mnt/certs")}},
		}},
	},
	{
		id: "kms", class: "managed-azure-kms",
		identity: func(cluster *HostedCluster) ManagedIdentity { return cluster.Spec.SecretEncryption.KMS.Azure.KMS },
		pods: []pod{
			{
				app: "kube-apiserver", containers: []string{"azure-kms-provider-active", "azure-kms-provider-backup"},
				volume: "kms-cert", path: "/mnt/certs",
			},
			{
				app: "control-plane-operator", containers: []string{"control-plane-operator"},
				volume: "kms-cert", path: "/mnt/kms",
			},
		},
	},
}

// apps are the pods that get anything, by their label.
var apps = func() map[string]bool {
	apps := map[string]bool{}
	for _, component := range components {
		for _, pod := range component.pods {
			apps[pod.app] = true
		}
	}
	return apps
}()
