// Command workload-identity says what the webhook of Azure/azure-workload-identity makes of a pod. Each line of stdin is
// {"cloud": …, "tenant": …, "audience": …, "namespace": …, "pod": {…}, "serviceAccount": {…} or null, "ours": {…} or null},
// each line of stdout {"theirs": {…}, "ours": {…}} or {"denied": {"code": …, "message": …}, "ours": {…}}: both pods as
// Kubernetes' types write them, without what such a type has no field for.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/Azure/azure-workload-identity/pkg/webhook"
	jsonpatch "github.com/evanphx/json-patch/v5"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

type question struct {
	Cloud          string                 `json:"cloud"`
	Tenant         string                 `json:"tenant"`
	Audience       string                 `json:"audience"`
	Namespace      string                 `json:"namespace"`
	Pod            json.RawMessage        `json:"pod"`
	ServiceAccount *corev1.ServiceAccount `json:"serviceAccount"`
	Ours           *corev1.Pod            `json:"ours"`
}

type denial struct {
	Code    int32  `json:"code"`
	Message string `json:"message"`
}

type answer struct {
	Theirs *corev1.Pod `json:"theirs,omitempty"`
	Denied *denial     `json:"denied,omitempty"`
	Ours   *corev1.Pod `json:"ours,omitempty"`
}

func main() {
	if err := answerAll(os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func answerAll(in io.Reader, out io.Writer) error {
	questions := json.NewDecoder(bufio.NewReader(in))
	buffered := bufio.NewWriter(out)
	answers := json.NewEncoder(buffered)
	for {
		var asked question
		switch err := questions.Decode(&asked); {
		case errors.Is(err, io.EOF):
			return buffered.Flush()
		case err != nil:
			return err
		}
		answered, err := asked.answer()
		if err != nil {
			return err
		}
		if err := answers.Encode(answered); err != nil {
			return err
		}
	}
}

func (asked question) answer() (answer, error) {
	handler, err := asked.handler()
	if err != nil {
		return answer{}, err
	}
	request := admissionv1.AdmissionRequest{
		Operation: admissionv1.Create,
		Namespace: asked.Namespace,
		Object:    runtime.RawExtension{Raw: asked.Pod},
	}
	response := handler.Handle(context.Background(), admission.Request{AdmissionRequest: request})
	if !response.Allowed {
		return answer{Denied: &denial{response.Result.Code, response.Result.Message}, Ours: asked.Ours}, nil
	}
	mutated, err := apply(response, asked.Pod)
	return answer{Theirs: mutated, Ours: asked.Ours}, err
}

// handler is the webhook as its manifests configure it: by environment and flags.
func (asked question) handler() (admission.Handler, error) {
	if err := errors.Join(os.Setenv("AZURE_ENVIRONMENT", asked.Cloud), os.Setenv("AZURE_TENANT_ID", asked.Tenant)); err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	accounts := accounts{found: asked.ServiceAccount}
	config := &rest.Config{Host: "http://api.example", Transport: version{}}
	return webhook.NewPodMutator(accounts, accounts, asked.Audience, scheme, config, "", "")
}

func apply(response admission.Response, raw []byte) (*corev1.Pod, error) {
	operations, err := json.Marshal(response.Patches)
	if err != nil {
		return nil, err
	}
	patch, err := jsonpatch.DecodePatch(operations)
	if err != nil {
		return nil, err
	}
	patched, err := patch.Apply(raw)
	if err != nil {
		return nil, err
	}
	pod := &corev1.Pod{}
	return pod, json.Unmarshal(patched, pod)
}

// accounts is a cluster with one ServiceAccount, or none.
type accounts struct {
	client.Client
	found *corev1.ServiceAccount
}

func (accounts accounts) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	account, expected := object.(*corev1.ServiceAccount)
	if !expected {
		return fmt.Errorf("the webhook asks for a %T", object)
	}
	if accounts.found == nil || accounts.found.Name != key.Name {
		return apierrors.NewNotFound(corev1.Resource("serviceaccounts"), key.Name)
	}
	accounts.found.DeepCopyInto(account)
	return nil
}

// version is an API server that only knows its version: all that the webhook asks of it when it starts.
type version struct{}

func (version) RoundTrip(request *http.Request) (*http.Response, error) {
	header := http.Header{"Content-Type": {"application/json"}}
	body := io.NopCloser(strings.NewReader(`{"major": "1", "minor": "33", "gitVersion": "v1.33.0"}`))
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: body, Request: request}, nil
}
