package server

import (
	"strings"
	"testing"
	"time"
)

// TestEngineEnds: a server whose event loops are gone does not live on as if it served.
// Run says so, nothing is left of it, and it can be called again. That the loops are
// gone is noticed by the engine: loop.TestWatch.
func TestEngineEnds(t *testing.T) {
	stopped := make(chan error, 2)
	s := &Server{MCP: newTools().mcp, Admin: "127.0.0.1:0", Hooks: Hooks{Stopped: func(err error) { stopped <- err }}}
	r := serve(t, s)
	admin := "http://" + r.AdminAddr()
	s.running.Load().engine.Stop()
	select {
	case err := <-stopped:
		if err == nil || !strings.HasPrefix(err.Error(), "serving: ") {
			t.Errorf("Stopped is told %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Run does not return")
	}
	if err := r.stop(); err == nil {
		t.Error("Run returns no error")
	}
	if res, err := r.http.Get(admin + "/readyz"); err == nil {
		t.Errorf("the admin listener is still there: %d", res.StatusCode)
		res.Body.Close()
	}
	s.Hooks.Started = nil
	again := serve(t, s)
	if rep := again.do("POST", modernCall("1", "headers"), modernFields("tools/call", "headers")...); rep.status != 200 {
		t.Errorf("a second Run: %d %s", rep.status, rep.body())
	}
	if err := again.stop(); err != nil {
		t.Errorf("a second Run: %v", err)
	}
}
