// The daemon's job as a plain controller-runtime program: what hcp-identity is compared with.
//
// It converges the same objects to the same content and writes nothing that is equal already. It has none of the daemon's
// care for other writers, for pods and for credentials.
package main

import (
	"context"
	"flag"
	"os"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const byControlPlaneNamespace = "controlPlaneNamespace"

func main() {
	keyVaultUser := flag.String("key-vault-user-client-id", "", "client id of whoever reads the vault")
	workers := flag.Int("workers", 1, "HostedClusters that are reconciled at once")
	webhookPort := flag.Int("webhook", 0, "port of a webhook that wires pods; it does nothing else then")
	certificates := flag.String("certificates", "", "folder with the webhook's tls.crt and tls.key")
	hostedClusters := flag.String("hosted-clusters", "", "file with the HostedClusters that the webhook knows")
	flag.Parse()
	ctrl.SetLogger(zap.New())
	job := func() error { return run(*keyVaultUser, *workers) }
	if *webhookPort != 0 {
		job = func() error { return serve(*webhookPort, *certificates, *hostedClusters) }
	}
	if err := job(); err != nil {
		ctrl.Log.Error(err, "ended")
		os.Exit(1)
	}
}

func run(keyVaultUser string, workers int) error {
	scheme := clientgoscheme.Scheme
	register(scheme)
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	// No limit on this side: the API server is the one that is measured against.
	config.QPS = -1
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       server.Options{BindAddress: "127.0.0.1:0"},
		LeaderElection:                true,
		LeaderElectionID:              "bench-controller-runtime",
		LeaderElectionNamespace:       "default",
		LeaderElectionReleaseOnCancel: true,
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			ByObject:         map[client.Object]cache.ByObject{&appsv1.Deployment{}: {Transform: trim}},
		},
	})
	if err != nil {
		return err
	}
	ctx := ctrl.SetupSignalHandler()
	index := func(object client.Object) []string { return []string{controlPlaneNamespace(object)} }
	err = manager.GetFieldIndexer().IndexField(ctx, &HostedCluster{}, byControlPlaneNamespace, index)
	if err != nil {
		return err
	}
	reconciler := &Reconciler{client: manager.GetClient(), keyVaultUser: keyVaultUser}
	carriesIdentity := predicate.NewPredicateFuncs(func(object client.Object) bool {
		return apps[object.(*appsv1.Deployment).Spec.Template.Labels["app"]]
	})
	err = ctrl.NewControllerManagedBy(manager).
		For(&HostedCluster{}).
		Owns(&ControlPlaneIdentity{}).
		Watches(&SecretProviderClass{}, handler.EnqueueRequestsFromMapFunc(reconciler.hostedCluster)).
		Watches(&appsv1.Deployment{}, handler.EnqueueRequestsFromMapFunc(reconciler.hostedCluster), builder.WithPredicates(carriesIdentity)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(reconciler)
	if err != nil {
		return err
	}
	return manager.Start(ctx)
}

// trim keeps of a Deployment what wiring looks at: of 60 in a control plane namespace 49 are nobody's here.
func trim(object any) (any, error) {
	deployment, ok := object.(*appsv1.Deployment)
	if !ok {
		return object, nil
	}
	deployment.ManagedFields = nil
	deployment.Annotations = nil
	deployment.Status = appsv1.DeploymentStatus{}
	spec := &deployment.Spec.Template.Spec
	kept := corev1.PodSpec{}
	if apps[deployment.Spec.Template.Labels["app"]] {
		for _, container := range spec.Containers {
			kept.Containers = append(kept.Containers, corev1.Container{
				Name: container.Name, Env: container.Env, VolumeMounts: container.VolumeMounts,
			})
		}
		for _, volume := range spec.Volumes {
			if volume.CSI != nil {
				kept.Volumes = append(kept.Volumes, volume)
			}
		}
	}
	deployment.Spec.Template.Spec = kept
	return deployment, nil
}

// hostedCluster finds whose the namespace of an object is.
func (r *Reconciler) hostedCluster(ctx context.Context, object client.Object) []reconcile.Request {
	var clusters HostedClusterList
	if err := r.client.List(ctx, &clusters, client.MatchingFields{byControlPlaneNamespace: object.GetNamespace()}); err != nil {
		ctrl.Log.Error(err, "cannot list HostedClusters")
		return nil
	}
	var requests []reconcile.Request
	for i := range clusters.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&clusters.Items[i])})
	}
	return requests
}

func controlPlaneNamespace(cluster client.Object) string {
	return cluster.GetNamespace() + "-" + strings.ReplaceAll(cluster.GetName(), ".", "-")
}
