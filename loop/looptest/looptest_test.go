package looptest

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"millrace/codec/http1"
	"millrace/codec/websocket"
	"millrace/pool/buffer"
)

var zero time.Time

func TestRequestsParse(t *testing.T) {
	tests := []struct {
		name    string
		in      []byte
		upgrade bool
		length  int64
	}{
		{"no body", Request("GET", "/a", ""), false, 0},
		{"body", Request("POST", "/a", "hello", "Accept: */*"), false, 5},
		{"chunked", Chunked("/a", "he", "llo"), false, -1},
		{"upgrade", Upgrade("/a"), true, 0},
	}
	for _, tt := range tests {
		var r http1.Request
		if _, err := r.Parse(tt.in, nil); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if r.WantsUpgrade() != tt.upgrade || r.ContentLength() != tt.length || string(r.Path()) != "/a" {
			t.Errorf("%s: upgrade %v, length %d, path %s", tt.name, r.WantsUpgrade(), r.ContentLength(), r.Path())
		}
	}
}

func TestFramesReadWhatTheCodecWrites(t *testing.T) {
	var b []byte
	want := []Frame{{Op: OpText, Payload: "hi"}, {Op: OpPing}, {Op: OpClose, Code: 1001, Payload: "bye"}}
	for _, n := range []int{125, 126, 65535, 65536} {
		p := strings.Repeat("x", n)
		b = websocket.AppendText(b, []byte(p))
		want = append(want, Frame{Op: OpText, Payload: p})
	}
	b = append(websocket.AppendClose(websocket.AppendPing(websocket.AppendText(nil, []byte("hi")), nil), 1001, "bye"), b...)
	got, err := Frames(b)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Frames = %d frames, %v; want %d", len(got), err, len(want))
	}
	for _, cut := range []int{1, 3, len(b) - 1} {
		if _, err := Frames(b[:cut]); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Frames of %d bytes: %v, want ErrUnexpectedEOF", cut, err)
		}
	}
	if _, err := Frames(Text("masked")); err == nil {
		t.Error("Frames accepts the frame of a client")
	}
}

func TestClientFramesDecode(t *testing.T) {
	for _, n := range []int{0, 125, 126, 65535, 65536} {
		var d websocket.Decoder
		f := ClientFrame(OpText, true, []byte(strings.Repeat("y", n)))
		ev, used, err := d.Next(f, zero)
		if ev != websocket.EventMessage || used != len(f) || err != nil || len(d.Payload()) != n {
			t.Errorf("%d bytes: event %v, used %d of %d, %v", n, ev, used, len(f), err)
		}
	}
	var d websocket.Decoder
	if ev, _, _ := d.Next(ClientClose(1000, "done"), zero); ev != websocket.EventClose {
		t.Errorf("ClientClose: event %v", ev)
	}
}

func TestResponses(t *testing.T) {
	b := []byte(http1.Continue + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nhi" +
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n" +
		"HTTP/1.1 101 Switching Protocols\r\n\r\nframes")
	all, rest, err := Responses(b)
	if err != nil || len(all) != 4 || string(rest) != "frames" {
		t.Fatalf("Responses = %d, rest %q, %v", len(all), rest, err)
	}
	if all[1].Body != "hi" || all[1].Header["x-a"] != "b" || all[2].Body != "hello" {
		t.Errorf("Responses = %+v", all)
	}
	for _, bad := range []string{"HTTP/1.1 200", "FTP 200\r\n\r\n", "HTTP/1.1 2xx\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhi", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhixx"} {
		if _, _, err := Responses([]byte(bad)); err == nil {
			t.Errorf("Responses(%q) has no error", bad)
		}
	}
}

func TestTextFrame(t *testing.T) {
	b := TextFrame("hi")
	defer buffer.Put(b)
	if got, err := Frames(b.B); err != nil || len(got) != 1 || got[0].Payload != "hi" {
		t.Errorf("TextFrame = %+v, %v", got, err)
	}
}
