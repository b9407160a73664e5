package transport

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

const tooLongAnswer = `{"jsonrpc":"2.0","error":{"code":-32600,"message":"message is longer than this server accepts"}}` + "\n"

// serveStdio serves input to its end.
func serveStdio(t *testing.T, in io.Reader, cfg StdioConfig, d *script) (string, error) {
	t.Helper()
	var out bytes.Buffer
	conn := NewStdio(in, &out, cfg, d)
	err := conn.Serve()
	if !conn.Flush(time.Minute) {
		t.Error("the writer does not end")
	}
	return out.String(), err
}

func TestStdioLines(t *testing.T) {
	const limit = 50
	long := `"` + strings.Repeat("x", limit-2) + `"`
	tests := []struct {
		name, in string
		want     []string // messages dispatched
		tooLong  int
	}{
		{"one", ping + "\n", []string{ping}, 0},
		{"CRLF", ping + "\r\n" + note + "\r\n", []string{ping}, 1}, // note is over the limit
		{"no end", "1\n2", []string{"1", "2"}, 0},
		{"empty lines", "\n\r\n  \t\n1\n\n", []string{"1"}, 0},
		{"white space around", " \t1 \n", []string{"1"}, 0},
		{"other white space stays", "\u00a01\v\n", []string{"\u00a01\v"}, 0},
		{"invalid UTF-8", "\"\xff\"\n1\n", []string{"\"\xff\"", "1"}, 0},
		{"nothing", "", nil, 0},
		{"at the limit", long + "\n" + long + "\r\n" + long, []string{long, long, long}, 0},
		{"over the limit", "x" + long + "\n1\n", []string{"1"}, 1},
		{"over the limit at the end", "1\nx" + long, []string{"1"}, 1},
		{"only CR", strings.Repeat("\r", limit+2) + "\n1\n", []string{"1"}, 1},
		{"far over the limit", strings.Repeat("x", 200<<10) + "\n1\n", []string{"1"}, 1},
	}
	for _, tt := range tests {
		for _, oneByte := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				var in io.Reader = strings.NewReader(tt.in)
				if oneByte {
					in = iotest.OneByteReader(in)
				}
				d := &script{}
				out, err := serveStdio(t, in, StdioConfig{MaxMessage: limit}, d)
				if err != nil {
					t.Errorf("Serve = %v, want nil", err)
				}
				want := []string{"opened stdio "}
				for _, m := range tt.want {
					want = append(want, "message "+m)
				}
				wantEvents(t, d, want...)
				if n := strings.Count(out, tooLongAnswer); n != tt.tooLong {
					t.Errorf("%d complaints, want %d", n, tt.tooLong)
				}
				if got := strings.ReplaceAll(out, tooLongAnswer, ""); got != strings.Repeat(pong+"\n", len(tt.want)) {
					t.Errorf("output %q, want one answer for each message and nothing else", got)
				}
			})
		}
	}
}

func TestStdioDefaultLimit(t *testing.T) {
	d := &script{dispatch: func(r *Request, s Stream) {
		if len(r.Body) != 4<<20 {
			t.Errorf("%d bytes, want 4 MiB", len(r.Body))
		}
	}}
	line := strings.Repeat("x", 4<<20)
	out, err := serveStdio(t, strings.NewReader(line+"\n"+line+"x\n"), StdioConfig{}, d)
	if err != nil || out != tooLongAnswer {
		t.Errorf("output %q, %v; want one complaint", out, err)
	}
}

func TestStdioStream(t *testing.T) {
	d := &script{}
	d.dispatch = func(r *Request, _ Stream) {
		if r.Header != nil || r.Link.Protocol.String() != "stdio" {
			t.Errorf("request %+v, want no header", r)
		}
		r, s := r.Detach(true)
		on(func() {
			s.Open("")
			notify(s, []byte("{\n\"a\":1\r\n}"))
			s.End()
			s.Respond(Response{Status: 202})
			s.Respond(ok(pong))
			r.Link.Send([]byte(note), false)
			r.Release()
		})
	}
	out, err := serveStdio(t, strings.NewReader("1\n"), StdioConfig{}, d)
	want := "{ \"a\":1  }\n" + pong + "\n" + note + "\n"
	if err != nil || out != want {
		t.Errorf("output %q, %v; want %q", out, err, want)
	}
}

// Messages of many goroutines are whole lines.
func TestStdioWritesAreWhole(t *testing.T) {
	d := &script{}
	d.dispatch = func(r *Request, _ Stream) {
		_, s := r.Detach(false)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 50 {
					notify(s, []byte(note))
				}
			})
		}
		wg.Wait()
	}
	out, err := serveStdio(t, strings.NewReader("1\n"), StdioConfig{}, d)
	if err != nil {
		t.Fatal(err)
	}
	if out != strings.Repeat(note+"\n", 400) {
		t.Error("lines are mixed up")
	}
}

func TestStdioReadError(t *testing.T) {
	boom := errors.New("boom")
	d := &script{}
	_, err := serveStdio(t, io.MultiReader(strings.NewReader("1\n2"), iotest.ErrReader(boom)), StdioConfig{}, d)
	if !errors.Is(err, boom) {
		t.Errorf("Serve = %v, want %v", err, boom)
	}
	wantEvents(t, d, "opened stdio ", "message 1", "message 2")
}

type brokenWriter struct {
	err    error
	writes int
}

func (w *brokenWriter) Write([]byte) (int, error) {
	w.writes++
	return 0, w.err
}

