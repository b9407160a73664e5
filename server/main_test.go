package server

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(pressedEnv) != "" {
		if err := pressed(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	const ants = "github.com/panjf2000/ants/v2.(*poolCommon)."
	goleak.VerifyTestMain(m, // gnet starts a pool of its own when its package is loaded
		goleak.IgnoreTopFunction(ants+"purgeStaleWorkers"), goleak.IgnoreTopFunction(ants+"ticktock"))
}

// newHolder returns what calls the tool hold, each time on a connection of its own,
// and tells the status. 0 is none.
func newHolder(url string) func() int {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return func() int {
		req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"hold","arguments":{},`+modernMeta+`}}`))
		if err != nil {
			return 0
		}
		for _, f := range append(modernFields("tools/call", "hold"), "Content-Type: application/json", "Accept: application/json, text/event-stream") {
			name, value, _ := strings.Cut(f, ": ")
			req.Header.Set(name, value)
		}
		res, err := client.Do(req)
		if err != nil {
			return 0
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
		return res.StatusCode
	}
}
