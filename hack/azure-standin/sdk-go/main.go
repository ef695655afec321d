// Command sdk-go does with Azure's own SDK for Go what it is told on stdin, and tells on stdout what came of it.
//
// It is a client like any other: it knows nothing of the stand-in, which it finds by the proxy of its environment.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

type task struct {
	Credential  string            `json:"credential"`
	Tenant      string            `json:"tenant"`
	Client      string            `json:"client"`
	File        string            `json:"file"`
	Environment map[string]string `json:"environment"`
	Vault       string            `json:"vault"`
	Secret      string            `json:"secret"`
}

type result struct {
	Value  string `json:"value,omitempty"`
	Listed int    `json:"listed,omitempty"`
	Error  string `json:"error,omitempty"`
}

func main() {
	var tasks []task
	if err := json.NewDecoder(os.Stdin).Decode(&tasks); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	results := make([]result, 0, len(tasks))
	for _, task := range tasks {
		results = append(results, task.run())
	}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func (t task) run() result {
	for name, value := range t.Environment {
		os.Setenv(name, value)
		defer os.Unsetenv(name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	value, listed, err := t.perform(ctx)
	if err != nil {
		return result{Error: err.Error()}
	}
	return result{Value: value, Listed: listed}
}

func (t task) perform(ctx context.Context) (string, int, error) {
	options := policy.ClientOptions{Retry: policy.RetryOptions{MaxRetries: 2, RetryDelay: 10 * time.Millisecond}}
	credential, err := t.credential(options)
	if err != nil {
		return "", 0, err
	}
	client, err := azsecrets.NewClient(t.Vault, credential, &azsecrets.ClientOptions{ClientOptions: options})
	if err != nil {
		return "", 0, err
	}
	if t.Secret != "" {
		secret, err := client.GetSecret(ctx, t.Secret, "", nil)
		if err != nil {
			return "", 0, err
		}
		return *secret.Value, 0, nil
	}
	listed := 0
	for pager := client.NewListSecretPropertiesPager(nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return "", 0, err
		}
		listed += len(page.Value)
	}
	return "", listed, nil
}

func (t task) credential(options policy.ClientOptions) (azcore.TokenCredential, error) {
	switch t.Credential {
	case "certificate", "chain":
		data, err := os.ReadFile(t.File)
		if err != nil {
			return nil, err
		}
		certificates, key, err := azidentity.ParseCertificates(data, nil)
		if err != nil {
			return nil, err
		}
		return azidentity.NewClientCertificateCredential(t.Tenant, t.Client, certificates, key,
			&azidentity.ClientCertificateCredentialOptions{
				ClientOptions: options, SendCertificateChain: t.Credential == "chain",
			})
	case "workload":
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: options, ClientID: t.Client, TenantID: t.Tenant, TokenFilePath: t.File,
		})
	case "managed":
		return azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{
			ClientOptions: options, ID: azidentity.ClientID(t.Client),
		})
	}
	return nil, fmt.Errorf("no credential %q", t.Credential)
}
