package proxy

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// FuzzParse holds the promises of Parse for any b, with anything behind it.
func FuzzParse(f *testing.F) {
	for _, tt := range good {
		f.Add([]byte(tt.in), []byte("GET / HTTP/1.1\r\n"))
	}
	for _, tt := range bad {
		f.Add([]byte(tt.in), []byte("\r\n"))
	}
	f.Fuzz(func(t *testing.T, b, more []byte) {
		kept := bytes.Clone(b)
		h, n, err := Parse(b)
		if !bytes.Equal(b, kept) {
			t.Fatalf("%q: changed to %q", kept, b)
		}
		if want, ok := referenceText(b); len(b) > 0 && b[0] == 'P' && (ok != (err == nil) || h != want) {
			t.Fatalf("%q: got %+v, %v, want %+v", b, h, err, want)
		}
		switch err.(type) {
		case nil:
			checkHeader(t, b, more, h, n)
		case *Error:
			checkRefused(t, b, more)
		default:
			if err != io.ErrUnexpectedEOF || len(b) >= MaxBytes {
				t.Fatalf("%q: %v", b, err)
			}
			checkBeginning(t, b)
		}
		if err != nil && (h != Header{} || n != 0) {
			t.Fatalf("%q: got %+v, %d beside %v", b, h, n, err)
		}
	})
}

// checkHeader has a good header at the beginning of b: what is behind it makes
// no difference, every part of it wants more, and written again it is the same.
func checkHeader(t *testing.T, b, more []byte, h Header, n int) {
	t.Helper()
	if n <= 0 || n > len(b) || n > MaxBytes {
		t.Fatalf("%q: n is %d", b, n)
	}
	for i := range n {
		if _, _, err := Parse(b[:i]); err != io.ErrUnexpectedEOF {
			t.Fatalf("%q: got %v at %d bytes of a header of %d", b, err, i, n)
		}
	}
	for _, in := range [][]byte{b[:n], slices.Concat(b[:n], more)} {
		if h2, n2, err := Parse(in); h2 != h || n2 != n || err != nil {
			t.Fatalf("%q: got %+v, %d, %v, want %+v, %d", in, h2, n2, err, h, n)
		}
	}
	in := appendHeader(nil, h)
	if h2, n2, err := Parse(in); h2 != h || n2 != len(in) || err != nil {
		t.Fatalf("%q, written again as %q: got %+v, %d, %v, want %+v", b[:n], in, h2, n2, err, h)
	}
}

// checkRefused has something in b that is no header: nothing behind it makes it
// one, and there is one byte with which it was refused.
func checkRefused(t *testing.T, b, more []byte) {
	t.Helper()
	if _, _, err := Parse(slices.Concat(b, more)); err == nil || err == io.ErrUnexpectedEOF {
		t.Fatalf("%q: refused, but with %q behind it: %v", b, more, err)
	}
	refused := false
	for i := range min(len(b), MaxBytes) {
		_, _, err := Parse(b[:i])
		if err == nil || refused && err == io.ErrUnexpectedEOF {
			t.Fatalf("%q: refused, but %v at %d bytes", b, err, i)
		}
		refused = err != io.ErrUnexpectedEOF
	}
}

// checkBeginning has a b that more was asked for: there must be a header that
// begins so, or it should have been refused. Lines of version 1 only; the limit
// of the line is kept out.
func checkBeginning(t *testing.T, b []byte) {
	t.Helper()
	if len(b) == 0 || b[0] != 'P' || len(b) > 50 {
		return
	}
	for _, end := range endings {
		if _, _, err := Parse(slices.Concat(b, []byte(end))); err == nil {
			return
		}
	}
	t.Fatalf("%q: more is wanted, but no header begins so", b)
}

// endings are ends of lines: one of them completes any good beginning.
var endings = lineEndings()

func lineEndings() (all []string) {
	const ports = " 0 0\r\n"
	all = []string{"\n", "\r\n", "0\r\n", " 0\r\n", "0 0\r\n", ports}
	for _, line := range []string{"PROXY UNKNOWN\r\n", to4 + "0.0.0.0 0.0.0.0" + ports, to6 + ":: ::" + ports} {
		for i := range line {
			all = append(all, line[i:])
		}
	}
	for i := range 9 {
		groups := strings.Repeat("0:", i)
		for _, s := range []string{"0", ":0", ":", "::", ":0:0", ":0.0.0.0", "0.0.0.0", ".0.0.0", "0.0.0", ".0.0", "0.0", ".0"} {
			all = append(all, groups+s+ports, ":"+groups+s+ports, groups+s+" ::"+ports, ":"+groups+s+" ::"+ports)
		}
	}
	return all
}

func TestBeginnings(t *testing.T) {
	for _, tt := range good {
		for i := range len(tt.in) {
			checkBeginning(t, []byte(tt.in[:i]))
		}
	}
	for _, tt := range bad {
		checkBeginning(t, []byte(tt.in[:len(tt.in)-1]))
	}
}

// referenceText reads version 1 in the plainest way: the whole line at once,
// by the standard library.
func referenceText(b []byte) (Header, bool) {
	line, _, ok := strings.Cut(string(b[:min(len(b), 107)]), "\r\n")
	if !ok {
		return Header{}, false
	}
	if line == "PROXY UNKNOWN" || strings.HasPrefix(line, "PROXY UNKNOWN ") {
		return Header{Version: 1}, true
	}
	part := strings.Split(line, " ")
	if len(part) != 6 || part[0] != "PROXY" || part[1] != "TCP4" && part[1] != "TCP6" {
		return Header{}, false
	}
	var addr [2]netip.AddrPort
	for i := range addr {
		a, err := netip.ParseAddr(part[2+i])
		port, _ := strconv.ParseUint(part[4+i], 10, 16)
		if err != nil || a.Zone() != "" || a.Is4() != (part[1] == "TCP4") || strconv.Itoa(int(port)) != part[4+i] {
			return Header{}, false
		}
		addr[i] = netip.AddrPortFrom(a.Unmap(), uint16(port))
	}
	return Header{Source: addr[0], Destination: addr[1], Version: 1}, true
}

// appendHeader writes what h says.
func appendHeader(dst []byte, h Header) []byte {
	source, destination := h.Source.Addr(), h.Destination.Addr()
	is4 := source.Is4() && destination.Is4()
	block := []byte{}
	kind := byte(unspec)
	switch {
	case !source.IsValid():
	case is4:
		kind = tcp4
		block = slices.Concat(source.AsSlice(), destination.AsSlice())
	default:
		kind = tcp6
		s, d := source.As16(), destination.As16()
		source, destination = netip.AddrFrom16(s), netip.AddrFrom16(d)
		block = slices.Concat(s[:], d[:])
	}
	if h.Version == 1 {
		if kind == unspec {
			return append(dst, "PROXY UNKNOWN\r\n"...)
		}
		name := map[byte]string{tcp4: "TCP4", tcp6: "TCP6"}[kind]
		line := []string{"PROXY", name, source.String(), destination.String(),
			strconv.Itoa(int(h.Source.Port())), strconv.Itoa(int(h.Destination.Port()))}
		return append(dst, strings.Join(line, " ")+"\r\n"...)
	}
	if kind != unspec {
		block = binary.BigEndian.AppendUint16(block, h.Source.Port())
		block = binary.BigEndian.AppendUint16(block, h.Destination.Port())
	}
	command := byte(0x21)
	if h.Local {
		command = 0x20
	}
	return append(dst, v2(command, kind, string(block))...)
}
