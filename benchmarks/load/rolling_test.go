package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/benchmarks/client"
)

func TestHAProxyConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := writeHAProxyConfig(file, "127.0.0.1:1001", "127.0.0.1:1002", []haproxyServer{
		{Name: "daemon1", Addr: "127.0.0.1:1003", admin: "127.0.0.1:1004"},
		{Name: "daemon2", Addr: "127.0.0.1:1005", admin: "127.0.0.1:1006", Proxied: true},
	}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"bind 127.0.0.1:1001\n", "bind 127.0.0.1:1002\n",
		"server daemon1 127.0.0.1:1003 port 1004\n", "server daemon2 127.0.0.1:1005 port 1006 send-proxy-v2\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no line %q in\n%s", want, text)
		}
	}
	bin, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("haproxy is not installed: nothing says that it takes the configuration")
	}
	if out, err := exec.CommandContext(t.Context(), bin, "-c", "-f", file).CombinedOutput(); err != nil {
		t.Errorf("haproxy -c: %v\n%s", err, out)
	}
}

func TestHAProxyRows(t *testing.T) {
	lines, err := csv.NewReader(strings.NewReader("# pxname,svname,stot,status,\nstats,BACKEND,9,UP,\n" +
		"millrace,daemon1,17,UP 1/2,\nmillrace,BACKEND,,UP,\n")).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	rows := byServer(lines)
	if len(rows) != 2 || number(rows["daemon1"], "stot") != 17 || rows["daemon1"]["status"] != "UP 1/2" || number(rows["BACKEND"], "stot") != 0 {
		t.Errorf("rows = %v", rows)
	}
}

// TestNotRun: a scenario that was not run has not passed, and says so loudly.
func TestNotRun(t *testing.T) {
	skipped := &Report{Scenario: "rolling", Skipped: "there is no haproxy"}
	good := &Report{Checks: []Check{{OK: true}}}
	for _, tt := range []struct {
		reports    []*Report
		skip, want bool
	}{
		{[]*Report{skipped}, false, false},
		{[]*Report{skipped}, true, false},
		{[]*Report{good, skipped}, false, false},
		{[]*Report{good, skipped}, true, true},
	} {
		if got := passed(tt.reports, tt.skip); got != tt.want {
			t.Errorf("passed(%d reports, %v) = %v", len(tt.reports), tt.skip, got)
		}
	}
	var out bytes.Buffer
	skipped.print(&out)
	if !strings.Contains(out.String(), "!!!! rolling is NOT run") {
		t.Errorf("it says %q", out.String())
	}
}

func TestRollingExits(t *testing.T) {
	o := &options{drainTimeout: time.Second}
	for name, tt := range map[string]struct {
		took time.Duration
		code int
		want bool
	}{
		"in time":      {2 * time.Second, 0, true},
		"late":         {2*time.Second + time.Millisecond, 0, false},
		"with a fault": {time.Millisecond, 1, false},
	} {
		e := &rollingExits{}
		e.add(time.Millisecond, 0)
		e.add(tt.took, tt.code)
		if got := passes(func(r *Report) { e.report(r, o) }); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestReadToAnswer: a subscription over HTTP ends with its answer and the last chunk, in this order.
func TestReadToAnswer(t *testing.T) {
	const (
		head   = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
		ack    = `data: {"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{}}` + "\n\n"
		answer = `data: {"jsonrpc":"2.0","id":1,"result":{}}` + "\n\n"
		last   = "0\r\n\r\n"
	)
	for name, tt := range map[string]struct {
		text string
		want bool
	}{
		"whole":      {head + chunk(ack) + chunk(answer) + last, true},
		"no answer":  {head + chunk(ack) + last, false},
		"cut off":    {head + chunk(ack) + chunk(answer), false},
		"more":       {head + chunk(answer) + chunk(ack) + last, false},
		"an error":   {head + chunk(strings.Replace(answer, `"result":{}`, `"error":{"code":-32603,"message":"x"}`, 1)) + last, false},
		"another id": {head + chunk(strings.Replace(answer, `:1,`, `:2,`, 1)) + last, false},
	} {
		s, err := listen(t.Context(), answering(t, tt.text), "/mcp", "")
		if err == nil {
			err = s.readToAnswer(time.Now().Add(5 * time.Second))
			s.close()
		}
		if (err == nil) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func chunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

func TestGoingAway(t *testing.T) {
	for err, want := range map[error]bool{
		error(&client.CloseError{Code: 1001}): true, error(&client.CloseError{Code: 1006}): false, client.ErrNoAnswer: false,
	} {
		if isGoingAway(err) != want || (unlessGoingAway(err) == nil) != want {
			t.Errorf("%v: %v", err, !want)
		}
	}
}
