package generator

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"millrace/benchmarks/client"
)

func TestTemplates(t *testing.T) {
	for _, era := range []client.Era{client.Legacy, client.Modern} {
		ask := Echo("echo", 50)
		body := ask.body(era)
		if !json.Valid(body) {
			t.Fatalf("body is no JSON: %s", body)
		}
		post := httpTemplate(&client.Request{Verb: "POST", Path: "/mcp", Host: "x"}, body)
		want := strings.Replace(string(body), firstIDText, "1000000042", 1)
		if got := string(post.append(nil, 1_000_000_042)); !strings.HasSuffix(got, "\r\n\r\n"+want) {
			t.Errorf("post %q, want the body %q", got, want)
		}
		frame := frameTemplate(body)
		masked := frame.append([]byte("before"), 1_000_000_042)[len("before"):]
		plain := unmask(t, masked)
		if string(plain) != want {
			t.Errorf("frame %q, want %q", plain, want)
		}
	}
}

// unmask reads a frame with a length of 16 bits, as a server does.
func unmask(t *testing.T, frame []byte) []byte {
	t.Helper()
	if len(frame) < 8 || frame[1] != 0x80|126 {
		t.Fatalf("frame % x", frame[:8])
	}
	key, payload := frame[4:8], bytes.Clone(frame[8:])
	for i := range payload {
		payload[i] ^= key[i&3]
	}
	return payload
}

func TestPattern(t *testing.T) {
	mark := markOf(7)
	p, ok := learn([]byte(`{"t":"m0000007 x","id":1000000003,"u":"m0000007"}`), 1_000_000_003, string(mark[:]))
	if !ok {
		t.Fatal("not learned")
	}
	other := markOf(8)
	for _, tt := range []struct {
		name, answer string
		mark         [markDigits]byte
		id           int64
		ok           bool
	}{
		{"the same", `{"t":"m0000007 x","id":1000000003,"u":"m0000007"}`, mark, 1_000_000_003, true},
		{"another id", `{"t":"m0000007 x","id":1234567890,"u":"m0000007"}`, mark, 1_234_567_890, true},
		{"another connection", `{"t":"m0000008 x","id":1234567890,"u":"m0000008"}`, other, 1_234_567_890, true},
		{"an answer of another connection", `{"t":"m0000007 x","id":1234567890,"u":"m0000007"}`, other, 0, false},
		{"half of another connection", `{"t":"m0000008 x","id":1234567890,"u":"m0000007"}`, other, 0, false},
		{"id of letters", `{"t":"m0000007 x","id":12345678a0,"u":"m0000007"}`, mark, 0, false},
		{"other text before", `{"T":"m0000007 x","id":1234567890,"u":"m0000007"}`, mark, 0, false},
		{"other text between", `{"t":"m0000007 y","id":1234567890,"u":"m0000007"}`, mark, 0, false},
		{"other text behind", `{"t":"m0000007 x","id":1234567890,"u":"m0000007"]`, mark, 0, false},
		{"shorter", `{"t":"m0000007 x","id":1234567890,"u":"m0000007"`, mark, 0, false},
		{"nothing", ``, mark, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id, ok := p.match([]byte(tt.answer), &tt.mark)
			if ok != tt.ok || ok && id != tt.id {
				t.Errorf("match = %d, %v, want %d, %v", id, ok, tt.id, tt.ok)
			}
		})
	}
	if _, ok := learn([]byte(`{"id":1000000003,"t":1000000003}`), 1_000_000_003, "m0000007"); ok {
		t.Error("learned an answer in which the id stands twice")
	}
	fixed, ok := learn([]byte(`{"id":1}`), 0, "m0000007")
	if !ok {
		t.Fatal("fixed answer not learned")
	}
	if id, ok := fixed.match([]byte(`{"id":1}`), &mark); !ok || id != 0 {
		t.Errorf("fixed answer: %d, %v", id, ok)
	}
}

// A message that is right costs nothing on the heap.
func TestAllocs(t *testing.T) {
	ask := Echo("echo", 50)
	tmpl := frameTemplate(ask.body(client.Modern))
	mark := markOf(0)
	answer := []byte(`{"id":1000000000,"text":"m0000000 fifty"}`)
	p, _ := learn(answer, firstID, Mark)
	out := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		out = tmpl.append(out[:0], firstID+1)
		if _, ok := p.match(answer, &mark); !ok {
			t.Fatal("no match")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSchedule(t *testing.T) {
	// Two workers share 1,000 requests a second.
	a, b := newSchedule(1000, 5, 0, 2), newSchedule(1000, 5, 1, 2)
	for i := range 4 {
		for j, s := range []*schedule{&a, &b} {
			n, at := s.next()
			if want := int64(5 + (2*i+j)*1e6); n != int64(i) || at != want {
				t.Errorf("request %d of worker %d: number %d at %d, want %d at %d", i, j, n, at, i, want)
			}
			s.advance()
		}
	}
}

func TestMark(t *testing.T) {
	if m := markOf(15_000); string(m[:]) != "m0015000" {
		t.Errorf("mark %q", m)
	}
}
