// Command mounted opens the credential in a file as HyperShift's components do, with a backstop of an hour. For each line of
// stdin it says whether another credential is in use than at the line before: "same" or "changed".
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"reflect"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/msi-dataplane/pkg/dataplane"
)

func main() {
	credential, err := dataplane.NewUserAssignedIdentityCredential(
		context.Background(), os.Args[1], dataplane.WithBackstopRefresh(time.Hour))
	if err != nil {
		log.Fatal(err)
	}
	before := loaded(credential)
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		now := loaded(credential)
		if now == before {
			fmt.Println("same")
		} else {
			fmt.Println("changed")
		}
		before = now
	}
}

// loaded is the certificate in use: nothing public tells it.
func loaded(credential azcore.TokenCredential) uintptr {
	return reflect.ValueOf(credential).Elem().FieldByName("currentValue").Pointer()
}
