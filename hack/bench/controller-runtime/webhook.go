package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// serve is the job of hcp-identity's webhook as a plain controller-runtime program, with the HostedClusters of a file.
func serve(port int, certificates, hostedClusters string) error {
	clusters, err := readHostedClusters(hostedClusters)
	if err != nil {
		return err
	}
	server := webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: port, CertDir: certificates})
	wirer := &wirer{decoder: admission.NewDecoder(clientgoscheme.Scheme), clusters: clusters}
	times := &times{}
	server.Register("/wire-pods", times.of(&admission.Webhook{Handler: wirer}))
	server.WebhookMux().HandleFunc("/times", times.tell)
	return server.Start(ctrl.SetupSignalHandler())
}

// readHostedClusters gives them by their control plane namespaces.
func readHostedClusters(path string) (map[string]*HostedCluster, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	clusters := map[string]*HostedCluster{}
	for documents := yaml.NewYAMLOrJSONDecoder(file, 1<<16); ; {
		var cluster HostedCluster
		switch err := documents.Decode(&cluster); {
		case errors.Is(err, io.EOF):
			return clusters, nil
		case err != nil:
			return nil, err
		}
		clusters[controlPlaneNamespace(&cluster)] = &cluster
	}
}

type wirer struct {
	decoder  admission.Decoder
	clusters map[string]*HostedCluster
}

func (w *wirer) Handle(_ context.Context, request admission.Request) admission.Response {
	cluster := w.clusters[request.Namespace]
	if cluster == nil {
		return admission.Allowed("")
	}
	var pod corev1.Pod
	if err := w.decoder.Decode(request, &pod); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	if !wirePod(cluster, &pod) {
		return admission.Allowed("")
	}
	wired, err := json.Marshal(&pod)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(request.Object.Raw, wired)
}

// wirePod adds what is missing, and tells whether anything was.
func wirePod(cluster *HostedCluster, target *corev1.Pod) bool {
	changed := false
	app := target.Labels["app"]
	if !apps[app] {
		return false
	}
	for i := range components {
		component := &components[i]
		secret := component.identity(cluster).CredentialsSecretName
		if secret == "" {
			continue
		}
		for j := range component.pods {
			row := &component.pods[j]
			if row.app != app || row.volume == "" || containerOf(target, row.containers[0]) == nil {
				continue
			}
			changed = addVolume(target, row.volume, component.class) || changed
			for _, name := range row.containers {
				if container := containerOf(target, name); container != nil {
					changed = addToContainer(container, row, component.class, secret) || changed
				}
			}
		}
	}
	return changed
}

func containerOf(pod *corev1.Pod, name string) *corev1.Container {
	at := slices.IndexFunc(pod.Spec.Containers, func(container corev1.Container) bool { return container.Name == name })
	if at < 0 {
		return nil
	}
	return &pod.Spec.Containers[at]
}

func addVolume(pod *corev1.Pod, name, class string) bool {
	if slices.ContainsFunc(pod.Spec.Volumes, func(volume corev1.Volume) bool { return volume.Name == name }) {
		return false
	}
	readOnly := true
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{
		Name: name,
		VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{
			Driver: "secrets-store.csi.k8s.io", ReadOnly: &readOnly,
			VolumeAttributes: map[string]string{"secretProviderClass": class},
		}},
	})
	return true
}

func addToContainer(container *corev1.Container, row *pod, class, secret string) bool {
	changed := false
	mounted := func(mount corev1.VolumeMount) bool { return mount.MountPath == row.path }
	if !slices.ContainsFunc(container.VolumeMounts, mounted) {
		mount := corev1.VolumeMount{Name: row.volume, MountPath: row.path, ReadOnly: true}
		container.VolumeMounts = append(container.VolumeMounts, mount)
		changed = true
	}
	for _, env := range row.env {
		if !slices.ContainsFunc(container.Env, func(have corev1.EnvVar) bool { return have.Name == env.name }) {
			container.Env = append(container.Env, corev1.EnvVar{Name: env.name, Value: env.value(class, secret)})
			changed = true
		}
	}
	return changed
}

// times are how long the handler took, in nanoseconds, until they are asked for.
type times struct {
	mutex sync.Mutex
	taken []int64
}

const kept = 1 << 16

func (t *times) of(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		start := time.Now()
		handler.ServeHTTP(writer, request)
		took := time.Since(start).Nanoseconds()
		t.mutex.Lock()
		defer t.mutex.Unlock()
		if len(t.taken) < kept {
			t.taken = append(t.taken, took)
		}
	})
}

func (t *times) tell(writer http.ResponseWriter, _ *http.Request) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if err := json.NewEncoder(writer).Encode(t.taken); err != nil {
		ctrl.Log.Error(err, "cannot tell times")
	}
	t.taken = nil
}
