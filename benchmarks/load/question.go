package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"millrace/benchmarks/client"
)

// question is a call of a demo tool together with the answer it must get. It reuses its memory.
type question struct {
	client.Call
	text     string
	sum      int64
	progress float64 // the last one seen
	notified int
}

// control is a character that the server takes out of what tools say (docs/security.md, TOOL-3).
const control = "\x01"

// alphabet makes texts that test escaping and UTF-8 on the way there and back.
var alphabet = []string{"a", "b", "c", "lorem ", "ipsum ", "0", "\"", "\\", "\n", "\t", "/", "<", "é", "水", "😀", "\u2028", control}

// ask makes q a random question: mostly echo, often add, seldom a sleep with progress.
func (q *question) ask(r *rand.Rand, era client.Era, id int64) {
	switch n := r.IntN(100); {
	case n < 60:
		q.askEcho(era, id, randomText(r))
	case n < 98:
		q.askAdd(era, id, r.Int64N(1<<40)-1<<39, r.Int64N(1<<40))
	default:
		q.askSleep(era, id, 0.01+0.04*r.Float64())
	}
}

// randomText is short as a rule, and now and then longer than one read of the server.
func randomText(r *rand.Rand) string {
	n := r.IntN(100)
	if r.IntN(50) == 0 {
		n = r.IntN(8000)
	}
	var b strings.Builder
	for range n {
		b.WriteString(alphabet[r.IntN(len(alphabet))])
	}
	return b.String()
}

func (q *question) askEcho(era client.Era, id int64, text string) {
	q.reset(era, id, "echo")
	q.text = strings.ReplaceAll(text, control, "")
	q.Args = append(client.AppendString(append(q.Args, `{"text":`...), text), '}')
}

func (q *question) askAdd(era client.Era, id, a, b int64) {
	q.reset(era, id, "add")
	q.sum = a + b
	q.Args = fmt.Appendf(q.Args, `{"a":%d,"b":%d}`, a, b)
}

func (q *question) askSleep(era client.Era, id int64, seconds float64) {
	q.reset(era, id, "sleep")
	q.Progress = true
	q.Args = strconv.AppendFloat(append(q.Args, `{"seconds":`...), seconds, 'f', 3, 64)
	q.Args = append(q.Args, '}')
}

func (q *question) reset(era client.Era, id int64, tool string) {
	q.Call = client.Call{Era: era, ID: id, Tool: tool, Args: q.Args[:0]}
	q.text, q.sum, q.progress, q.notified = "", 0, 0, 0
}

// refusal is an error answer, proper in form: the server did not run the call.
type refusal struct {
	code    int
	message string
}

func (e *refusal) Error() string { return fmt.Sprintf("error answer %d: %s", e.code, e.message) }

// check judges the answer to q.
func (q *question) check(a *client.Answer) error {
	switch {
	case !a.HasID || a.ID != q.ID:
		return fmt.Errorf("%s: answer for id %d, want %d", q.Tool, a.ID, q.ID)
	case a.Failed:
		return fmt.Errorf("%s: %w", q.Tool, &refusal{a.Code, string(a.Message)})
	case a.ToolError:
		return fmt.Errorf("%s: tool error: %.200s", q.Tool, a.Text)
	}
	switch q.Tool {
	case "echo":
		if string(a.Text) != q.text {
			return fmt.Errorf("echo: text %.80q, want %.80q", a.Text, q.text)
		}
	case "add":
		var out struct{ Sum json.Number }
		if err := json.Unmarshal(a.Structured, &out); err != nil {
			return fmt.Errorf("add: structured content %.80q: %w", a.Structured, err)
		}
		if got, err := out.Sum.Int64(); err != nil || got != q.sum {
			return fmt.Errorf("add: sum %s, want %d", out.Sum, q.sum)
		}
	}
	return nil
}

// progressed judges a progress notification for q. MCP, basic/utilities/progress: "The progress value MUST increase
// with each notification".
func (q *question) progressed(a *client.Answer) error {
	switch {
	case string(a.Method) != "notifications/progress":
		return fmt.Errorf("%s: unexpected message %s", q.Tool, a.Method)
	case !q.Progress || a.Token != q.ID:
		return fmt.Errorf("%s: progress for token %d, want %d", q.Tool, a.Token, q.ID)
	case q.notified > 0 && a.Progress <= q.progress:
		return fmt.Errorf("%s: progress %v after %v", q.Tool, a.Progress, q.progress)
	}
	q.progress = a.Progress
	q.notified++
	return nil
}

var errInvalidJSON = errors.New("answer is not valid JSON")

// parseMessage reads a message, all of which must be JSON.
func parseMessage(a *client.Answer, msg []byte) error {
	if !json.Valid(msg) {
		return fmt.Errorf("%w: %.200q", errInvalidJSON, msg)
	}
	return a.Parse(msg)
}
