package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// healthy fails the test unless the daemon is alive and ready, and calls tools.
func healthy(t *testing.T, when, url, admin string, fields ...string) {
	t.Helper()
	for _, path := range []string{"/healthz", "/readyz"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+admin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := answer(t, req); got != "ok\n" && got != "ready\n" {
			t.Errorf("%s: %s says %q", when, path, got)
		}
	}
	req := newCall(t, url, "echo", `{"text":"here"}`)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Set(name, value)
	}
	if got := answer(t, req); !strings.Contains(got, `"text":"here"`) {
		t.Errorf("%s: a call is answered %s", when, got)
	}
}

// limitFiles has every write to a file fail, of the whole process, until the returned
// function is called.
func limitFiles(t *testing.T) (undo func()) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 0, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	undo = sync.OnceFunc(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Error(err)
		}
		signal.Reset(syscall.SIGXFSZ)
	})
	t.Cleanup(undo)
	return undo
}

// TestDiskFull: while nothing can be written, a call that would be a task gets an error,
// and all else is served; tasks that end meanwhile are not lost, and when there is room
// again everything is as before.
func TestDiskFull(t *testing.T) {
	const message = `{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}}}`
	dir := t.TempDir()
	var d *daemon
	var url, admin string
	start := func() {
		d = startDaemon(t, "--demo", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--data-dir="+dir)
		url, admin = d.errs.find(t, `endpoint +(http://\S+)`), d.errs.find(t, `admin +http://(\S+)/stats`)
	}
	create := func(seconds string) (id, answer string) {
		t.Helper()
		answer = post(t, url, "tools/call", "sleep", fmt.Sprintf(message, "tools/call", `"name":"sleep","arguments":{"seconds":`+seconds+`}`))
		_, id, _ = strings.Cut(answer, `"taskId":"`)
		id, _, _ = strings.Cut(id, `"`)
		return id, answer
	}
	completed := func(id string) bool {
		return strings.Contains(post(t, url, "tasks/get", id, fmt.Sprintf(message, "tasks/get", `"taskId":"`+id+`"`)), `"status":"completed"`)
	}
	await := func(what string, done func() bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("in vain: %s", what)
			}
		}
	}
	start()
	before, _ := create("0")
	during, answer := create("0.3")
	if before == "" || during == "" {
		t.Fatalf("no task: %s", answer)
	}
	await("a task ends", func() bool { return completed(before) })

	room := limitFiles(t)
	for range 3 {
		if id, answer := create("0"); id != "" || !strings.Contains(answer, `"code":-32603`) {
			t.Errorf("a task that cannot be stored: %s", answer)
		}
	}
	healthy(t, "while the disk is full", url, admin)
	await("a task ends while the disk is full", func() bool { return completed(during) })
	if !completed(before) {
		t.Error("a stored task cannot be read while the disk is full")
	}

	room()
	after, answer := create("0")
	if after == "" {
		t.Errorf("when there is room again: %s", answer)
	}
	healthy(t, "when there is room again", url, admin)
	// The sweep tells the store once a second what it has not been told.
	await("the store is told", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "tasks", during+".json"))
		return err == nil && strings.Contains(string(text), "completed")
	})
	d.stop()
	if code := d.wait(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	start()
	for name, id := range map[string]string{"before": before, "during": during, "after": after} {
		if !completed(id) {
			t.Errorf("after a restart the task of %s is not there", name)
		}
	}
	d.stop()
	d.wait(t)
}

// testIssuer is an authorization server with one key.
type testIssuer struct {
	*httptest.Server
	key *ecdsa.PrivateKey

	mu   sync.Mutex
	away func(http.ResponseWriter, *http.Request) // answers instead
}

func newTestIssuer(t *testing.T) *testIssuer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &testIssuer{key: key}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		away := i.away
		i.mu.Unlock()
		switch {
		case away != nil:
			away(w, r)
		case r.URL.Path == "/jwks":
			_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
				"kty": "EC", "kid": "1", "crv": "P-256", "x": enc(public[1:33]), "y": enc(public[33:]),
			}}})
		default:
			_ = json.NewEncoder(w).Encode(map[string]string{"issuer": i.URL, "jwks_uri": i.URL + "/jwks"})
		}
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *testIssuer) goAway(f func(http.ResponseWriter, *http.Request)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.away = f
}