func TestStdioWriteError(t *testing.T) {
	r, w := io.Pipe() // stays open: only the writer's end ends it
	defer w.Close()
	boom := errors.New("boom")
	d := &script{dispatch: answer}
	out := &brokenWriter{err: boom}
	conn := NewStdio(r, out, StdioConfig{}, d)
	served := make(chan error)
	go func() { served <- conn.Serve() }()
	io.WriteString(w, "1\n")
	if err := <-served; !errors.Is(err, boom) {
		t.Errorf("Serve = %v, want %v", err, boom)
	}
	if conn.Link().Send([]byte(note), false) {
		t.Error("Send to a closed output = true, want false")
	}
	if !conn.Flush(time.Minute) {
		t.Error("the writer does not end")
	}
	if out.writes != 1 {
		t.Errorf("%d writes, want none after the one that failed", out.writes)
	}
}

// A read that is blocked when the link is closed is left behind; what it brings
// later is nobody's request.
func TestStdioCloseWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		d := &script{}
		var out bytes.Buffer
		conn := NewStdio(r, &out, StdioConfig{}, d)
		served := make(chan error)
		go func() { served <- conn.Serve() }()
		io.WriteString(w, "1\n")
		synctest.Wait()
		conn.Link().Close(1001, "")
		conn.Link().Close(1001, "again")
		if err := <-served; err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
		if !conn.Link().Send([]byte(note), false) { // calls in flight may still answer
			t.Error("Send after Close = false, want true")
		}
		io.WriteString(w, "2\n")
		w.Close()
		synctest.Wait()
		wantEvents(t, d, "opened stdio ", "message 1")
		conn.Flush(time.Minute)
		if got, want := out.String(), pong+"\n"+note+"\n"; got != want {
			t.Errorf("output %q, want %q", got, want)
		}
	})
}

// A client that does not read its answers holds up nobody: not who answers, not
// the shutdown, and no memory beyond the bound.
func TestStdioStuckWriter(t *testing.T) {
	for _, how := range []string{"end of input", "close"} {
		synctest.Test(t, func(t *testing.T) {
			r, w := io.Pipe()
			outR, outW := io.Pipe()
			d := &script{}
			conn := NewStdio(r, outW, StdioConfig{}, d)
			served := make(chan error)
			go func() { served <- conn.Serve() }()
			io.WriteString(w, "1\n")
			synctest.Wait() // the answer is stuck
			big := bytes.Repeat([]byte("x"), stdioQueue)
			if !conn.Link().Send(big, false) || conn.Link().Send([]byte(note), true) || !conn.Link().Send([]byte(note), false) {
				t.Error("with a full queue answers must be kept and notifications dropped")
			}
			io.WriteString(w, "2\n") // and is not dispatched: there is no room
			synctest.Wait()
			start := time.Now()
			if how == "close" {
				conn.Link().Close(1001, "")
			} else {
				w.Close()
			}
			if err := <-served; err != nil {
				t.Errorf("%s: Serve = %v, want nil", how, err)
			}
			if conn.Flush(time.Second) {
				t.Errorf("%s: Flush = true, want false", how)
			}
			if waited := time.Since(start); waited > stuckFor+time.Second {
				t.Errorf("%s: waited %v", how, waited)
			}
			w.Close()
			outR.Close()
			synctest.Wait()
			wantEvents(t, d, "opened stdio ", "message 1")
		})
	}
}

// The reader goes on when the client has read.
func TestStdioRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		outR, outW := io.Pipe()
		d := &script{}
		conn := NewStdio(r, outW, StdioConfig{}, d)
		served := make(chan error)
		go func() { served <- conn.Serve() }()
		conn.Link().Send(bytes.Repeat([]byte("x"), stdioQueue), false)
		io.WriteString(w, "1\n")
		synctest.Wait()
		wantEvents(t, d, "opened stdio ")
		go io.Copy(io.Discard, outR)
		synctest.Wait()
		wantEvents(t, d, "message 1")
		w.Close()
		if err := <-served; err != nil || !conn.Flush(time.Second) {
			t.Errorf("Serve = %v", err)
		}
		outW.Close()
	})
}

func FuzzReadLine(f *testing.F) {
	for _, s := range []string{"", "\n", "a\r\nb", "\r\r\r\r\n", strings.Repeat("x", 40) + "\n1", "\xff\n\x00"} {
		f.Add([]byte(s), uint8(16))
	}
	f.Fuzz(func(t *testing.T, in []byte, limit uint8) {
		want := wantLines(in, int(limit))
		got := gotLines(t, bytes.NewReader(in), int(limit))
		cut := gotLines(t, iotest.OneByteReader(bytes.NewReader(in)), int(limit))
		if got != want || cut != want {
			t.Errorf("lines of %q under %d\n got %q\n cut %q\nwant %q", in, limit, got, cut, want)
		}
	})
}

// gotLines lists the lines that are not empty, "!" for one that is too long.
func gotLines(t *testing.T, r io.Reader, limit int) string {
	t.Helper()
	in := bufio.NewReaderSize(r, 16)
	var list []string
	for {
		line, err := readLine(in, limit)
		switch {
		case errors.Is(err, errLineTooLong):
			list = append(list, "!")
		case len(line) > limit:
			t.Errorf("line of %d bytes, limit %d", len(line), limit)
		case len(line) > 0:
			list = append(list, string(line))
		}
		if err != nil && !errors.Is(err, errLineTooLong) {
			return strings.Join(list, "\n")
		}
	}
}

// wantLines does the same the simple way.
func wantLines(in []byte, limit int) string {
	var list []string
	for line := range bytes.SplitSeq(in, []byte("\n")) {
		content := bytes.TrimSuffix(line, []byte("\r"))
		if trimmed := bytes.Trim(content, " \t\r"); len(content) > limit {
			list = append(list, "!")
		} else if len(trimmed) > 0 {
			list = append(list, string(trimmed))
		}
	}
	return strings.Join(list, "\n")
}
