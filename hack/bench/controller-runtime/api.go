package main

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The three kinds that are no Kubernetes kinds, with the fields that this program uses. Everything else of an object is
// dropped when it is decoded, which is the cheapest cache that typed objects give.

type HostedCluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              HostedClusterSpec `json:"spec"`
}

// HostedClusterSpec has no pointers, maps or slices: an assignment is a deep copy.
type HostedClusterSpec struct {
	Platform struct {
		Type  string `json:"type"`
		Azure struct {
			AzureAuthenticationConfig struct {
				ManagedIdentities struct {
					ControlPlane ControlPlaneIdentities `json:"controlPlane"`
				} `json:"managedIdentities"`
			} `json:"azureAuthenticationConfig"`
		} `json:"azure"`
	} `json:"platform"`
	SecretEncryption struct {
		Type string `json:"type"`
		KMS  struct {
			Azure struct {
				KMS ManagedIdentity `json:"kms"`
			} `json:"azure"`
		} `json:"kms"`
	} `json:"secretEncryption"`
}

type ControlPlaneIdentities struct {
	KeyVault struct {
		Name     string `json:"name"`
		TenantID string `json:"tenantID"`
	} `json:"managedIdentitiesKeyVault"`
	CloudProvider        ManagedIdentity `json:"cloudProvider"`
	NodePoolManagement   ManagedIdentity `json:"nodePoolManagement"`
	ControlPlaneOperator ManagedIdentity `json:"controlPlaneOperator"`
	ImageRegistry        ManagedIdentity `json:"imageRegistry"`
	Ingress              ManagedIdentity `json:"ingress"`
	Network              ManagedIdentity `json:"network"`
	Disk                 ManagedIdentity `json:"disk"`
	File                 ManagedIdentity `json:"file"`
}

type ManagedIdentity struct {
	ClientID              string `json:"clientID"`
	CredentialsSecretName string `json:"credentialsSecretName"`
	ObjectEncoding        string `json:"objectEncoding"`
}

type HostedClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []HostedCluster `json:"items"`
}

type SecretProviderClass struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              SecretProviderClassSpec `json:"spec"`
}

type SecretProviderClassSpec struct {
	Provider   string            `json:"provider"`
	Parameters map[string]string `json:"parameters"`
}

type SecretProviderClassList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []SecretProviderClass `json:"items"`
}

type ControlPlaneIdentity struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              ControlPlaneIdentitySpec   `json:"spec"`
	Status            ControlPlaneIdentityStatus `json:"status,omitzero"`
}

type ControlPlaneIdentitySpec struct {
	HostedClusterName string `json:"hostedClusterName"`
}

type ControlPlaneIdentityStatus struct {
	HostedClusterGeneration int64              `json:"hostedClusterGeneration"`
	ControlPlaneNamespace   string             `json:"controlPlaneNamespace"`
	Wired                   string             `json:"wired"`
	Mounted                 string             `json:"mounted"`
	Conditions              []metav1.Condition `json:"conditions,omitempty"`
	Components              []ComponentStatus  `json:"components,omitempty"`
}

type ComponentStatus struct {
	ID            string `json:"id"`
	ProviderClass string `json:"providerClass"`
	SecretName    string `json:"secretName"`
	ClientID      string `json:"clientID,omitempty"`
	Reason        string `json:"reason"`
	Message       string `json:"message,omitempty"`
	Wired         bool   `json:"wired"`
	Pods          int32  `json:"pods"`
	MountedPods   int32  `json:"mountedPods"`
}

type ControlPlaneIdentityList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ControlPlaneIdentity `json:"items"`
}

func (in *HostedCluster) DeepCopyObject() runtime.Object {
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	return &out
}

func (in *SecretProviderClass) DeepCopyObject() runtime.Object {
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Spec.Parameters = make(map[string]string, len(in.Spec.Parameters))
	for name, value := range in.Spec.Parameters {
		out.Spec.Parameters[name] = value
	}
	return &out
}

func (in *ControlPlaneIdentity) DeepCopyObject() runtime.Object {
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Status.Conditions = append([]metav1.Condition(nil), in.Status.Conditions...)
	out.Status.Components = append([]ComponentStatus(nil), in.Status.Components...)
	return &out
}

func (in *HostedClusterList) DeepCopyObject() runtime.Object {
	out := *in
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	out.Items = copied(in.Items, (*HostedCluster).DeepCopyObject)
	return &out
}

func (in *SecretProviderClassList) DeepCopyObject() runtime.Object {
	out := *in
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	out.Items = copied(in.Items, (*SecretProviderClass).DeepCopyObject)
	return &out
}

func (in *ControlPlaneIdentityList) DeepCopyObject() runtime.Object {
	out := *in
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	out.Items = copied(in.Items, (*ControlPlaneIdentity).DeepCopyObject)
	return &out
}

func copied[T any](items []T, deepCopy func(*T) runtime.Object) []T {
	out := make([]T, len(items))
	for i := range items {
		out[i] = *any(deepCopy(&items[i])).(*T)
	}
	return out
}

var (
	hypershift = schema.GroupVersion{Group: "hypershift.openshift.io", Version: "v1beta1"}
	csi        = schema.GroupVersion{Group: "secrets-store.csi.x-k8s.io", Version: "v1"}
	own        = schema.GroupVersion{Group: "hcpidentity.dev", Version: "v1alpha1"}
)

func register(scheme *runtime.Scheme) {
	scheme.AddKnownTypes(hypershift, &HostedCluster{}, &HostedClusterList{})
	scheme.AddKnownTypes(csi, &SecretProviderClass{}, &SecretProviderClassList{})
	scheme.AddKnownTypes(own, &ControlPlaneIdentity{}, &ControlPlaneIdentityList{})
	for _, version := range []schema.GroupVersion{hypershift, csi, own} {
		metav1.AddToGroupVersion(scheme, version)
	}
}
