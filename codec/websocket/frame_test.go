package websocket

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

func TestAppendHeader(t *testing.T) {
	tests := []struct {
		op     ws.OpCode
		fin    bool
		length int
		want   string
	}{
		{ws.OpText, true, 0, "\x81\x00"},
		{ws.OpText, true, -1, "\x81\x00"},
		{ws.OpBinary, false, 125, "\x02\x7d"},
		{ws.OpText, true, 126, "\x81\x7e\x00\x7e"},
		{ws.OpContinuation, true, 65535, "\x80\x7e\xff\xff"},
		{ws.OpText, true, 65536, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"},
	}
	for _, test := range tests {
		got := AppendHeader([]byte("dst"), test.op, test.fin, test.length)
		if string(got) != "dst"+test.want {
			t.Errorf("AppendHeader(%d, %v, %d) = % x, want % x", test.op, test.fin, test.length, got[3:], test.want)
		}
	}
}

// What is appended must be what another implementation reads.
func TestAppendFrames(t *testing.T) {
	over := []byte(strings.Repeat("p", 126))
	tests := []struct {
		name    string
		frame   []byte
		op      ws.OpCode
		payload string
	}{
		{"text", AppendText(nil, []byte("hello")), ws.OpText, "hello"},
		{"long text", AppendText(nil, []byte(strings.Repeat("é", 50_000))), ws.OpText, strings.Repeat("é", 50_000)},
		{"binary", AppendBinary(nil, []byte("\x00\xff")), ws.OpBinary, "\x00\xff"},
		{"long binary", AppendBinary(nil, over), ws.OpBinary, string(over)},
		{"ping", AppendPing(nil, []byte("p")), ws.OpPing, "p"},
		{"empty ping", AppendPing(nil, nil), ws.OpPing, ""},
		{"ping of 125", AppendPing(nil, over[:125]), ws.OpPing, string(over[:125])},
		{"ping of 126", AppendPing(nil, over), ws.OpPing, string(over[:125])},
		{"pong", AppendPong(nil, []byte("p")), ws.OpPong, "p"},
		{"pong of 126", AppendPong(nil, over), ws.OpPong, string(over[:125])},
		{"close", AppendClose(nil, CloseGoingAway, "bye"), ws.OpClose, "\x03\xe9bye"},
		{"close without reason", AppendClose(nil, CloseUnauthorized, ""), ws.OpClose, "\x11\x31"},
		{"close 1005", AppendClose(nil, 1005, "dropped"), ws.OpClose, ""},
		{"close 1006", AppendClose(nil, 1006, "dropped"), ws.OpClose, ""},
	}
	for _, test := range tests {
		r := bytes.NewReader(test.frame)
		h, err := ws.ReadHeader(r)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if err := ws.CheckHeader(h, ws.StateClientSide); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		payload := string(test.frame[len(test.frame)-r.Len():])
		if h.OpCode != test.op || !h.Fin || payload != test.payload || h.Length != int64(len(payload)) {
			t.Errorf("%s: header %+v, payload %.40q; want opcode %d, payload %.40q", test.name, h, payload, test.op, test.payload)
		}
	}
}

func TestAppendCloseCutsReason(t *testing.T) {
	tests := []struct {
		name, reason, want string
	}{
		{"123 bytes", strings.Repeat("x", 123), strings.Repeat("x", 123)},
		{"124 bytes", strings.Repeat("x", 124), strings.Repeat("x", 123)},
		{"rune over the border", strings.Repeat("x", 122) + "é", strings.Repeat("x", 122)},
		{"rune before the border", strings.Repeat("x", 121) + "éx", strings.Repeat("x", 121) + "é"},
		{"four bytes over the border", strings.Repeat("x", 120) + "😀", strings.Repeat("x", 120)},
		{"invalid", "a\xff\xfeb", "a\uFFFDb"},
		{"invalid grows", strings.Repeat("\xffx", 100), strings.Repeat("\uFFFDx", 30) + "\uFFFD"},
	}
	for _, test := range tests {
		frame := AppendClose(nil, CloseNormal, test.reason)
		got := string(frame[4:])
		if got != test.want {
			t.Errorf("%s: reason = %q, want %q", test.name, got, test.want)
		}
		if len(frame) > 2+125 || int(frame[1]) != len(frame)-2 || !utf8.ValidString(got) {
			t.Errorf("%s: bad frame % x", test.name, frame)
		}
	}
}

func TestCloseCodes(t *testing.T) {
	valid := func(code int) bool {
		switch {
		case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
			return true
		}
		return false
	}
	for code := range 1 << 16 {
		payload := string([]byte{byte(code >> 8), byte(code)})
		got, reason, err := parseClose([]byte(payload))
		if valid(code) != (err == nil) {
			t.Fatalf("code %d: error = %v", code, err)
		}
		if err != nil && err.Code != CloseProtocol {
			t.Fatalf("code %d: refused with %d", code, err.Code)
		}
		if err == nil && (int(got) != code || len(reason) != 0) {
			t.Fatalf("code %d read as %d %q", code, got, reason)
		}
		sent := string(AppendClose(nil, uint16(code), "")[2:])
		if valid(code) && sent != payload || !valid(code) && sent != "" {
			t.Fatalf("code %d sent as % x", code, sent)
		}
	}
}

func TestCloseConstants(t *testing.T) {
	got := []uint16{CloseNormal, CloseGoingAway, CloseProtocol, CloseUnsupported, CloseInvalidUTF8, ClosePolicy, CloseTooBig, CloseInternal, CloseTryAgain, CloseUnauthorized}
	want := []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1013, 4401}
	for i := range want {
		if got[i] != want[i] || !sendable(got[i]) {
			t.Errorf("constant %d = %d, sendable %v; want %d", i, got[i], sendable(got[i]), want[i])
		}
	}
}

func TestAppendAllocations(t *testing.T) {
	dst := make([]byte, 0, 1024)
	payload := []byte(long)
	for name, f := range map[string]func(){
		"AppendText":  func() { AppendText(dst, payload) },
		"AppendPing":  func() { AppendPing(dst, payload[:8]) },
		"AppendClose": func() { AppendClose(dst, CloseGoingAway, "the server shuts down") },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

func BenchmarkAppendText300(b *testing.B) {
	dst := make([]byte, 0, 512)
	payload := []byte(long[:300])
	b.ReportAllocs()
	for b.Loop() {
		AppendText(dst, payload)
	}
}
