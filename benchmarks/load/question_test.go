package main

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"millrace/benchmarks/client"
)

// TestQuestionAsk answers random questions as a right server would, and then as wrong ones would.
func TestQuestionAsk(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var q question
	tools := map[string]int{}
	for id := range int64(2000) {
		q.ask(rng, client.Era(id%2), id)
		tools[q.Tool]++
		var args struct {
			Text    string
			A, B    int64
			Seconds float64
		}
		if err := json.Unmarshal(q.Args, &args); err != nil {
			t.Fatalf("arguments %s: %v", q.Args, err)
		}
		a := client.Answer{HasID: true, ID: id, Text: []byte(strings.ReplaceAll(args.Text, control, ""))}
		a.Structured = strconv.AppendInt([]byte(`{"sum":`), args.A+args.B, 10)
		a.Structured = append(a.Structured, '}')
		if err := q.check(&a); err != nil {
			t.Fatalf("right answer to %s: %v", q.Append(nil), err)
		}
		a.Text = append(a.Text, '!')
		a.Structured = []byte(`{"sum":1e99}`)
		if err := q.check(&a); err == nil && q.Tool != "sleep" {
			t.Fatalf("wrong answer to %s accepted", q.Append(nil))
		}
	}
	for _, name := range []string{"echo", "add", "sleep"} {
		if tools[name] == 0 {
			t.Errorf("%s was never called", name)
		}
	}
}

func TestQuestionCheckRejects(t *testing.T) {
	var q question
	q.askEcho(client.Legacy, 7, "x")
	for _, a := range []client.Answer{
		{ID: 7, Text: []byte("x")},
		{HasID: true, ID: 8, Text: []byte("x")},
		{HasID: true, ID: 7, Failed: true, Code: -32000},
		{HasID: true, ID: 7, ToolError: true, Text: []byte("x")},
		{HasID: true, ID: 7, Text: []byte("y")},
	} {
		if err := q.check(&a); err == nil {
			t.Errorf("accepted %+v", a)
		}
	}
}

func TestQuestionProgressed(t *testing.T) {
	var q question
	q.askSleep(client.Modern, 3, 1)
	progress := func(token int64, v float64) *client.Answer {
		return &client.Answer{Method: []byte("notifications/progress"), Token: token, Progress: v}
	}
	for _, v := range []float64{0, 0.5, 1} {
		if err := q.progressed(progress(3, v)); err != nil {
			t.Error(err)
		}
	}
	for _, a := range []*client.Answer{progress(3, 1), progress(3, 0.9), progress(4, 2), {Method: []byte("ping"), Token: 3}} {
		if err := q.progressed(a); err == nil {
			t.Errorf("accepted %+v", a)
		}
	}
}
