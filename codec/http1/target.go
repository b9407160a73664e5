package http1

import (
	"bytes"
	"net/netip"
)

// resolveTarget finds path and query in the target, which RFC 9112 section 3.2
// gives four forms. Authority-form belongs to CONNECT, and asterisk-form "is
// only used for a server-wide OPTIONS request".
func (r *Request) resolveTarget() error {
	if r.method == MethodOther && string(r.MethodName()) == "CONNECT" {
		return errConnect
	}
	target := r.view(r.target)
	if target[0] == '/' {
		return r.setPath(r.target.start)
	}
	if string(target) == "*" && r.method == MethodOptions {
		r.path = r.target
		return nil
	}
	return r.resolveAbsolute(target)
}

// setPath takes the target from start on as path and query.
func (r *Request) setPath(start uint32) error {
	r.path = span{start, r.target.end}
	if i := bytes.IndexByte(r.view(r.path), '?'); i >= 0 {
		r.query = span{start + uint32(i) + 1, r.target.end}
		r.path.end = start + uint32(i)
	}
	if !validEscapes(r.view(r.path)) {
		return errTarget
	}
	return nil
}

// resolveAbsolute reads the absolute-form of the http and https schemes. RFC
// 9112 section 3.2.2: "a server MUST accept the absolute-form in requests".
func (r *Request) resolveAbsolute(target []byte) error {
	n := bytes.IndexByte(target, '/')
	if n < 0 || n+2 > len(target) || target[n+1] != '/' {
		return errTarget
	}
	if scheme := target[:n]; !equalFold(scheme, "http:") && !equalFold(scheme, "https:") {
		return errTarget
	}
	n += len("//")
	end := n
	for end < len(target) && target[end] != '/' && target[end] != '?' {
		end++
	}
	if !validHost(target[n:end]) {
		return errTarget
	}
	start := r.target.start
	r.authority = span{start + uint32(n), start + uint32(end)}
	if end < len(target) && target[end] == '/' {
		return r.setPath(start + uint32(end))
	}
	// An empty path means "/" (RFC 9110 section 4.2.3): the slash in front of
	// the authority serves as one, so that Path stays a view.
	r.path = span{start + uint32(n) - 1, start + uint32(n)}
	if end < len(target) {
		r.query = span{start + uint32(end) + 1, r.target.end}
	}
	return nil
}

// judgeHost refuses what RFC 9112 section 3.2 says: "A server MUST respond with
// a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a
// Host header field and to any request message that contains more than one Host
// header field line or a Host header field with an invalid field value."
// Section 3.2.2 lets the authority of an absolute-form win over Host; here they
// must be the same, so that nobody in front can have looked at the other one.
func (r *Request) judgeHost() error {
	host := r.Known(HeaderHost)
	if host == nil {
		if r.minor == 1 || r.authority.end > 0 {
			return errHostMissing
		}
		return nil
	}
	if !validHost(host) {
		return errHost
	}
	if r.authority.end > 0 && !equalFold(host, r.view(r.authority)) {
		return errHostMismatch
	}
	return nil
}

// validHost reports whether b is a host name, an IPv4 address or a bracketed
// IPv6 address, and optionally a port. It leaves out what RFC 3986 allows in a
// reg-name and no DNS name has: an empty name, escapes, sub-delims.
func validHost(b []byte) bool {
	if len(b) > 0 && b[0] == '[' {
		n := bytes.IndexByte(b, ']')
		if n < 0 {
			return false
		}
		addr, err := netip.ParseAddr(string(b[1:n]))
		return err == nil && addr.Is6() && addr.Zone() == "" && validPort(b[n+1:])
	}
	n := 0
	for n < len(b) && charClass[b[n]]&charHost != 0 {
		n++
	}
	return n > 0 && validPort(b[n:])
}

// validPort reports whether b is empty or a colon and a port number.
func validPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if b[0] != ':' || len(b) < 2 || len(b) > len(":65535") {
		return false
	}
	port := 0
	for _, c := range b[1:] {
		if charClass[c]&charDigit == 0 {
			return false
		}
		port = port*10 + int(c-'0')
	}
	return port <= 65535
}

// validEscapes reports whether every '%' of a path begins an escape.
func validEscapes(path []byte) bool {
	for {
		i := bytes.IndexByte(path, '%')
		if i < 0 {
			return true
		}
		if len(path) < i+3 || charClass[path[i+1]]&charClass[path[i+2]]&charHex == 0 {
			return false
		}
		path = path[i+3:]
	}
}