// token signs one that says it was signed with the key kid.
func (i *testIssuer) token(t *testing.T, kid, subject string) string {
	t.Helper()
	enc := base64.RawURLEncoding.EncodeToString
	claims, err := json.Marshal(map[string]any{
		"iss": i.URL, "sub": subject, "aud": "http://127.0.0.1/mcp", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	text := enc([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"`+kid+`"}`)) + "." + enc(claims)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + enc(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// TestIssuerAwayFromDaemon: while an issuer does not answer, or hangs, tokens that are
// known and those that a known key has signed are served, others are refused, and
// nobody else notices. Without any keys no token is called bad: 503.
func TestIssuerAwayFromDaemon(t *testing.T) {
	for name, away := range map[string]func(http.ResponseWriter, *http.Request){
		"away":  func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "away", http.StatusBadGateway) },
		"hangs": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"lies":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[{`) },
	} {
		t.Run(name, func(t *testing.T) {
			i := newTestIssuer(t)
			file := filepath.Join(t.TempDir(), "keys")
			code, key, stderr := program(t, "", "key", "new", "--file", file, "--name", "ci")
			if code != exitOK {
				t.Fatal(stderr)
			}
			byKey := "Authorization: Bearer " + strings.TrimSpace(key)
			start := func() (d *daemon, url, admin string) {
				d = startDaemon(t, "--demo", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--auth-issuer="+i.URL,
					"--public-url=http://127.0.0.1/mcp", "--api-keys="+file, "--allow=tool:*")
				return d, d.errs.find(t, `endpoint +(http://\S+)`), d.errs.find(t, `admin +http://(\S+)/stats`)
			}
			ask := func(url, token string) (status int, retry string, took time.Duration) {
				t.Helper()
				req := newCall(t, url, "echo", `{"text":"x"}`)
				if token != "" {
					req.Header.Set("Authorization", "Bearer "+token)
				}
				begun := time.Now()
				res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
				if err != nil {
					t.Error(err) // not Fatal: one caller is another goroutine
					return 0, "", 0
				}
				defer res.Body.Close()
				return res.StatusCode, res.Header.Get("Retry-After"), time.Since(begun)
			}

			d, url, admin := start()
			known := i.token(t, "1", "ann")
			if status, _, _ := ask(url, known); status != 200 {
				t.Fatalf("a good token: %d", status)
			}
			i.goAway(away)
			forged := i.token(t, "1", "eve")
			forged = forged[:len(forged)-8] + "AAAAAAAA"
			for what, tt := range map[string]struct {
				token string
				want  int
			}{
				"known": {known, 200}, "unknown, of a known key": {i.token(t, "1", "bob"), 200}, "forged": {forged, 401},
				"of an unknown key": {i.token(t, "2", "bob"), 401}, "none": {"", 401}, "no token": {"a.b.c", 401},
			} {
				if status, _, took := ask(url, tt.token); status != tt.want || took > 6*time.Second {
					t.Errorf("%s: %d after %v, want %d", what, status, took, tt.want)
				}
			}
			healthy(t, "with keys", url, admin, byKey)
			d.stop()
			if code := d.wait(t); code != exitOK {
				t.Errorf("exit code %d", code)
			}

			d, url, admin = start() // without any keys
			pending := make(chan struct{})
			go func() {
				defer close(pending)
				for range 2 {
					if status, retry, took := ask(url, known); status != 503 || retry == "" || took > 6*time.Second {
						t.Errorf("a token that cannot be judged: %d after %v, Retry-After %q, want 503 within 6s", status, took, retry)
					}
				}
			}()
			healthy(t, "without keys", url, admin, byKey)
			if status, _, _ := ask(url, ""); status != 401 {
				t.Errorf("no token: %d", status)
			}
			<-pending
			d.stop()
			if code := d.wait(t); code != exitOK {
				t.Errorf("exit code %d", code)
			}
		})
	}
}
