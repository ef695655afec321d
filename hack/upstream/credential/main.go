// Command credential says what the library of HyperShift's components makes of a credential. Each line of stdin is
// {"value": <base64 of a vault's value>, "encoding": "utf-8|hex|base64", "then": <base64 of a file that replaces it>},
// each line of stdout {"outcome": "accepted|rejected|panics", "error": …, "reload": "swapped|ignored|failed"}.
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/msi-dataplane/pkg/dataplane"
	"github.com/go-logr/logr/funcr"
)

type question struct {
	Value    []byte `json:"value"`
	Encoding string `json:"encoding"`
	Then     []byte `json:"then"`
}

type answer struct {
	Outcome string `json:"outcome"`
	Error   string `json:"error,omitempty"`
	Reload  string `json:"reload,omitempty"`
}

func main() {
	if err := answerAll(os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func answerAll(in io.Reader, out io.Writer) error {
	folder, err := os.MkdirTemp("", "credential")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	questions := json.NewDecoder(bufio.NewReader(in))
	buffered := bufio.NewWriter(out)
	answers := json.NewEncoder(buffered)
	for number := 0; ; number++ {
		var asked question
		switch err := questions.Decode(&asked); {
		case errors.Is(err, io.EOF):
			return buffered.Flush()
		case err != nil:
			return err
		}
		path := filepath.Join(folder, fmt.Sprint(number))
		if err := answers.Encode(asked.answer(path)); err != nil {
			return err
		}
	}
}

func (asked question) answer(path string) (result answer) {
	defer func() {
		if problem := recover(); problem != nil {
			result = answer{Outcome: "panics", Error: fmt.Sprint(problem)}
		}
	}()
	if err := asked.mount(path); err != nil {
		return answer{Outcome: "rejected", Error: err.Error()}
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var failed atomic.Bool
	logger := funcr.New(func(string, string) {}, funcr.Options{})
	logger = logger.WithSink(sink{logger.GetSink(), &failed})
	credential, err := dataplane.NewUserAssignedIdentityCredential(
		ctx, path, dataplane.WithLogger(&logger), dataplane.WithBackstopRefresh(5*time.Millisecond))
	if err != nil {
		return answer{Outcome: "rejected", Error: err.Error()}
	}
	if asked.Then == nil {
		return answer{Outcome: "accepted"}
	}
	return answer{Outcome: "accepted", Reload: asked.reload(credential, path, &failed)}
}

// mount does with the value what the CSI driver's provider does: see getContentBytes of
// Azure/secrets-store-csi-driver-provider-azure v1.8.2, which only calls these.
func (asked question) mount(path string) error {
	content := asked.Value
	var err error
	switch asked.Encoding {
	case "base64":
		content, err = base64.StdEncoding.DecodeString(string(content))
	case "hex":
		content, err = hex.DecodeString(string(content))
	}
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

// reload replaces the file, waits until the library is done with it, and says what became of it.
func (asked question) reload(credential azcore.TokenCredential, path string, failed *atomic.Bool) string {
	before := loaded(credential)
	if err := os.WriteFile(path+".new", asked.Then, 0o600); err != nil {
		log.Fatal(err)
	}
	readers, err := readersOf(path + ".new")
	if err != nil {
		log.Fatal(err)
	}
	defer readers.Close()
	if err := os.Rename(path+".new", path); err != nil {
		log.Fatal(err)
	}
	// Whoever has read it twice is done with the first time.
	if err := readers.await(2); err != nil {
		log.Fatal(err)
	}
	switch {
	case failed.Load():
		return "failed"
	case loaded(credential) != before:
		return "swapped"
	default:
		return "ignored"
	}
}

// loaded is the certificate in use: nothing public tells it.
func loaded(credential azcore.TokenCredential) uintptr {
	return reflect.ValueOf(credential).Elem().FieldByName("currentValue").Pointer()
}
