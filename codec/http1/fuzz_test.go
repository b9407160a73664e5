package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func addSeeds(f *testing.F) {
	for _, tt := range whole {
		f.Add([]byte(tt.in), uint(len(tt.in)/2), uint(7))
	}
	for i, tt := range smuggling {
		f.Add([]byte(tt.in), uint(i), uint(i/2))
	}
}

// FuzzNetHTTP holds the promise that net/http accepts what this package
// accepts, head and body, and reads it in the same way.
func FuzzNetHTTP(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, in []byte, _, _ uint) {
		got, err := readMessage(in, nil)
		if err == nil && got.status == 0 {
			compareNetHTTP(t, in, got)
		}
	})
}

func TestNetHTTP(t *testing.T) {
	for _, tt := range whole {
		compareNetHTTP(t, []byte(tt.in), tt.want)
	}
}

func compareNetHTTP(t *testing.T, in []byte, got message) {
	t.Helper()
	rd := bufio.NewReaderSize(bytes.NewReader(in), 64<<10)
	req, err := http.ReadRequest(rd)
	if err != nil {
		t.Fatalf("%q: accepted, but net/http says %v", in, err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil || string(body) != got.body {
		t.Fatalf("%q: body %q, but net/http has %q, %v", in, got.body, body, err)
	}
	if rest, _ := io.ReadAll(rd); string(rest) != string(in[got.used:]) {
		t.Fatalf("%q: used %d bytes, but net/http leaves %q", in, got.used, rest)
	}
	path := req.URL.EscapedPath()
	if req.URL.RawPath != "" {
		path = req.URL.RawPath
	}
	if path == "" && req.URL.Host != "" {
		path = "/"
	}
	// EscapedPath also escapes what may stand in a path as it is, hence the
	// second look at the decoded form.
	if path != got.path && req.URL.Path != unescape(got.path) {
		t.Fatalf("%q: path %q, but net/http has %q", in, got.path, path)
	}
	if req.Method != got.method || req.URL.RawQuery != got.query ||
		req.ProtoMajor != 1 || req.ProtoMinor != got.minor || req.ContentLength != got.length || req.Close == got.keepAlive {
		t.Fatalf("%q: %+v, but net/http has %+v", in, got, req)
	}
	compareFields(t, in, got, req)
}

func compareFields(t *testing.T, in []byte, got message, req *http.Request) {
	t.Helper()
	want := map[string][]string{}
	for _, line := range got.fields {
		name, value, _ := strings.Cut(line, ": ")
		name = http.CanonicalHeaderKey(name)
		want[name] = append(want[name], value)
	}
	for name, values := range want {
		have := req.Header[name]
		switch name {
		case "Host":
			if have = []string{req.Host}; strings.EqualFold(req.Host, values[0]) {
				have = values // net/http takes the spelling of an absolute target
			}
		case "Transfer-Encoding":
			have = req.TransferEncoding
		case "Trailer":
			have = values // net/http moves it to req.Trailer
		}
		if !slices.Equal(have, values) {
			t.Fatalf("%q: %s is %q, but net/http has %q", in, name, values, have)
		}
	}
	for name := range req.Header {
		if name != "Cache-Control" && want[name] == nil { // net/http adds it to Pragma
			t.Fatalf("%q: net/http has a field %s more", in, name)
		}
	}
}

// unescape decodes the escapes of a path, which are well formed.
func unescape(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			c = hexValue(path[i+1])<<4 | hexValue(path[i+2])
			i += 2
		}
		b.WriteByte(c)
	}
	return b.String()
}

// FuzzSplit holds the promise that the cuts between reads change nothing, with
// limits low enough to be met.
func FuzzSplit(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, in []byte, a, b uint) {
		cuts := []int{int(a % uint(len(in)+1)), int(b % uint(len(in)+1))}
		slices.Sort(cuts)
		for _, lim := range []*Limits{nil, {HeadBytes: 120, Fields: 3, TargetBytes: 20, BodyBytes: 12}} {
			want, wantErr := readMessage(in, lim)
			for _, at := range [][]int{cuts, everyCut(min(len(in), 500))} {
				got, err := readMessage(in, lim, at...)
				if err != wantErr || !got.equal(want) {
					t.Fatalf("%q cut at %v: got %+v, %v, want %+v, %v", in, at, got, err, want, wantErr)
				}
			}
		}
	})
}

// FuzzBody holds the promise that Decode finds the same body, the same end and
// the same error however the bytes are cut, and writes no more than it reads.
func FuzzBody(f *testing.F) {
	for i, tt := range smuggling {
		if _, body, ok := strings.Cut(tt.in, te+end); ok {
			f.Add([]byte(body), uint(i))
		}
	}
	f.Add([]byte("5\r\nhello\r\n00a;x=\"y\"\r\n, world!!!\r\n0\r\nX-Sum: 12\r\n\r\nGET"), uint(3))
	f.Fuzz(func(t *testing.T, src []byte, cut uint) {
		var r Request
		if _, err := r.Parse([]byte(line+host+te+end), nil); err != nil {
			t.Fatal(err)
		}
		lim := &Limits{BodyBytes: 1000}
		var one, two Body
		one.Reset(&r, lim)
		two.Reset(&r, lim)
		want, wantN, wantErr := one.Decode(nil, src)
		k := int(cut % uint(len(src)+1))
		got, n, err := two.Decode(nil, src[:k])
		if err == io.ErrUnexpectedEOF {
			if n != k {
				t.Fatalf("%q: wants more but used %d bytes of %d", src, n, k)
			}
			got, n, err = two.Decode(got, src[k:])
			n += k
		}
		if !bytes.Equal(got, want) || n != wantN || err != wantErr {
			t.Fatalf("%q cut at %d: got %q, %d, %v, want %q, %d, %v", src, k, got, n, err, want, wantN, wantErr)
		}
		if len(got) > n || len(got) > 1000 {
			t.Fatalf("%q: %d bytes out of %d, limit 1000", src, len(got), n)
		}
	})
}
