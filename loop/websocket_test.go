package loop_test

import (
	"fmt"
	"strings"
	"testing"

	"millrace/codec/http1"
	"millrace/codec/websocket"
	"millrace/loop"
	"millrace/loop/looptest"
	"millrace/pool/buffer"
)

func closeFrame(code uint16, reason string) looptest.Frame {
	return looptest.Frame{Op: looptest.OpClose, Code: code, Payload: reason}
}

func TestWebSocketEnds(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		want looptest.Frame
	}{
		{"peer closes", looptest.ClientClose(1000, "done"), closeFrame(1000, "")},
		{"peer closes without a code", looptest.ClientFrame(looptest.OpClose, true, nil), closeFrame(0, "")},
		{"binary", looptest.ClientFrame(looptest.OpBinary, true, []byte{1}), closeFrame(1003, "text messages only")},
		{"not masked", websocket.AppendText(nil, []byte("x")), closeFrame(1002, "")},
		{"UTF-8", looptest.Text("\xff"), closeFrame(1007, "invalid UTF-8 in text message")},
		{"too big", looptest.Text(strings.Repeat("x", 101)), closeFrame(1009, "message too big")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newWebSocket(t, loop.Config{WebSocket: websocket.Limits{MessageBytes: 100}}, nil)
			r.Feed(cat(looptest.Text("first"), tt.in, looptest.Text("ignored")))
			f := r.frames()
			if len(f) != 2 || f[0].Payload != "first" || f[1].Op != tt.want.Op || f[1].Code != tt.want.Code {
				t.Fatalf("frames %+v, want the echo and %+v", f, tt.want)
			}
			if tt.want.Payload != "" && f[1].Payload != tt.want.Payload {
				t.Errorf("reason %q, want %q", f[1].Payload, tt.want.Payload)
			}
			r.wantState(true, false)
			r.Feed(looptest.Text("ignored too"))
			r.Hangup()
			r.wantEvents("message first", "closed <nil>")
		})
	}
}

// TestBinary: binary messages are refused by default, in whatever pieces they
// come; with Config.Binary they reach the handler, which can tell them from text,
// and every rule that is not about text holds for them.
func TestBinary(t *testing.T) {
	binary := func(payload string) []byte { return looptest.ClientFrame(looptest.OpBinary, true, []byte(payload)) }
	frame := func(op byte, payload string) looptest.Frame { return looptest.Frame{Op: op, Payload: payload} }
	parts := cat(
		looptest.ClientFrame(looptest.OpBinary, false, []byte("\xffa")),
		looptest.ClientFrame(looptest.OpPing, true, []byte("p")),
		looptest.ClientFrame(looptest.OpContinuation, true, []byte("\xfe")))
	tests := []struct {
		name     string
		in       []byte
		admitted []looptest.Frame // with Config.Binary
		refused  []looptest.Frame // without
	}{
		{"text", looptest.Text("t"), []looptest.Frame{frame(looptest.OpText, "t")}, []looptest.Frame{frame(looptest.OpText, "t")}},
		{"binary", binary("\xff\x00"), []looptest.Frame{frame(looptest.OpBinary, "\xff\x00")}, []looptest.Frame{closeFrame(1003, "text messages only")}},
		{"empty", binary(""), []looptest.Frame{frame(looptest.OpBinary, "")}, []looptest.Frame{closeFrame(1003, "text messages only")}},
		{
			"in parts", parts,
			[]looptest.Frame{frame(looptest.OpPong, "p"), frame(looptest.OpBinary, "\xffa\xfe")},
			[]looptest.Frame{frame(looptest.OpPong, "p"), closeFrame(1003, "text messages only")},
		},
		{
			"text behind it is still checked", cat(binary("\xff"), looptest.Text("\xff")),
			[]looptest.Frame{frame(looptest.OpBinary, "\xff"), closeFrame(1007, "invalid UTF-8 in text message")},
			[]looptest.Frame{closeFrame(1003, "text messages only")},
		},
		{
			"at the limit", binary(strings.Repeat("x", 100)),
			[]looptest.Frame{frame(looptest.OpBinary, strings.Repeat("x", 100))},
			[]looptest.Frame{closeFrame(1003, "text messages only")},
		},
		{
			"above the limit", binary(strings.Repeat("x", 101)),
			[]looptest.Frame{closeFrame(1009, "message too big")},
			[]looptest.Frame{closeFrame(1009, "message too big")},
		},
	}
	for _, tt := range tests {
		for _, admit := range []bool{true, false} {
			want := tt.refused
			if admit {
				want = tt.admitted
			}
			t.Run(fmt.Sprintf("%s/%v", tt.name, admit), func(t *testing.T) {
				cfg := loop.Config{Binary: admit, WebSocket: websocket.Limits{MessageBytes: 100}}
				r := newWebSocket(t, cfg, &looptest.Handler{OnMessage: echoInKind})
				r.Feed(tt.in)
				r.wantFrames(want...)
				r.wantState(want[len(want)-1].Op == looptest.OpClose, false)

				cut := newWebSocket(t, cfg, &looptest.Handler{OnMessage: echoInKind})
				for i := range tt.in {
					cut.Feed(tt.in[i : i+1])
				}
				cut.wantFrames(want...)
			})
		}
	}
}

