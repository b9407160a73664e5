package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	d := startDaemon(t, "--demo", "--listen=unix:"+path, "--admin=", "--socket-mode=0660", "--socket-owner="+strconv.Itoa(os.Getuid())+":"+strconv.Itoa(os.Getgid()))
	if got := d.errs.find(t, `endpoint +(\S+)`); got != "unix:"+path {
		t.Errorf("endpoint %s", got)
	}
	d.errs.find(t, `limits +(.*)`)
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	res, err := client.Do(newCall(t, "http://localhost/mcp", "echo", `{"text":"hi"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(b), `"text":"hi"`) {
		t.Errorf("%d %s %v", res.StatusCode, b, err)
	}
	d.stop()
	if code := d.wait(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}
