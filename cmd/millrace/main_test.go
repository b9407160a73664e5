package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, // gnet keeps a global pool of goroutines
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"))
}

// output is a buffer that another goroutine may wait on.
type output struct {
	mu   sync.Mutex
	b    bytes.Buffer
	more chan struct{}
}

func newOutput() *output { return &output{more: make(chan struct{}, 1)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.more <- struct{}{}:
	default:
	}
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// find waits until the output matches and returns the first group.
func (o *output) find(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(10 * time.Second)
	for {
		if m := re.FindStringSubmatch(o.String()); m != nil {
			return m[len(m)-1]
		}
		select {
		case <-o.more:
		case <-deadline:
			t.Fatalf("no %q in the output:\n%s", pattern, o)
		}
	}
}

// program runs the command with args until it ends by itself.
func program(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	code = run(args, &env{ctx: ctx, stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs})
	return code, out.String(), errs.String()
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string // in one line on standard error, or on standard output for code 0
	}{
		{"help", []string{"--help"}, exitOK, "serve"},
		{"serve help", []string{"serve", "--help"}, exitOK, "--drain-timeout"},
		{"version", []string{"version"}, exitOK, "millrace "},
		{"no command", nil, exitUsage, "expected one of"},
		{"unknown command", []string{"sevre"}, exitUsage, "sevre"},
		{"unknown flag", []string{"serve", "--demmo"}, exitUsage, "unknown flag --demmo"},
		{"bad duration", []string{"serve", "--drain-timeout=x"}, exitUsage, "--drain-timeout"},
		{"bad level", []string{"serve", "--log-level=loud"}, exitUsage, "--log-level"},
		{"negative", []string{"serve", "--workers=-1"}, exitUsage, "--workers"},
		{"path", []string{"serve", "--path=mcp"}, exitUsage, "--path"},
		{"socket mode", []string{"serve", "--listen=unix:/tmp/none/s", "--socket-mode=rw"}, exitUsage, "0660"},
		{"socket owner", []string{"serve", "--listen=unix:/tmp/none/s", "--socket-owner=nobody-of-that-name"}, exitUsage, "--socket-owner"},
		{"socket group", []string{"serve", "--listen=unix:/tmp/none/s", "--socket-owner=0:nobody-of-that-name"}, exitUsage, "--socket-owner"},
		{"socket path", []string{"serve", "--admin=", "--listen=unix:s"}, exitFailure, "absolute"},
		{"rate", []string{"serve", "--rate-limit=fast"}, exitUsage, "100/s"},
		{"tool rate", []string{"serve", "--tool-rate=echo"}, exitUsage, "--tool-rate"},
		{"cost without a rate", []string{"serve", "--request-cost=tools/call=5"}, exitUsage, "--rate-limit"},
		{"cost above the burst", []string{"serve", "--admin=", "--rate-limit=1/s:2", "--request-cost=tools/call=5"}, exitFailure, "burst"},
		{"connections of an address", []string{"serve", "--max-connections-per-address=-1"}, exitUsage, "--max-connections-per-address"},
		{"calls of a principal", []string{"serve", "--max-in-flight-per-principal=-1"}, exitUsage, "--max-in-flight-per-principal"},
		{"tools at once", []string{"serve", "--tool-concurrency=echo=0"}, exitUsage, "--tool-concurrency"},
		{"sessions of a principal", []string{"serve", "--max-sessions-per-principal=-1"}, exitUsage, "--max-sessions-per-principal"},
		{"proxies", []string{"serve", "--trusted-proxies=x"}, exitUsage, "--trusted-proxies"},
		{"open bind", []string{"serve", "--admin=", "--listen=0.0.0.0:0"}, exitFailure, "--insecure"},
		{"address", []string{"serve", "--admin=", "--listen=8080"}, exitFailure, "want host:port"},
		{"open admin", []string{"serve", "--listen=127.0.0.1:0", "--admin=0.0.0.0:0"}, exitFailure, "loopback"},
		{"pprof without admin", []string{"serve", "--listen=127.0.0.1:0", "--admin=", "--pprof"}, exitUsage, "--admin"},
		{"negative drain", []string{"serve", "--drain-timeout=-5s"}, exitUsage, "--drain-timeout"},
		{"negative for stdio", []string{"stdio", "--max-body=-5"}, exitUsage, "--max-body"},
		{"no tool time", []string{"stdio", "--tool-timeout=0"}, exitUsage, "--tool-timeout"},
		{"key file", []string{"serve", "--listen=127.0.0.1:0", "--admin=", "--key-file=/nonexistent"}, exitFailure, "/nonexistent"},
		{"no admin token", []string{"serve", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--admin-token-file=/nonexistent"}, exitFailure, "admin token"},
		{"empty admin token", []string{"serve", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--admin-token-file=/dev/null"}, exitFailure, "admin token"},
		{"too many connections", []string{"serve", "--listen=127.0.0.1:0", "--admin=", "--max-connections=100000000"}, exitFailure, "ulimit -n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := program(t, "", tt.args...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d; stderr: %s", code, tt.code, stderr)
			}
			if code == exitOK {
				if !strings.Contains(stdout, tt.want) {
					t.Errorf("standard output lacks %q:\n%s", tt.want, stdout)
				}
				return
			}
			last := lastLine(stderr)
			if !strings.HasPrefix(last, "millrace: ") || !strings.Contains(last, tt.want) {
				t.Errorf("last line is %q, want one that says %q", last, tt.want)
			}
		})
	}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

func TestDevelVersion(t *testing.T) {
	const revision = "0123456789abcdef0123456789abcdef01234567"
	for want, settings := range map[string][]debug.BuildSetting{
		"devel":                       {{Key: "CGO_ENABLED", Value: "0"}},
		"devel-0123456789ab":          {{Key: "vcs.revision", Value: revision}, {Key: "vcs.modified", Value: "false"}},
		"devel-0123456789ab-modified": {{Key: "vcs.revision", Value: revision}, {Key: "vcs.modified", Value: "true"}},
	} {
		if got := develVersion(settings); got != want {
			t.Errorf("%v: %s, want %s", settings, got, want)
		}
	}
}

func TestVersionJSON(t *testing.T) {
	code, stdout, _ := program(t, "", "version", "--json")
	var v struct {
		Version          string
		ProtocolVersions []string
	}
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || code != exitOK {
		t.Fatalf("exit code %d, %v: %s", code, err, stdout)
	}
	if v.Version == "" || len(v.ProtocolVersions) != 5 {
		t.Errorf("version %q, protocol versions %v", v.Version, v.ProtocolVersions)
	}
}

// daemon is a serve command on free ports.
type daemon struct {
	errs  *output
	stop  context.CancelFunc
	force chan struct{}
	code  chan int
}

func startDaemon(t *testing.T, args ...string) *daemon {
	t.Helper()
	return startDaemonWith(t, func(*env) {}, args...)
}

// startDaemonWith lets change what it sees of the world.
func startDaemonWith(t *testing.T, change func(*env), args ...string) *daemon {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	d := &daemon{errs: newOutput(), stop: cancel, force: make(chan struct{}), code: make(chan int, 1)}
	e := &env{ctx: ctx, stdin: strings.NewReader(""), stdout: io.Discard, stderr: d.errs, force: d.force}
	change(e)
	go func() { d.code <- run(append([]string{"serve"}, args...), e) }()
	t.Cleanup(cancel)
	return d
}

func (d *daemon) wait(t *testing.T) int {
	t.Helper()
	select {
	case c := <-d.code:
		return c
	case <-time.After(20 * time.Second):
		t.Fatalf("the daemon does not end:\n%s", d.errs)
		return -1
	}
}

const echoCall = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s,` +
	`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`

func callTool(t *testing.T, url, tool, args string) string {
	t.Helper()
	return answer(t, newCall(t, url, tool, args))
}

// newPost is a request of 2026-07-28.
func newPost(t *testing.T, url, method, name, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, "Mcp-Name": name,
	} {
		req.Header.Set(k, v)
	}
	return req
}

// newCall is a call of a tool.
func newCall(t *testing.T, url, tool, args string) *http.Request {
	t.Helper()
	return newPost(t, url, "tools/call", tool, strings.Replace(strings.Replace(echoCall, "%q", `"`+tool+`"`, 1), "%s", args, 1))
}

// post sends a request of 2026-07-28 and returns the body of the answer.
func post(t *testing.T, url, method, name, body string) string {
	t.Helper()
	return answer(t, newPost(t, url, method, name, body))
}

// answer sends a request on a connection of its own and returns the body.
func answer(t *testing.T, req *http.Request) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestServe(t *testing.T) {
	d := startDaemon(t, "--demo", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--pprof", "--log-level=debug", "--log-format=json")
	url := d.errs.find(t, `endpoint +(http://\S+)`)
	admin := d.errs.find(t, `admin +http://(\S+)/stats`)
	d.errs.find(t, `client +({"mcpServers".*})`)
	for _, tt := range []struct{ tool, args, want string }{
		{"echo", `{"text":"hi"}`, `"text":"hi"`},
		{"add", `{"a":2,"b":3}`, `"structuredContent":{"sum":5}`},
		{"sleep", `{"seconds":0.01}`, `slept 10ms`},
		{"sleep", `{"seconds":-1}`, `must be between 0 and 3600`},
		{"add", `{"a":2}`, `\"b\"`},
	} {
		if got := callTool(t, url, tt.tool, tt.args); !strings.Contains(got, tt.want) {
			t.Errorf("%s %s answered %s, want it to contain %s", tt.tool, tt.args, got, tt.want)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/stats", "/debug/pprof/symbol"} {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := client.Get("http://" + admin + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s answered %d", path, res.StatusCode)
		}
	}
	if strings.Contains(d.errs.String(), `"hi"`) {
		t.Error("an argument value is in the logs")
	}
	d.stop()
	if code := d.wait(t); code != exitOK {
		t.Errorf("exit code %d after a drain, want 0:\n%s", code, d.errs)
	}
}

func TestEnvironmentTwin(t *testing.T) {
	t.Setenv("MILLRACE_LISTEN", "127.0.0.1:0")
	t.Setenv("MILLRACE_ADMIN", "127.0.0.1:0")
	t.Setenv("MILLRACE_PATH", "/elsewhere")
	d := startDaemon(t)
	if url := d.errs.find(t, `endpoint +(http://\S+)`); !strings.HasSuffix(url, "/elsewhere") {
		t.Errorf("endpoint %s ignores MILLRACE_PATH", url)
	}
	d.stop()
	if code := d.wait(t); code != exitOK {
		t.Errorf("exit code %d, want 0", code)
	}
}

func TestPortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, args := range [][]string{
		{"serve", "--admin=", "--listen=" + ln.Addr().String()},
		{"serve", "--listen=127.0.0.1:0", "--admin=" + ln.Addr().String()},
	} {
		code, _, stderr := program(t, "", args...)
		if code != exitFailure || !strings.Contains(lastLine(stderr), "in use") || !strings.Contains(lastLine(stderr), ln.Addr().String()) {
			t.Errorf("%v: exit code %d, want 1 and a line that names the address:\n%s", args, code, stderr)
		}
	}
}

// A second signal does not wait for the tool that is still running.
func TestForce(t *testing.T) {
	d := startDaemon(t, "--demo", "--listen=127.0.0.1:0", "--admin=", "--drain-timeout=60s")
	url := d.errs.find(t, `endpoint +(http://\S+)`)
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/mcp"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := strings.Replace(strings.Replace(echoCall, "%q", `"sleep"`, 1), "%s", `{"seconds":5}`, 1)
	head := "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\n" +
		"Mcp-Method: tools/call\r\nMcp-Name: sleep\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
	if _, err := io.WriteString(conn, head+body); err != nil {
		t.Fatal(err)
	}
	d.stop()
	d.errs.find(t, "(draining)")
	close(d.force)
	if code := d.wait(t); code != exitFailure {
		t.Errorf("exit code %d after a second signal, want 1", code)
	}
	conn.Close()
}

func TestStdio(t *testing.T) {
	in := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"text":"over stdio"}}}
`
	code, stdout, stderr := program(t, in, "stdio", "--demo")
	if code != exitOK {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != 2 || !strings.Contains(lines[1], "over stdio") {
		t.Errorf("standard output:\n%s", stdout)
	}
	for _, l := range lines {
		if !json.Valid([]byte(l)) {
			t.Errorf("standard output holds something else than a message: %q", l)
		}
	}
}

// A server without tools is nearly always a flag forgotten.
func TestNoTools(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want bool
	}{{[]string{"stdio"}, true}, {[]string{"stdio", "--demo"}, false}} {
		_, _, stderr := program(t, "", tt.args...)
		if got := strings.Contains(stderr, "there are no tools: --demo"); got != tt.want {
			t.Errorf("%q: a warning is %v, want %v: %s", tt.args, got, tt.want, stderr)
		}
	}
}