// echoInKind sends a message back with the opcode it came with.
func echoInKind(c *loop.Conn, data []byte) {
	b := buffer.Get()
	if c.MessageBinary() {
		b.B = websocket.AppendBinary(b.B, data)
	} else {
		b.B = websocket.AppendText(b.B, data)
	}
	c.Write(c.Exchange(), b, 0)
}

func TestMessageLimit(t *testing.T) {
	for n := 99; n <= 101; n++ {
		r := newWebSocket(t, loop.Config{WebSocket: websocket.Limits{MessageBytes: 100}}, nil)
		r.Feed(looptest.Text(strings.Repeat("x", n)))
		if f := r.frames(); len(f) != 1 || (f[0].Op == looptest.OpText) != (n <= 100) {
			t.Errorf("%d bytes: %+v", n, f)
		}
	}
}

func TestCloseWebSocket(t *testing.T) {
	r := newWebSocket(t, loop.Config{}, nil)
	r.Conn.Post(func(c *loop.Conn) {
		c.CloseWebSocket(1001, "bye")
		c.CloseWebSocket(1002, "twice")
		c.Write(c.Exchange(), looptest.TextFrame("after the close"), 0)
	})
	r.Deliver()
	r.wantFrames(closeFrame(1001, "bye"))
	r.wantState(true, false)

	h := newRig(t, loop.Config{}, nil)
	h.Conn.Post(func(c *loop.Conn) { c.CloseWebSocket(1001, "not a WebSocket") })
	h.Deliver()
	h.wantState(false, false)
}

// TestCloseFlagStopsReading: nothing is read behind the message that was sent
// with Close.
func TestCloseFlagStopsReading(t *testing.T) {
	r := newWebSocket(t, loop.Config{}, &looptest.Handler{OnMessage: func(c *loop.Conn, _ []byte) {
		c.Write(c.Exchange(), looptest.TextFrame("last"), loop.Close)
	}})
	r.Feed(cat(looptest.Text("a"), looptest.Text("b"), looptest.ClientFrame(looptest.OpPing, true, nil)))
	r.wantEvents("message a")
	r.wantFrames(looptest.Frame{Op: looptest.OpText, Payload: "last"})
	r.wantState(true, false)
}

// TestLateSwitch: frames that come before the handshake is answered wait, and
// are served right behind the answer.
func TestLateSwitch(t *testing.T) {
	r := newRig(t, loop.Config{}, &looptest.Handler{OnRequest: hold})
	r.Feed(looptest.Upgrade("/"))
	frame := looptest.Text("early")
	r.Feed(frame[:3])
	r.Feed(frame[3:])
	r.Feed(looptest.Text("cut")[:4])
	b := buffer.Get()
	b.B = websocket.AppendSwitching(b.B, []byte("dGhlIHNhbXBsZSBub25jZQ=="), "")
	r.Conn.Send(r.Conn.Exchange(), b, loop.Switch|loop.Last)
	r.Deliver()
	r.Feed(looptest.Text("cut")[4:])
	r.wantEvents("opened", "request GET / ", "message early", "message cut")
	all, rest, err := looptest.Responses(r.Output())
	if err != nil || len(all) != 1 || all[0].Status != 101 {
		t.Fatalf("%+v, %v", all, err)
	}
	if f, err := looptest.Frames(rest); err != nil || len(f) != 2 {
		t.Errorf("frames %+v, %v", f, err)
	}
	if !r.Conn.IsWebSocket() || r.Stats().PinnedBytes != 0 {
		t.Errorf("WebSocket %v, pinned %d", r.Conn.IsWebSocket(), r.Stats().PinnedBytes)
	}
}

