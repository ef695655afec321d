package main

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	appsac "k8s.io/client-go/applyconfigurations/apps/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const manager = client.FieldOwner("bench-controller-runtime")

type Reconciler struct {
	client       client.Client
	keyVaultUser string
}

func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var cluster HostedCluster
	if err := r.client.Get(ctx, request.NamespacedName, &cluster); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !cluster.DeletionTimestamp.IsZero() || cluster.Spec.Platform.Type != "Azure" {
		return ctrl.Result{}, nil
	}
	if err := r.applyClasses(ctx, &cluster); err != nil {
		return ctrl.Result{}, err
	}
	wired, err := r.wireDeployments(ctx, &cluster)
	if err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, r.report(ctx, &cluster, wired)
}

func (r *Reconciler) applyClasses(ctx context.Context, cluster *HostedCluster) error {
	namespace := controlPlaneNamespace(cluster)
	var there SecretProviderClassList
	if err := r.client.List(ctx, &there, client.InNamespace(namespace)); err != nil {
		return err
	}
	specs := map[string]SecretProviderClassSpec{}
	for _, class := range there.Items {
		specs[class.Name] = class.Spec
	}
	for _, component := range named(cluster) {
		wanted := r.class(cluster, &component)
		if have := specs[component.class]; have.Provider == wanted.Provider && maps.Equal(have.Parameters, wanted.Parameters) {
			continue
		}
		class := &SecretProviderClass{
			TypeMeta: metav1.TypeMeta{APIVersion: csi.String(), Kind: "SecretProviderClass"},
			ObjectMeta: metav1.ObjectMeta{
				Name: component.class, Namespace: namespace,
				Annotations: map[string]string{"hypershift.openshift.io/cluster": cluster.Namespace + "/" + cluster.Name},
				Labels:      map[string]string{"app.kubernetes.io/managed-by": "hcp-identity"},
			},
			Spec: wanted,
		}
		applied, err := applyConfiguration(class)
		if err != nil {
			return err
		}
		if err := r.client.Apply(ctx, applied, manager); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reconciler) class(cluster *HostedCluster, component *component) SecretProviderClassSpec {
	identity := component.identity(cluster)
	vault := cluster.Spec.Platform.Azure.AzureAuthenticationConfig.ManagedIdentities.ControlPlane.KeyVault
	return SecretProviderClassSpec{
		Provider: "azure",
		Parameters: map[string]string{
			"keyvaultName":           vault.Name,
			"tenantId":               vault.TenantID,
			"usePodIdentity":         "false",
			"useVMManagedIdentity":   "true",
			"userAssignedIdentityID": r.keyVaultUser,
			"objects": fmt.Sprintf(
				"\narray:\n  - |\n    objectName: %s\n    objectEncoding: %s\n    objectType: secret\n",
				identity.CredentialsSecretName, identity.ObjectEncoding,
			),
		},
	}
}

// wireDeployments gives the components that are wired once it has written.
func (r *Reconciler) wireDeployments(ctx context.Context, cluster *HostedCluster) (map[string]bool, error) {
	var deployments appsv1.DeploymentList
	if err := r.client.List(ctx, &deployments, client.InNamespace(controlPlaneNamespace(cluster))); err != nil {
		return nil, err
	}
	wired := map[string]bool{}
	for i := range deployments.Items {
		deployment := &deployments.Items[i]
		if !apps[deployment.Spec.Template.Labels["app"]] {
			continue
		}
		wanted, components := wiring(cluster, deployment)
		if !hasWiring(deployment, wanted) {
			applied := appsac.Deployment(deployment.Name, deployment.Namespace).
				WithSpec(appsac.DeploymentSpec().WithTemplate(coreac.PodTemplateSpec().WithSpec(wanted)))
			if err := r.client.Apply(ctx, applied, manager); err != nil {
				return nil, err
			}
		}
		for _, id := range components {
			wired[id] = true
		}
	}
	return wired, nil
}

// wiring is what a Deployment's pods get, and for which components.
func wiring(cluster *HostedCluster, deployment *appsv1.Deployment) (*coreac.PodSpecApplyConfiguration, []string) {
	spec := coreac.PodSpec()
	containers := map[string]*coreac.ContainerApplyConfiguration{}
	var ids []string
	for _, component := range named(cluster) {
		secret := component.identity(cluster).CredentialsSecretName
		for _, pod := range component.pods {
			if pod.app != deployment.Spec.Template.Labels["app"] || !hasContainer(deployment, pod.containers[0]) {
				continue
			}
			if pod.volume != "" {
				csi := coreac.CSIVolumeSource().WithDriver("secrets-store.csi.k8s.io").WithReadOnly(true).
					WithVolumeAttributes(map[string]string{"secretProviderClass": component.class})
				spec.WithVolumes(coreac.Volume().WithName(pod.volume).WithCSI(csi))
			}
			for _, name := range pod.containers {
				if !hasContainer(deployment, name) {
					continue
				}
				if containers[name] == nil {
					containers[name] = coreac.Container().WithName(name)
				}
				if pod.volume != "" {
					mount := coreac.VolumeMount().WithName(pod.volume).WithMountPath(pod.path).WithReadOnly(true)
					containers[name].WithVolumeMounts(mount)
				}
				for _, env := range pod.env {
					containers[name].WithEnv(coreac.EnvVar().WithName(env.name).WithValue(env.value(component.class, secret)))
				}
			}
			ids = append(ids, component.id)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(containers)) {
		spec.WithContainers(containers[name])
	}
	return spec, ids
}

func hasContainer(deployment *appsv1.Deployment, name string) bool {
	return container(deployment, name) != nil
}

func container(deployment *appsv1.Deployment, name string) *corev1.Container {
	containers := deployment.Spec.Template.Spec.Containers
	at := slices.IndexFunc(containers, func(container corev1.Container) bool { return container.Name == name })
	if at < 0 {
		return nil
	}
	return &containers[at]
}

func hasWiring(deployment *appsv1.Deployment, wanted *coreac.PodSpecApplyConfiguration) bool {
	for _, volume := range wanted.Volumes {
		has := func(have corev1.Volume) bool {
			return have.Name == *volume.Name && have.CSI != nil && have.CSI.Driver == *volume.CSI.Driver &&
				maps.Equal(have.CSI.VolumeAttributes, volume.CSI.VolumeAttributes)
		}
		if !slices.ContainsFunc(deployment.Spec.Template.Spec.Volumes, has) {
			return false
		}
	}
	for _, wanted := range wanted.Containers {
		container := container(deployment, *wanted.Name)
		for _, mount := range wanted.VolumeMounts {
			has := func(have corev1.VolumeMount) bool {
				return have.Name == *mount.Name && have.MountPath == *mount.MountPath && have.ReadOnly
			}
			if !slices.ContainsFunc(container.VolumeMounts, has) {
				return false
			}
		}
		for _, env := range wanted.Env {
			has := func(have corev1.EnvVar) bool { return have.Name == *env.Name && have.Value == *env.Value }
			if !slices.ContainsFunc(container.Env, has) {
				return false
			}
		}
	}
	return true
}

func (r *Reconciler) report(ctx context.Context, cluster *HostedCluster, wired map[string]bool) error {
	var there ControlPlaneIdentity
	err := r.client.Get(ctx, client.ObjectKeyFromObject(cluster), &there)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	object := ControlPlaneIdentity{
		TypeMeta: metav1.TypeMeta{APIVersion: own.String(), Kind: "ControlPlaneIdentity"},
		ObjectMeta: metav1.ObjectMeta{
			Name: cluster.Name, Namespace: cluster.Namespace,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(cluster, hypershift.WithKind("HostedCluster"))},
		},
		Spec: ControlPlaneIdentitySpec{HostedClusterName: cluster.Name},
	}
	if err != nil {
		applied, err := applyConfiguration(&object)
		if err != nil {
			return err
		}
		if err := r.client.Apply(ctx, applied, manager); err != nil {
			return err
		}
	}
	status := statusOf(cluster, wired, there.Status.Conditions)
	if reflect.DeepEqual(status, there.Status) {
		return nil
	}
	object.OwnerReferences = nil
	object.Status = status
	applied, err := applyConfiguration(&object)
	if err != nil {
		return err
	}
	return r.client.Status().Apply(ctx, applied, manager)
}

func statusOf(cluster *HostedCluster, wired map[string]bool, before []metav1.Condition) ControlPlaneIdentityStatus {
	named := named(cluster)
	status := ControlPlaneIdentityStatus{
		HostedClusterGeneration: cluster.Generation,
		ControlPlaneNamespace:   controlPlaneNamespace(cluster),
		Wired:                   fmt.Sprintf("%d/%d", len(wired), len(named)),
		Mounted:                 fmt.Sprintf("0/%d", len(named)),
		Conditions:              slices.Clone(before),
	}
	condition := metav1.Condition{
		Type: "Wired", Status: metav1.ConditionTrue, Reason: "Ready", Message: status.Wired,
		ObservedGeneration: cluster.Generation,
		LastTransitionTime: metav1.NewTime(time.Now().Truncate(time.Second)),
	}
	if len(wired) < len(named) {
		condition.Status, condition.Reason = metav1.ConditionFalse, "WaitingForWorkload"
	}
	meta.SetStatusCondition(&status.Conditions, condition)
	for _, component := range named {
		identity := component.identity(cluster)
		reason := "NotMounted"
		if !wired[component.id] {
			reason = "WaitingForWorkload"
		}
		status.Components = append(status.Components, ComponentStatus{
			ID: component.id, ProviderClass: component.class, SecretName: identity.CredentialsSecretName,
			ClientID: identity.ClientID, Reason: reason, Wired: wired[component.id],
		})
	}
	return status
}

// named are the components of which the HostedCluster names the identity.
func named(cluster *HostedCluster) []component {
	var named []component
	for _, component := range components {
		if component.identity(cluster).CredentialsSecretName != "" {
			named = append(named, component)
		}
	}
	return named
}

func applyConfiguration(object client.Object) (runtime.ApplyConfiguration, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, err
	}
	unstructured.RemoveNestedField(fields, "metadata", "creationTimestamp")
	return client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: fields}), nil
}
