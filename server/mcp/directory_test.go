package mcp

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const projectURI = "file:///project/"

// project is a directory with something of every kind in it.
func project(t testing.TB) (dir string, root *os.Root) {
	t.Helper()
	base := t.TempDir()
	dir = filepath.Join(base, "project")
	write := func(name, content string) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("../secret", "secret")
	write("../outside/secret", "secret")
	write("README.md", "# Project\n")
	write("empty", "")
	write("image.png", "\x89PNG\x00")
	write("a b/ü?#%.txt", "odd")
	write("src/main.go", "package main\n")
	write("src/deep/x.unknown", "text")
	write("src/deep/y.unknown", "\xff")
	write("back\\slash", "no")
	write(".env", "secret")
	write(".git/config", "secret")
	os.Mkdir(filepath.Join(dir, "none"), 0o700)
	for link, target := range map[string]string{
		"in":       "src/main.go",
		"indir":    "src",
		"out":      "../secret",
		"outabs":   filepath.Join(base, "secret"),
		"outdir":   "../outside",
		"loop":     "loop",
		"dangling": "nowhere",
		"null":     "/dev/null",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := net.Listen("unix", filepath.Join(dir, "socket")); err == nil {
		t.Cleanup(func() { l.Close() })
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return dir, root
}

func serveDirectory(t testing.TB, d *Directory) *client {
	t.Helper()
	s := NewServer(&Implementation{Name: "x"}, quiet())
	if err := s.AddDirectory(d); err != nil {
		t.Fatal(err)
	}
	return dial(t, s, Version20260728)
}

func TestDirectory(t *testing.T) {
	_, root := project(t)
	c := serveDirectory(t, &Directory{URI: projectURI, Root: root, Name: "project"})
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, tt := range []struct{ path, mimeType, text, blob string }{
		{"README.md", "text/markdown", "# Project\n", ""},
		{"empty", "text/plain", "", ""},
		{"image.png", "image/png", "", b64("\x89PNG\x00")},
		{"a%20b/%C3%BC%3F%23%25.txt", "text/plain", "odd", ""},
		{"src/main.go", "text/x-go", "package main\n", ""},
		{"%73rc/main%2Ego", "text/x-go", "package main\n", ""},
		{"src/deep/x.unknown", "text/plain", "text", ""},
		{"src/deep/y.unknown", "application/octet-stream", "", b64("\xff")},
		{"in", "text/plain", "package main\n", ""},
		{"indir/main.go", "text/x-go", "package main\n", ""},
		{"src", "text/uri-list", "file:///project/src/deep/\r\nfile:///project/src/main.go\r\n", ""},
		{"src/", "text/uri-list", "file:///project/src/deep/\r\nfile:///project/src/main.go\r\n", ""},
		{"none", "text/uri-list", "", ""},
		{"a%20b/", "text/uri-list", "file:///project/a%20b/%C3%BC%3F%23%25.txt\r\n", ""},
		{"", "text/uri-list", "file:///project/README.md\r\nfile:///project/a%20b/\r\nfile:///project/empty\r\nfile:///project/image.png\r\n" +
			"file:///project/in\r\nfile:///project/indir/\r\nfile:///project/none/\r\nfile:///project/src/\r\n", ""},
	} {
		a := c.read(projectURI + tt.path)
		if a.Error != nil || len(a.Result.Contents) != 1 {
			t.Errorf("%q: %+v", tt.path, a.Error)
			continue
		}
		got := a.Result.Contents[0]
		if got.URI != projectURI+tt.path || got.MIMEType != tt.mimeType || got.Text != tt.text || got.Blob != tt.blob {
			t.Errorf("%q: got %q", tt.path, got)
		}
	}
	for _, path := range []string{
		"none.md", "README.md/", "README.md/x", "out", "outabs", "outdir", "outdir/", "outdir/secret", "loop", "dangling", "null", "pipe", "socket",
		".env", ".git", ".git/config", "%2eenv", "%2Egit/config", "back%5Cslash", "back%5cslash",
		"..", "../secret", "%2e%2e/secret", "%2E%2E%2Fsecret", "src/../README.md", "src/%2e%2e/%2e%2e/secret", "%252e%252e/secret",
		".", "./README.md", "%2e", "src//main.go", "/", "//", "/README.md", "src%2Fmain.go", "README.md%00", "README.md%00.png",
		"README.md?x", "README.md#x", "a%20b/%ff", "%", "%zz", "src/%", strings.Repeat("a/", 2000), strings.Repeat("a", 300),
	} {
		for _, uri := range []string{projectURI + path, strings.ToUpper(projectURI[:4]) + projectURI[4:] + path} {
			if a := c.read(uri); a.Error == nil || a.Error.Code != -32602 || a.Error.Message != "Resource not found" || a.Error.Data.URI != uri {
				t.Errorf("%.80q: %+v", uri, a)
			}
		}
	}
	for _, uri := range []string{"file:///projec", "file:///project", "file:///project2/README.md", "file://host/project/README.md", "file:///"} {
		if a := c.read(uri); a.Error == nil {
			t.Errorf("%s: %+v", uri, a)
		}
	}
}

func TestDirectoryHidden(t *testing.T) {
	_, root := project(t)
	c := serveDirectory(t, &Directory{URI: projectURI, Root: root, Name: "project", Hidden: true})
	if a := c.read(projectURI + ".env"); a.Error != nil || a.Result.Contents[0].Text != "secret" {
		t.Errorf(".env: %+v", a)
	}
	if a := c.read(projectURI); !strings.HasPrefix(a.Result.Contents[0].Text, "file:///project/.env\r\nfile:///project/.git/\r\n") {
		t.Errorf("the root: %+v", a)
	}
	for _, path := range []string{"..", ".", "../secret", "%2e%2e/secret"} {
		if a := c.read(projectURI + path); a.Error == nil {
			t.Errorf("%s: %+v", path, a)
		}
	}
}

func TestDirectorySizes(t *testing.T) {
	dir, root := project(t)
	for _, most := range []int{0, 1, 1000} {
		limit := most
		if limit == 0 {
			limit = DefaultMaxFileSize
		}
		c := serveDirectory(t, &Directory{URI: projectURI, Root: root, Name: "project", MaxFileSize: most})
		for _, size := range []int{limit - 1, limit, limit + 1, 3 * limit} {
			os.WriteFile(filepath.Join(dir, "big.txt"), []byte(strings.Repeat("b", size)), 0o600)
			a := c.read(projectURI + "big.txt")
			switch {
			case size <= limit && (a.Error != nil || len(a.Result.Contents[0].Text) != size):
				t.Errorf("limit %d: %d bytes are not read: %+v", limit, size, a.Error)
			case size > limit && (a.Error == nil || a.Error.Code != -32602 || !strings.Contains(a.Error.Message, fmt.Sprintf("%d can be read", limit))):
				t.Errorf("limit %d: %d bytes: %+v", limit, size, a.Error)
			}
		}
	}
	// A file whose size is not known before it is read.
	proc, err := os.OpenRoot("/proc/self")
	if err != nil {
		t.Skip(err)
	}
	defer proc.Close()
	c := serveDirectory(t, &Directory{URI: projectURI, Root: proc, Name: "proc", MaxFileSize: 8})
	if a := c.read(projectURI + "status"); a.Error == nil || !strings.Contains(a.Error.Message, "the file has 9 bytes or more; 8 can be read") {
		t.Errorf("a file without a size: %+v", a)
	}
	// A sparse one costs nothing.
	f, _ := os.Create(filepath.Join(dir, "sparse"))
	f.Truncate(1 << 40)
	f.Close()
	c = serveDirectory(t, &Directory{URI: projectURI, Root: root, Name: "project"})
	if a := c.read(projectURI + "sparse"); a.Error == nil || !strings.Contains(a.Error.Message, "1099511627776 bytes") {
		t.Errorf("a sparse file: %+v", a)
	}
}

func TestDirectoryEntries(t *testing.T) {
	base := t.TempDir()
	root, err := os.OpenRoot(base)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	c := serveDirectory(t, &Directory{URI: projectURI, Root: root, Name: "project", MaxEntries: 3})
	for n := range 5 {
		lines := strings.Count(c.read(projectURI).Result.Contents[0].Text, "\r\n")
		more := strings.Contains(c.read(projectURI).Result.Contents[0].Text, "# There is more: only 3 names")
		if want := min(n, 3); more != (n > 3) || !more && lines != want || more && lines != want+1 {
			t.Errorf("%d names: %d lines, more %v", n, lines, more)
		}
		os.WriteFile(filepath.Join(base, fmt.Sprint(n)), nil, 0o600)
	}
}

func TestDirectoryList(t *testing.T) {
	dir, root := project(t)
	s := NewServer(&Implementation{Name: "x"}, quiet())
	s.AddResource(&Resource{URI: projectURI + "empty", Name: "own"}, func(context.Context, *ReadResourceRequest) (*ReadResourceResult, error) {
		return &ReadResourceResult{Contents: []*ResourceContents{{Text: "own"}}}, nil
	})
	d := &Directory{URI: projectURI, Root: root, Name: "project", List: true, Title: "Project", Description: "files", Meta: Meta{"example.com/x": 1}}
	add := func() {
		t.Helper()
		if err := s.AddDirectory(d); err != nil {
			t.Fatal(err)
		}
	}
	c := dial(t, s, Version20260728)
	list := func() string { return fmt.Sprint(c.about("resources/list", "").uris()) }
	add()
	if got := list(); got != "[file:///project/README.md file:///project/empty file:///project/image.png file:///project/in]" {
		t.Errorf("list %s", got)
	}
	if got := c.about("resources/list", "").Result.Resources[0]; got.Size != 10 || got.MIMEType != "text/markdown" || got.Name != "README.md" {
		t.Errorf("a file %+v", got)
	}
	if out := c.ask("resources/templates/list", ""); !strings.Contains(out, `{"uriTemplate":"file:///project/{+path}","name":"project","title":"Project","description":"files","_meta":{"example.com/x":1}}`) {
		t.Errorf("templates %s", out)
	}
	if a := c.read(projectURI + "README.md"); a.Result.Contents[0].Text != "# Project\n" {
		t.Errorf("read %+v", a)
	}
	os.Remove(filepath.Join(dir, "README.md"))
	os.WriteFile(filepath.Join(dir, "new.md"), nil, 0o600)
	if a := c.read(projectURI + "README.md"); a.Error == nil {
		t.Errorf("a file that is gone: %+v", a)
	}
	add()
	if got := list(); got != "[file:///project/empty file:///project/image.png file:///project/in file:///project/new.md]" {
		t.Errorf("the second time %s", got)
	}
	before := s.snapshot()
	if s.RemoveDirectories("file:///other/"); s.snapshot() != before {
		t.Error("nothing was removed, and the lists have changed")
	}
	s.RemoveDirectories(projectURI, "file:///other/")
	if got := list(); got != "[file:///project/empty]" {
		t.Errorf("at the end %s", got)
	}
	if a := c.read(projectURI + "new.md"); a.Error == nil {
		t.Errorf("at the end: %+v", a)
	}
	root.Close()
	if err := s.AddDirectory(d); err == nil {
		t.Error("a closed root is listed")
	}
}

func TestDirectoryPanics(t *testing.T) {
	_, root := project(t)
	for _, tt := range []struct {
		want string
		d    Directory
	}{
		{"Root is nil", Directory{URI: projectURI, Name: "x"}},
		{"must end with a slash", Directory{URI: "file:///project", Name: "x", Root: root}},
		{"must end with a slash", Directory{URI: "file:///{x}/", Name: "x", Root: root}},
		{"must end with a slash", Directory{URI: "file:///x?/", Name: "x", Root: root}},
		{"must be absolute", Directory{URI: "project/", Name: "x", Root: root}},
		{"needs a Name", Directory{URI: projectURI, Root: root}},
		{"must not be negative", Directory{URI: projectURI, Name: "x", Root: root, MaxFileSize: -1}},
		{"must not be negative", Directory{URI: projectURI, Name: "x", Root: root, MaxEntries: -1}},
	} {
		func() {
			defer func() {
				if r := fmt.Sprint(recover()); !strings.HasPrefix(r, "mcp: AddDirectory") || !strings.Contains(r, tt.want) {
					t.Errorf("panic %q, want %q", r, tt.want)
				}
			}()
			NewServer(&Implementation{Name: "x"}, quiet()).AddDirectory(&tt.d)
		}()
	}
}

func TestDirectoryFilter(t *testing.T) {
	_, root := project(t)
	o := quiet()
	o.ResourceTemplateFilter = func(_ context.Context, _ *Caller, tmpl *ResourceTemplate) bool { return tmpl.Name != "project" }
	s := NewServer(&Implementation{Name: "x"}, o)
	s.AddDirectory(&Directory{URI: projectURI, Root: root, Name: "project"})
	s.AddDirectory(&Directory{URI: "file:///open/", Root: root, Name: "open"})
	c := dial(t, s, Version20260728)
	if a := c.read(projectURI + "README.md"); a.Error == nil {
		t.Errorf("behind a filter: %+v", a)
	}
	if a := c.read("file:///open/README.md"); a.Error != nil {
		t.Errorf("before it: %+v", a)
	}
}

// Trouble of the machine is not a file that does not exist, and clients are not
// told where the files are.
func TestDirectoryTrouble(t *testing.T) {
	dir, root := project(t)
	var log strings.Builder
	s := NewServer(&Implementation{Name: "x"}, &ServerOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	s.AddDirectory(&Directory{URI: projectURI, Root: root, Name: "project"})
	c := dial(t, s, Version20260728)
	if os.Geteuid() != 0 {
		os.Chmod(filepath.Join(dir, "README.md"), 0)
		if a := c.read(projectURI + "README.md"); a.Error == nil || a.Error.Message != "Resource not found" {
			t.Errorf("a file of others: %+v", a)
		}
	}
	root.Close()
	a := c.read(projectURI + "README.md")
	if a.Error == nil || a.Error.Code != -32603 || a.Error.Message != "the file cannot be read" {
		t.Errorf("a closed root: %+v", a)
	}
	if !strings.Contains(log.String(), "file already closed") {
		t.Errorf("the log has %q", log.String())
	}
}

// TestDirectoryRaces replaces a file by links, pipes, directories and others all
// the time. Whatever a reader meets, it must not wait, nor see what is outside.
func TestDirectoryRaces(t *testing.T) {
	dir, root := project(t)
	c := serveDirectory(t, &Directory{URI: projectURI, Root: root, Name: "project"})
	target, next := filepath.Join(dir, "target"), filepath.Join(dir, "next")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			os.RemoveAll(next)
			switch i % 6 {
			case 0:
				os.WriteFile(next, []byte("right"), 0o600)
			case 1:
				os.Symlink("../secret", next)
			case 2:
				syscall.Mkfifo(next, 0o600)
			case 3:
				os.Symlink("src/main.go", next)
			case 4:
				os.Symlink("../outside", next)
			case 5:
				os.Symlink("/dev/zero", next)
			}
			os.Rename(next, target)
		}
	})
	seen := map[string]int{}
	deadline := time.Now().Add(time.Second)
	if testing.Short() {
		deadline = time.Now().Add(100 * time.Millisecond)
	}
	for time.Now().Before(deadline) {
		start := time.Now()
		a := c.read(projectURI + "target")
		switch {
		case a.Error != nil:
			seen[a.Error.Message]++
		default:
			seen[a.Result.Contents[0].Text]++
		}
		if b := c.read(projectURI + "target/secret"); b.Error == nil {
			t.Errorf("target/secret: %+v", b)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Fatalf("a read takes %v", d)
		}
		runtime.Gosched()
	}
	close(stop)
	wg.Wait()
	for _, want := range []string{"right", "package main\n", "Resource not found"} {
		if seen[want] == 0 {
			t.Errorf("%q is never seen: %v", want, seen)
		}
		delete(seen, want)
	}
	delete(seen, "") // a file between its creation and its content cannot be: rename
	if len(seen) > 0 {
		t.Errorf("seen too: %v", seen)
	}
}

// TestReplacedBetween replaces a file after its mode was looked at: what counts is
// what has been opened.
func TestReplacedBetween(t *testing.T) {
	dir, root := project(t)
	f, err := root.OpenFile("pipe", os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err) // it would have waited
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || served(info, false) != errMissing {
		t.Errorf("an open pipe: %v, %v", info.Mode(), err)
	}
	if info, err = root.Stat("src"); err != nil || served(info, true) != nil {
		t.Errorf("a directory: %v", err)
	}
	if info, err = root.Stat("empty"); err != nil || served(info, true) != errMissing || served(info, false) != nil {
		t.Errorf("a file: %v", err)
	}
	_ = dir
}
