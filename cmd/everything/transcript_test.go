package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write what the server says into testdata/*.txtar")

// TestTranscripts replays testdata/*.txtar over WebSocket and over stdio: every
// feature is the same on both, to the byte. In the file "wire" a line with > is a
// message of the client ("> until TEXT" one that is sent again until the answer
// has TEXT in it), one with < the next message of the server, and # begins a
// comment. Lines with <~ that follow each other are messages whose order is not
// defined, sorted. At the end there must be no other message.
//
// What differs from run to run has a name: $TASK, $STATE, $TIME and the others of
// variables. Where the client uses them they are the latest that the server has
// sent. In what the client sends, $META stands for the _meta of a client of
// 2026-07-28 that has all capabilities, and $BARE for that of one without any.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name+"/websocket", func(t *testing.T) { replay(t, file, dialWebSocket(t)) })
		t.Run(name+"/stdio", func(t *testing.T) { replay(t, file, dialStdio(t)) })
	}
}

// wire is a connection to the server. Its reads fail after a while.
type wire struct {
	send func(msg string) error
	read func() (string, error)
}

func dialWebSocket(t *testing.T) wire {
	url := serve(t, "--page", "8")
	conn, buffered, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(url, "http"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	in := struct {
		io.Reader
		io.Writer
	}{conn, conn}
	if buffered != nil {
		in.Reader = io.MultiReader(buffered, conn)
	}
	return wire{
		send: func(msg string) error { return wsutil.WriteClientText(conn, []byte(msg)) },
		read: func() (string, error) {
			if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
				return "", err
			}
			msg, err := wsutil.ReadServerText(in)
			return string(msg), err
		},
	}
}

// patience is for answers that do not come.
const patience = 10 * time.Second

func dialStdio(t *testing.T) wire {
	ctx, cancel := context.WithCancel(t.Context())
	in, stdin := io.Pipe()
	stdout, out := net.Pipe() // for its deadline
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"--stdio", "--page", "8", "--log-level", "error"}, in, out, io.Discard)
	}()
	t.Cleanup(func() {
		stdin.Close()
		go func() { _, _ = io.Copy(io.Discard, stdout) }()
		if status := <-done; status != exitOK {
			t.Errorf("status %d", status)
		}
		cancel()
		stdout.Close()
	})
	lines := bufio.NewReader(stdout)
	return wire{
		send: func(msg string) error { _, err := io.WriteString(stdin, msg+"\n"); return err },
		read: func() (string, error) {
			if err := stdout.SetReadDeadline(time.Now().Add(patience)); err != nil {
				return "", err
			}
			line, err := lines.ReadString('\n')
			return strings.TrimSuffix(line, "\n"), err
		},
	}
}

// variables are what differs from run to run, by the member that has it.
var variables = map[string]string{
	"taskId": "$TASK", "requestState": "$STATE", "nextCursor": "$CURSOR", "elicitationId": "$ELICITATION",
	"createdAt": "$TIME", "lastUpdatedAt": "$TIME", "time": "$TIME",
}

var variable = regexp.MustCompile(`"(taskId|requestState|nextCursor|elicitationId|createdAt|lastUpdatedAt|time)":"([^"]*)"`)

const (
	info    = `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"transcript","version":"1"},`
	allCaps = `{"elicitation":{"form":{},"url":{}},"sampling":{"tools":{}},"roots":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}`
)

func replay(t *testing.T, file string, w wire) {
	ar, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(ar.Files) != 1 || ar.Files[0].Name != "wire" {
		t.Fatal("a transcript is one file, wire")
	}
	r := &transcript{t: t, wire: w, said: map[string]string{
		"$META": `"_meta":{` + info + `"io.modelcontextprotocol/clientCapabilities":` + allCaps + `}`,
		"$BARE": `"_meta":{` + info + `"io.modelcontextprotocol/clientCapabilities":{}}`,
	}}
	lines := strings.Split(strings.TrimSuffix(string(ar.Files[0].Data), "\n"), "\n")
	for i := 0; i < len(lines); {
		switch line := lines[i]; {
		case strings.HasPrefix(line, "> until "):
			text, msg, _ := strings.Cut(line[len("> until "):], " {")
			r.until(text, "{"+msg)
			i++
		case strings.HasPrefix(line, ">"):
			r.write(strings.TrimSpace(line[1:]))
			i++
		case strings.HasPrefix(line, "<"):
			n := i + 1
			for isAnyOrder(line) && n < len(lines) && isAnyOrder(lines[n]) {
				n++
			}
			r.expect(lines[i:n])
			i = n
		default:
			i++
		}
	}
	r.wantNothing()
	if *update {
		ar.Files[0].Data = []byte(strings.Join(lines, "\n") + "\n")
		if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func isAnyOrder(line string) bool { return strings.HasPrefix(line, "<~") }

// transcript is one replay.
type transcript struct {
	t *testing.T
	wire
	said  map[string]string // by name
	ahead []string          // messages that were read
}

func (r *transcript) write(msg string) {
	r.t.Helper()
	for name, value := range r.said {
		msg = strings.ReplaceAll(msg, name, value)
	}
	if err := r.send(msg); err != nil {
		r.t.Fatalf("sending %s: %v", msg, err)
	}
}

// next is what the server says next, with names for what differs.
func (r *transcript) next() string {
	r.t.Helper()
	if len(r.ahead) > 0 {
		msg := r.ahead[0]
		r.ahead = r.ahead[1:]
		return msg
	}
	msg, err := r.read()
	switch {
	case err != nil:
		r.t.Fatalf("the server says nothing: %v", err)
	case !json.Valid([]byte(msg)):
		r.t.Errorf("not JSON: %q", msg)
	}
	for _, m := range variable.FindAllStringSubmatch(msg, -1) {
		name := variables[m[1]]
		r.said[name] = m[2]
		msg = strings.Replace(msg, m[0], `"`+m[1]+`":"`+name+`"`, 1)
	}
	if id := r.said["$TASK"]; id != "" {
		msg = strings.ReplaceAll(msg, `"`+id+`"`, `"$TASK"`) // where it has no member of its own
	}
	return msg
}

// until sends a request again until the answer has text in it.
func (r *transcript) until(text, msg string) {
	r.t.Helper()
	for began := time.Now(); time.Since(began) < patience; time.Sleep(5 * time.Millisecond) {
		r.write(msg)
		if answer := r.next(); strings.Contains(answer, text) {
			r.ahead = append(r.ahead, answer)
			return
		}
	}
	r.t.Fatalf("%s is never answered with %s", msg, text)
}

// expect compares lines with what the server says, in any order where there are
// several, or replaces them.
func (r *transcript) expect(lines []string) {
	r.t.Helper()
	prefix := "< "
	if isAnyOrder(lines[0]) {
		prefix = "<~ "
	}
	var got []string
	for range lines {
		got = append(got, prefix+r.next())
	}
	slices.Sort(got)
	if *update {
		copy(lines, got)
		return
	}
	for i, want := range lines {
		if got[i] != want {
			r.t.Errorf(" got %s\nwant %s", got[i], want)
		}
	}
}

// wantNothing checks that the server has said all: the next message is the answer
// to a request that it gets.
func (r *transcript) wantNothing() {
	r.t.Helper()
	r.write(`{"jsonrpc":"2.0","id":"end","method":"no/such","params":{$BARE}}`)
	if msg := r.next(); !strings.Contains(msg, `"id":"end"`) {
		r.t.Errorf("the server also says %s", msg)
	}
}
