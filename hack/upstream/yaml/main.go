// Command yaml says what kubectl reads: each line of stdin is a JSON string holding a YAML document, each line of stdout
// is {"json": <value>}, {"error": "<message>"} or {"panic": "<message>"}.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"sigs.k8s.io/yaml"
)

type answer struct {
	// RawMessage keeps every digit of a number.
	JSON  json.RawMessage `json:"json,omitempty"`
	Error string          `json:"error,omitempty"`
	Panic string          `json:"panic,omitempty"`
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
	answers.SetEscapeHTML(false)
	for {
		var document string
		switch err := questions.Decode(&document); {
		case errors.Is(err, io.EOF):
			return buffered.Flush()
		case err != nil:
			return err
		}
		if err := answers.Encode(read(document)); err != nil {
			return err
		}
	}
}

func read(document string) (result answer) {
	defer func() {
		if problem := recover(); problem != nil {
			result = answer{Panic: fmt.Sprint(problem)}
		}
	}()
	value, err := yaml.YAMLToJSON([]byte(document))
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{JSON: value}
}
