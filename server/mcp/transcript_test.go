package mcp

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/tools/txtar"

	"millrace/server/seal"
)

var update = flag.Bool("update", false, "write what the server answers into testdata/*.txtar")

// TestTranscripts replays testdata/*.txtar. The file "client" holds a message a
// line; the file "server" what comes back for each: first what was sent ahead of
// the answer, "~" on the stream of the call and "=" on that of the session, then
// the status and the answer, "-" for notifications and "open" for a subscription.
// Comment lines of "client" begin with #, and those with ! do something to the
// server, see transcript.act. In messages $META, $ALL, $TASKS and $LOG stand for
// a _meta object (of a client without capabilities, with all of them, with
// tasks, and of one that wants log messages from warning on), and $STATE, $CURSOR
// and $TASK for the latest one that the server has sent.
//
// "version" is the revision of the session, or "none" for a client that has yet
// to initialize; "fixture" is the server, "whole" or by default the one that has
// nothing but tools. Time stands still but for !wait.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { replay(t, file) })
		})
	}
}

func replay(t *testing.T, file string) {
	ar, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	var want *txtar.File
	for i, f := range ar.Files {
		sections[f.Name] = string(f.Data)
		if f.Name == "server" {
			want = &ar.Files[i]
		}
	}
	tr := newTranscript(t, strings.TrimSpace(sections["version"]), strings.TrimSpace(sections["fixture"]), strings.TrimSpace(sections["capabilities"]))
	for line := range strings.Lines(sections["client"]) {
		switch line = strings.TrimSpace(line); {
		case line == "" || line[0] == '#':
		case line[0] == '!':
			tr.act(line[1:])
		default:
			tr.send(line)
		}
	}
	tr.end()
	if *update {
		want.Data = []byte(tr.got.String())
		if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	wantLines, gotLines := strings.Split(string(want.Data), "\n"), strings.Split(tr.got.String(), "\n")
	for i := range min(len(gotLines), len(wantLines)) {
		if gotLines[i] != wantLines[i] {
			t.Errorf("line %d:\n got %s\nwant %s", i+1, gotLines[i], wantLines[i])
		}
	}
	if len(wantLines) != len(gotLines) {
		t.Errorf("%d lines, want %d", len(gotLines), len(wantLines))
	}
}

// transcript is one replay.
type transcript struct {
	*client
	t       *testing.T
	got     strings.Builder
	replies map[string]string // by method
	latest  map[string]string // of $STATE and the others
	subs    []*Subscription
	streams []*wire // of subs
}

func newTranscript(t *testing.T, version, fixtureName, caps string) *transcript {
	o := quiet()
	o.Instructions = "be kind"
	o.PageSize = 4
	tr := &transcript{t: t, replies: make(map[string]string), latest: make(map[string]string)}
	var s *Server
	if fixtureName == "whole" {
		s = whole(o)
	} else {
		o.PageSize = 0
		s = fixture(o)
	}
	s.SetKeys(seal.NewRandom())
	switch {
	case version == "none":
		tr.client = &client{t: t, s: s, peer: &wire{}, notifier: &wire{}}
		tr.session = s.NewSession("session-1", tr.peer)
	case caps != "":
		tr.client = dialWith(t, s, version, caps)
	default:
		tr.client = dial(t, s, version)
	}
	if tr.session != nil {
		s.Attach(tr.session)
	}
	tr.notifier.reply = func(method, _ string) (json.RawMessage, error) { return json.RawMessage(tr.replies[method]), nil }
	return tr
}

// act is what happens on the server's side: "updated URI", "tool NAME",
// "prompt NAME", "resource URI", "remove NAME" (a tool), "wait DURATION", "reply
// METHOD RESULT" (how the client answers from now on), "close" (of all
// subscriptions, by the server).
func (tr *transcript) act(what string) {
	verb, arg, _ := strings.Cut(what, " ")
	switch verb {
	case "updated":
		if err := tr.s.ResourceUpdated(tr.t.Context(), &ResourceUpdatedNotificationParams{URI: arg, Meta: Meta{"example.com/u": 1}}); err != nil {
			tr.t.Error(err)
		}
	case "tool":
		AddTool(tr.s, &Tool{Name: arg}, echo)
	case "remove":
		tr.s.RemoveTools(arg)
	case "prompt":
		tr.s.AddPrompt(&Prompt{Name: arg}, func(context.Context, *GetPromptRequest) (*GetPromptResult, error) { return nil, nil })
	case "resource":
		tr.s.AddResource(&Resource{URI: arg, Name: arg}, func(context.Context, *ReadResourceRequest) (*ReadResourceResult, error) { return nil, nil })
	case "wait":
		d, err := time.ParseDuration(arg)
		if err != nil {
			tr.t.Fatal(err)
		}
		time.Sleep(d)
	case "reply":
		method, result, _ := strings.Cut(arg, " ")
		tr.replies[method] = result
	case "close":
		for _, sub := range tr.subs {
			sub.Close()
			tr.write("~", string(sub.AppendCancelled(nil, "a reason")))
			tr.write("200", string(sub.AppendEnd(nil)))
		}
		tr.subs = nil
	default:
		tr.t.Fatalf("no such action: %s", what)
	}
	tr.events()
}

// send runs a message of the client.
func (tr *transcript) send(line string) {
	line = tr.expand(line)
	if strings.Contains(line, `"`+MethodListen+`"`) && tr.session == nil {
		tr.listen(line)
		return
	}
	done := make(chan struct{})
	var out string
	var status int
	go func() {
		defer close(done)
		out, status = tr.raw(line)
	}()
	synctest.Wait()
	tr.events()
	if early := tr.notifier.takeAnswers(); early != nil {
		tr.write("200", early[0]) // the handler goes on, as a task
		return
	}
	<-done
	tr.events()
	if out == "" {
		out = "-"
	}
	tr.write(strconv.Itoa(status), out)
}

func (tr *transcript) listen(line string) {
	call, err := tr.parse(line)
	if err != nil {
		tr.t.Fatal(err)
	}
	stream := &wire{} // of its own: the order between subscriptions is nobody's business
	call.Host, call.Notifier = stream, stream
	tr.streams = append(tr.streams, stream)
	sub, out, status := tr.s.Listen(tr.t.Context(), call, nil)
	tr.events()
	if sub == nil {
		tr.write(strconv.Itoa(status), string(out))
		return
	}
	tr.subs = append(tr.subs, sub)
	tr.write("200", "open")
}

// end is the end of a client and of what it has left behind.
func (tr *transcript) end() {
	for _, sub := range tr.subs {
		sub.Close()
	}
	tr.s.StopTasks()
	synctest.Wait()
}

// events writes what has been sent outside of answers.
func (tr *transcript) events() {
	synctest.Wait()
	for _, msg := range tr.notifier.take() {
		tr.write("~", msg)
	}
	for _, stream := range tr.streams {
		for _, msg := range stream.take() {
			tr.write("~", msg)
		}
	}
	for _, msg := range tr.peer.take() {
		tr.write("=", msg)
	}
}

// secrets are values that differ from run to run.
var secrets = regexp.MustCompile(`"(requestState|nextCursor|taskId)":"([^"]+)"`)

var placeholders = map[string]string{"requestState": "$STATE", "nextCursor": "$CURSOR", "taskId": "$TASK"}

// write adds a line, in which what differs from run to run is replaced.
func (tr *transcript) write(status, msg string) {
	if !json.Valid([]byte(msg)) && msg != "-" && msg != "open" {
		tr.t.Errorf("not JSON: %q", msg)
	}
	msg = secrets.ReplaceAllStringFunc(msg, func(member string) string {
		m := secrets.FindStringSubmatch(member)
		tr.latest[placeholders[m[1]]] = m[2]
		return `"` + m[1] + `":"` + placeholders[m[1]] + `"`
	})
	if id := tr.latest["$TASK"]; id != "" {
		msg = strings.ReplaceAll(msg, id, "$TASK") // in taskIds
	}
	tr.got.WriteString(status + " " + msg + "\n")
}

// expand replaces what begins with $.
func (tr *transcript) expand(line string) string {
	meta := func(caps, more string) string {
		return `"_meta":{"` + MetaKeyProtocolVersion + `":"2026-07-28","` + MetaKeyClientCapabilities + `":` + caps + more + `}`
	}
	pairs := []string{
		"$META", meta("{}", ""), "$ALL", meta(capsAll, ""), "$TASKS", meta(capsTasks, ""),
		"$LOG", meta("{}", `,"`+MetaKeyLogLevel+`":"warning"`),
	}
	for name, value := range tr.latest {
		pairs = append(pairs, name+`"`, value+`"`)
	}
	return strings.NewReplacer(pairs...).Replace(line)
}
