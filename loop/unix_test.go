package loop_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"millrace/loop"
)

// unixAddr is the address of a socket in a folder of its own.
func unixAddr(t *testing.T) (addr, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	return "unix:" + path, path
}

// askUnix sends a request over a socket and wants an answer.
func askUnix(t *testing.T, path string) {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || line != "HTTP/1.1 200 OK\r\n" {
		t.Fatalf("answered %q, %v", line, err)
	}
}

func TestUnixSocket(t *testing.T) {
	addr, path := unixAddr(t)
	e := start(t, loop.Config{Listeners: []loop.Listener{{Addr: addr}, {Addr: "127.0.0.1:0"}}}, nil)
	if got := e.Addrs()[0]; got != addr {
		t.Errorf("the address is %q, want %q", got, addr)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	for range 3 {
		askUnix(t, path)
	}
	dial(t, e.Addrs()[1]).echoes("hello")
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); err != nil || len(left) != 1 {
		t.Errorf("beside the socket lies %q, %v", left, err)
	}
	if _, err := loop.Start(loop.Config{Listeners: []loop.Listener{{Addr: addr}}}, nil); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second server: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := e.Drain(ctx); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}

func TestUnixSocketModeAndOwner(t *testing.T) {
	addr, path := unixAddr(t)
	owner := &loop.Owner{UID: os.Getuid(), GID: os.Getgid()}
	if os.Getuid() == 0 {
		owner = &loop.Owner{UID: 12345, GID: -1}
	}
	start(t, loop.Config{Listeners: []loop.Listener{{Addr: addr, Mode: 0o660, Owner: owner}}}, nil)
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); info.Mode().Perm() != 0o660 || int(st.Uid) != owner.UID || int(st.Gid) != os.Getgid() {
		t.Errorf("%v, owner %d:%d", info.Mode(), st.Uid, st.Gid)
	}
}

// A socket of a process that was killed makes room; anything else does not.
func TestUnixSocketPathTaken(t *testing.T) {
	addr, path := unixAddr(t)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	_ = ln.Close() // as after kill -9
	e := start(t, loop.Config{Listeners: []loop.Listener{{Addr: addr}}}, nil)
	askUnix(t, path)
	// Another one has taken the path by the end: it stays.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	e.Stop()
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Errorf("%q %v", b, err)
	}
	for name, bad := range map[string]string{
		"no socket": addr, "a folder": "unix:" + filepath.Dir(path), "no absolute path": "unix:s", "no folder": "unix:" + path + "/none/s",
		"too long": "unix:" + filepath.Dir(path) + "/" + strings.Repeat("s", 108), "nothing": "unix:",
	} {
		if e, err := loop.Start(loop.Config{Listeners: []loop.Listener{{Addr: bad}}}, nil); err == nil {
			e.Stop()
			t.Errorf("%s: no error", name)
		}
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Errorf("%q %v", b, err)
	}
}
