package transport

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"millrace/loop"
	"millrace/loop/looptest"
	"millrace/pool/buffer"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// A transcript is a txtar archive. The words of its first comment line set it
// up: "away" detaches every request, "greeting" greets, "ws-only" is a
// WebSocket-only address. Its files are steps:
//
//	client   bytes the client sends: HTTP, each line of a head ended by CRLF
//	text     one WebSocket text message of the client
//	worker   what a worker does: notify M, event ID RETRY [M] ("-" for no ID),
//	         respond STATUS [M], last STATUS ID M, open [SESSION], end
//	advance  a duration to let pass
//	drain    the server begins to shut down
//	server   the bytes that come back until here
//
// In "server", \r shows a CR; frames are shown one a line after "frame".
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			a := txtar.Parse(data)
			play(t, a, -1, *update)
			if *update {
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for cut := range longest(a) {
				play(t, a, cut, false)
				if t.Failed() {
					t.Fatalf("with everything cut at byte %d", cut)
				}
			}
		})
	}
}

// longest is the length of the longest step of the client.
func longest(a *txtar.Archive) (n int) {
	for _, f := range a.Files {
		n = max(n, len(clientBytes(f)))
	}
	return n
}

// play runs a transcript. What the client sends is cut in two at cut; where
// that is the first byte, into single bytes.
func play(t *testing.T, a *txtar.Archive, cut int, rewrite bool) {
	t.Helper()
	flags := strings.Fields(string(a.Comment))
	has := func(word string) bool {
		for _, f := range flags {
			if f == word {
				return true
			}
		}
		return false
	}
	cfg := Config{Listeners: []Listener{{Loopback: true, HTTP: !has("ws-only"), WebSocket: true}}, AllowedOrigins: []string{"https://app.example"}}
	if has("greeting") {
		cfg.Greeting = func() []byte { return []byte(`{"greeting":1}`) }
	}
	g := newRig(cfg, &script{})
	if has("away") {
		g.up.dispatch = func(r *Request, _ Stream) { g.request, g.stream = r.Detach(true) }
	}
	p := g.open()
	for i := range a.Files {
		f := &a.Files[i]
		switch f.Name {
		case "client", "text":
			feed(p, clientBytes(*f), cut)
		case "worker":
			g.worker(func(s Stream) { perform(t, s, string(f.Data)) })
		case "advance":
			d, err := time.ParseDuration(strings.TrimSpace(string(f.Data)))
			if err != nil {
				t.Fatal(err)
			}
			g.Advance(d)
		case "drain":
			g.Drain()
		case "server":
			got := show(t, p)
			if rewrite {
				f.Data = got
			} else if !bytes.Equal(got, f.Data) {
				t.Errorf("step %d\n got\n%s\nwant\n%s", i, got, f.Data)
			}
		default:
			t.Fatalf("unknown step %q", f.Name)
		}
	}
}

func feed(p *loop.Pipe, b []byte, cut int) {
	if cut == 0 {
		for i := range b {
			p.Feed(b[i : i+1])
		}
		return
	}
	cut = min(max(cut, 0), len(b))
	p.Feed(b[:cut])
	p.Feed(b[cut:])
}

func clientBytes(f txtar.File) []byte {
	switch f.Name {
	case "text":
		return looptest.Text(strings.TrimSuffix(string(f.Data), "\n"))
	case "client":
		head, body, _ := strings.Cut(string(f.Data), "\n\n")
		return []byte(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + strings.TrimSuffix(body, "\n"))
	}
	return nil
}

func perform(t *testing.T, s Stream, steps string) {
	for line := range strings.Lines(steps) {
		verb, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch verb {
		case "notify":
			notify(s, []byte(rest))
		case "event":
			s.Send(parseEvent(t, rest))
		case "open":
			s.Open(rest)
		case "end":
			s.End()
		case "respond", "last":
			code, body, _ := strings.Cut(rest, " ")
			status, err := strconv.Atoi(code)
			if err != nil {
				t.Errorf("status %q", code)
			}
			r := Response{Status: status}
			if verb == "last" {
				r.EventID, body, _ = strings.Cut(body, " ")
			}
			if body != "" {
				r.Body = buffer.Copy([]byte(body))
			}
			s.Respond(r)
		default:
			t.Errorf("unknown verb %q", verb)
		}
	}
}

// parseEvent reads "ID RETRY [MESSAGE]".
func parseEvent(t *testing.T, s string) (e Event) {
	id, rest, _ := strings.Cut(s, " ")
	retry, data, ok := strings.Cut(rest, " ")
	if id != "-" {
		e.ID = id
	}
	if ok {
		e.Data = []byte(data)
	}
	var err error
	if e.Retry, err = time.ParseDuration(retry); err != nil {
		t.Error(err)
	}
	return e
}

// show makes output readable and forgets it.
func show(t *testing.T, p *loop.Pipe) []byte {
	t.Helper()
	out := string(p.Output())
	var text string
	if head, rest, ok := strings.Cut(out, "\r\n\r\n"); ok && strings.HasPrefix(out, "HTTP/1.1 101") {
		text, out = head+"\r\n\r\n", rest
	}
	if text != "" || p.Conn != nil && p.Conn.IsWebSocket() || len(out) > 0 && out[0] >= 0x80 {
		frames, err := looptest.Frames([]byte(out))
		if err != nil {
			t.Errorf("frames %q: %v", out, err)
		}
		for _, f := range frames {
			text += fmt.Sprintf("frame %x %d %s\n", f.Op, f.Code, f.Payload)
		}
	} else {
		text += out
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if p.FIN {
		text += "FIN\n"
	}
	return []byte(strings.ReplaceAll(text, "\r", `\r`))
}
