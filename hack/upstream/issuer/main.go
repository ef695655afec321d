// Command issuer reads the files of a cluster that signs its own tokens as those do who have to: keys as kube-apiserver
// (k8s.io/client-go), discovery document and key set as a verifier of tokens (coreos/go-oidc), manifests as their types.
//
// Stdin is one JSON object, the fields of which are below; so is stdout.
package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/keyutil"
	"sigs.k8s.io/yaml"
)

type question struct {
	Issuer    string `json:"issuer"`
	Discovery string `json:"discovery"`
	KeySet    string `json:"keySet"`
	// Pairs whose tokens are tried, and the files of Secrets.
	Pairs   []pair   `json:"pairs"`
	Secrets []string `json:"secrets"`
}

type pair struct {
	Private string `json:"private"`
	Public  string `json:"public"`
	// What a token claims to be issued by, if it is not the issuer.
	Claimed string `json:"claimed"`
}

type answer struct {
	// For each pair, its id and why its token is refused, if it is.
	Pairs   []verdict        `json:"pairs"`
	Secrets []*corev1.Secret `json:"secrets"`
}

type verdict struct {
	ID      string `json:"id"`
	Bits    int    `json:"bits"`
	Refused string `json:"refused"`
}

func main() {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		log.Fatal(err)
	}
	answered, err := look(asked)
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answered); err != nil {
		log.Fatal(err)
	}
}

func look(asked question) (answer, error) {
	ctx := oidc.ClientContext(context.Background(), &http.Client{Transport: published(asked)})
	provider, err := oidc.NewProvider(ctx, asked.Issuer)
	if err != nil {
		return answer{}, fmt.Errorf("the discovery document: %w", err)
	}
	verifier := provider.VerifierContext(ctx, &oidc.Config{ClientID: "openshift"})
	var answered answer
	for _, pair := range asked.Pairs {
		key, id, err := read(pair)
		if err != nil {
			return answer{}, err
		}
		claimed := pair.Claimed
		if claimed == "" {
			claimed = asked.Issuer
		}
		token, err := sign(key, id, claimed)
		if err != nil {
			return answer{}, err
		}
		found := verdict{ID: id, Bits: key.N.BitLen()}
		if _, err := verifier.Verify(ctx, token); err != nil {
			found.Refused = err.Error()
		}
		answered.Pairs = append(answered.Pairs, found)
	}
	for _, text := range asked.Secrets {
		secret := &corev1.Secret{}
		if err := yaml.UnmarshalStrict([]byte(text), secret); err != nil {
			return answer{}, fmt.Errorf("a Secret: %w", err)
		}
		answered.Secrets = append(answered.Secrets, secret)
	}
	return answered, nil
}

// read gives the private key and, by its public half, the name that kube-apiserver has for it.
func read(pair pair) (*rsa.PrivateKey, string, error) {
	found, err := keyutil.ParsePrivateKeyPEM([]byte(pair.Private))
	if err != nil {
		return nil, "", fmt.Errorf("a private key: %w", err)
	}
	key, ok := found.(*rsa.PrivateKey)
	if !ok {
		return nil, "", fmt.Errorf("a private key is a %T", found)
	}
	public, err := keyutil.ParsePublicKeysPEM([]byte(pair.Public))
	if err != nil {
		return nil, "", fmt.Errorf("a public key: %w", err)
	}
	if len(public) != 1 || !key.PublicKey.Equal(public[0].(crypto.PublicKey)) {
		return nil, "", fmt.Errorf("a public key is not that of its private key")
	}
	info, err := x509.MarshalPKIXPublicKey(public[0])
	if err != nil {
		return nil, "", err
	}
	hash := sha256.Sum256(info)
	return key, base64.RawURLEncoding.EncodeToString(hash[:]), nil
}

func sign(key *rsa.PrivateKey, id, issuer string) (string, error) {
	part := func(value any) (string, error) {
		text, err := json.Marshal(value)
		return base64.RawURLEncoding.EncodeToString(text), err
	}
	header, err := part(map[string]string{"alg": "RS256", "kid": id})
	if err != nil {
		return "", err
	}
	now := time.Now()
	claims, err := part(map[string]any{
		"iss": issuer,
		"sub": "system:serviceaccount:openshift-ingress-operator:ingress-operator",
		"aud": []string{"openshift"},
		"iat": now.Unix(),
		"exp": now.Add(time.Hour).Unix(),
	})
	if err != nil {
		return "", err
	}
	signed := header + "." + claims
	hash := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, hash[:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), err
}

// published answers for the container of the issuer.
type published question

func (p published) RoundTrip(request *http.Request) (*http.Response, error) {
	below := p.Issuer
	if below[len(below)-1] == '/' {
		below = below[:len(below)-1]
	}
	status, body := http.StatusNotFound, ""
	switch request.URL.String() {
	case below + "/.well-known/openid-configuration":
		status, body = http.StatusOK, p.Discovery
	case below + "/openid/v1/jwks":
		status, body = http.StatusOK, p.KeySet
	}
	return &http.Response{
		StatusCode: status,
		Header:     http.Header{"Content-Type": {"application/json"}},
		Body:       io.NopCloser(bytes.NewBufferString(body)),
		Request:    request,
	}, nil
}