func TestTakeMessage(t *testing.T) {
	var taken []*buffer.Buffer
	r := newWebSocket(t, loop.Config{}, &looptest.Handler{OnMessage: func(c *loop.Conn, _ []byte) {
		taken = append(taken, c.TakeMessage())
	}})
	r.Feed(looptest.Text("in one read"))
	in := looptest.Text("in two reads")
	r.Feed(in[:8])
	r.Feed(in[8:])
	in = looptest.Text("overwriting!")
	r.Feed(in[:8])
	r.Feed(in[8:])
	for i, want := range []string{"in one read", "in two reads"} {
		if got := string(taken[i].B); got != want {
			t.Errorf("message %d = %q, want %q", i, got, want)
		}
	}
}

// TestPinnedBytes is the bound on incomplete input of all connections together.
func TestPinnedBytes(t *testing.T) {
	const bound = 100 << 10
	post := looptest.Request("POST", "/", strings.Repeat("x", bound+1))
	head := strings.Index(string(post), "\r\n\r\n") + 4
	t.Run("body", func(t *testing.T) {
		for n := bound - 1; n <= bound+1; n++ {
			r := newRig(t, loop.Config{MaxPinned: bound}, nil)
			other := r.Open("other", 0)
			other.Feed(post[:bound/2])
			r.Feed(post[:n-bound/2])
			if n <= bound {
				r.wantStatuses()
				r.wantState(false, false)
				continue
			}
			got := r.responses()
			if len(got) != 1 || got[0].Status != 503 || got[0].Header["retry-after"] == "" {
				t.Fatalf("one byte over the bound: %+v", got)
			}
			r.wantState(true, false)
			if p := r.Stats().PinnedBytes; p != bound/2 {
				t.Errorf("%d bytes are pinned after the refusal, want %d", p, bound/2)
			}
			other.Hangup()
			r.Hangup()
			r.wantEvents("opened", "opened", "closed <nil>", "closed "+loop.ErrPinned.Error())
			if p := r.Stats().PinnedBytes; p != 0 {
				t.Errorf("%d bytes are pinned at the end", p)
			}
		}
	})
	t.Run("message", func(t *testing.T) {
		r := newWebSocket(t, loop.Config{MaxPinned: bound}, nil)
		other := r.Open("other", 0)
		other.Feed(post[:bound/2])
		r.Feed(looptest.Text(strings.Repeat("x", bound))[:bound*3/4])
		if f := r.frames(); len(f) != 1 || f[0].Code != 1013 {
			t.Errorf("frames %+v, want a close with 1013", f)
		}
		if p := r.Stats().PinnedBytes; p != bound/2 {
			t.Errorf("%d bytes are pinned, want those of the other connection", p)
		}
	})
	t.Run("while an answer is on its way", func(t *testing.T) {
		r := newRig(t, loop.Config{MaxPinned: 1000}, &looptest.Handler{OnRequest: hold})
		r.Feed(looptest.Request("GET", "/", ""))
		r.Feed(post[:head+1000])
		r.wantState(false, true)
		r.wantEvents("opened", "request GET / ", "closed "+loop.ErrPinned.Error())
	})
}

// TestPinnedBytesReturn: what the handler takes does not count any more.
func TestPinnedBytesReturn(t *testing.T) {
	var during int64
	var r *rig
	r = newRig(t, loop.Config{}, &looptest.Handler{OnRequest: func(c *loop.Conn, _ *http1.Request) {
		during = r.Stats().PinnedBytes
		buffer.Put(c.TakeBody())
	}})
	in := looptest.Request("POST", "/", strings.Repeat("x", 1000))
	r.Feed(in[:len(in)-1])
	r.Feed(in[len(in)-1:])
	if during == 0 || r.Stats().PinnedBytes != 0 {
		t.Errorf("pinned %d during the request, %d after it", during, r.Stats().PinnedBytes)
	}
}
