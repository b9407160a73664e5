package server

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// change sends a POST to the admin listener.
func change(t *testing.T, r *runningServer, path string, fields ...string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.AdminAddr()+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	setFields(req, fields)
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// TestAdminToken: what changes anything takes the token, and no page of a browser can
// send it.
func TestAdminToken(t *testing.T) {
	const token = "Authorization: Bearer 0123456789abcdef"
	reloaded := make(chan bool, 1)
	ended := make(chan error, 1)
	s := &Server{
		MCP: newTools().mcp, Admin: "127.0.0.1:0", AdminToken: "0123456789abcdef", Pprof: true, Reload: func() { reloaded <- true },
		Hooks: Hooks{Stopped: func(err error) { ended <- err }},
	}
	r := serve(t, s)
	for _, tt := range []struct {
		path   string
		fields []string
		want   int
	}{
		{"/reload", nil, 401}, {"/reload", []string{"Authorization: Bearer 0123456789abcdeg"}, 401}, {"/reload", []string{"Authorization: 0123456789abcdef"}, 401},
		{"/drain", nil, 401}, {"/drain", []string{token, "Origin: http://evil.example.com"}, 403}, {"/stats", []string{token}, 405},
		{"/reload", []string{token}, 202},
	} {
		if got, body := change(t, r, tt.path, tt.fields...); got != tt.want || strings.Contains(body, "0123456789") {
			t.Errorf("%s with %q: %d %q, want %d", tt.path, tt.fields, got, body, tt.want)
		}
	}
	<-reloaded
	if status, body := fetch(t, "http://"+r.AdminAddr()+"/debug/pprof/cmdline"); status == 200 && strings.Contains(body, "-test.") {
		t.Errorf("the arguments of the process are shown: %q", body)
	}
	if got, body := change(t, r, "/drain", token); got != 202 {
		t.Errorf("drain: %d %q", got, body)
	}
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}

	plain := serve(t, &Server{MCP: newTools().mcp, Admin: "127.0.0.1:0"})
	if got, body := change(t, plain, "/drain", "Authorization: Bearer "); got != 403 || !strings.Contains(body, "--admin-token-file") {
		t.Errorf("without a token set: %d %q", got, body)
	}
	none := serve(t, &Server{MCP: newTools().mcp, Admin: "127.0.0.1:0", AdminToken: "0123456789abcdef"})
	if got, _ := change(t, none, "/reload", token); got != 404 {
		t.Errorf("nothing to reload: %d", got)
	}
}
