package http1

import (
	"bytes"
	"iter"
)

// Request is one request of a connection. The zero Request is ready for Parse;
// Reset makes it ready for the next one and keeps its memory.
//
// Its accessors are valid once Parse has returned nil. They return views of the
// bytes last given to Parse or Rebase, which end when those bytes do. A Request
// belongs to the goroutine that owns its connection.
type Request struct {
	// Body is the decoded body. The caller sets it once the body is complete.
	Body []byte

	buf    []byte // what the spans point into
	fields []field
	err    error               // what ended Parse for good
	slots  [headerCount]uint16 // 1 + index in fields of the first line of a known field, 0 when absent

	// Where Parse goes on.
	stage   stage
	pos     int // start of the element being read
	scan    int // first byte not looked at
	nameEnd int // end of the field name of the line being read, 0 before its colon

	headLen       int
	contentLength int64
	target        span
	authority     span // of a target in absolute-form
	path          span
	query         span
	methodLen     uint8
	method        Method
	minor         uint8
	connection    connectionOption
	expect        bool
	repeated      uint32 // set of known fields with more than one line
}

// span is a range of offsets in the head; they outlive a move of its bytes.
type span struct{ start, end uint32 }

type field struct {
	name, value span
	header      Header
}

// maxKeptFields is how many fields worth of memory Reset keeps.
const maxKeptFields = DefaultFields

// Reset forgets the request. Memory for the next one is kept.
func (r *Request) Reset() {
	fields := r.fields[:0]
	if cap(fields) > maxKeptFields {
		fields = nil
	}
	*r = Request{fields: fields}
}

// Rebase tells r that the head which Parse accepted now stands at the start of
// b, because the caller moved it. Views taken before still show the old place.
// Before Parse has returned nil there is nothing to move and the call does
// nothing, as it does for a b that is shorter than the head.
func (r *Request) Rebase(b []byte) {
	if r.stage == parsed && len(b) >= r.headLen {
		r.buf = b[:r.headLen:r.headLen]
	}
}

func (r *Request) view(s span) []byte { return r.buf[s.start:s.end:s.end] }

// Method returns the request method.
func (r *Request) Method() Method { return r.method }

// MethodName returns the method token as it was sent.
func (r *Request) MethodName() []byte { return r.view(span{0, uint32(r.methodLen)}) }

// Path returns the path of the target as it was sent: neither decoded nor
// cleaned, so that decoding happens once, where it is routed. Its escapes are
// well formed. It begins with '/', or is "*" for OPTIONS alone.
func (r *Request) Path() []byte { return r.view(r.path) }

// Query returns what follows the first '?' of the target, as it was sent.
func (r *Request) Query() []byte { return r.view(r.query) }

// Minor returns the minor version of HTTP/1: 0 or 1.
func (r *Request) Minor() int { return int(r.minor) }

// HeadLen returns the length in bytes of the head with its empty line.
func (r *Request) HeadLen() int { return r.headLen }

// ContentLength returns the length in bytes of the body: 0 when there is none,
// -1 when it is chunked and the length is not known yet.
func (r *Request) ContentLength() int64 { return r.contentLength }

// Chunked reports whether the body is in chunked transfer coding.
func (r *Request) Chunked() bool { return r.contentLength < 0 }

// KeepAlive reports whether the client lets the connection persist, by the
// rules of RFC 9112 section 9.3: yes by default on HTTP/1.1, only with the
// keep-alive option on HTTP/1.0, never with the close option.
func (r *Request) KeepAlive() bool {
	if r.connection&optionClose != 0 {
		return false
	}
	return r.minor == 1 || r.connection&optionKeepAlive != 0
}

// ExpectContinue reports whether the client waits for Continue before it sends
// the body that the head announces. RFC 9110 section 10.1.1: a server "that
// receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that
// expectation".
func (r *Request) ExpectContinue() bool { return r.expect && r.contentLength != 0 }

// WantsUpgrade reports whether the client offers to switch to WebSocket: the
// Connection field has the option upgrade and the Upgrade field names
// websocket. RFC 9110 section 7.8: "A server MUST ignore an Upgrade header
// field that is received in an HTTP/1.0 request". Method and body are left to
// the WebSocket handshake.
func (r *Request) WantsUpgrade() bool {
	return r.minor == 1 && r.connection&optionUpgrade != 0 && r.hasToken(HeaderUpgrade, "websocket")
}

// Known returns the value of a field, nil when it is absent, not nil when it is
// empty. Of a field with several lines it returns the first; see Values.
func (r *Request) Known(h Header) []byte {
	if h >= headerCount || r.slots[h] == 0 {
		return nil
	}
	return r.view(r.fields[r.slots[h]-1].value)
}

// Values returns the values of all lines of a field in their order. Only list
// fields such as Accept, Connection, X-Forwarded-For and Sec-WebSocket-Protocol
// can have more than one.
func (r *Request) Values(h Header) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if h >= headerCount || r.slots[h] == 0 {
			return
		}
		first := int(r.slots[h] - 1)
		if r.repeated&(1<<h) == 0 {
			yield(r.view(r.fields[first].value))
			return
		}
		for i := range r.fields[first:] {
			f := &r.fields[first+i]
			if f.header == h && !yield(r.view(f.value)) {
				return
			}
		}
	}
}

// Get returns the value of the first line of any field, whatever the case of
// its name, nil when it is absent.
func (r *Request) Get(name string) []byte {
	for i := range r.fields {
		if f := &r.fields[i]; equalFold(r.view(f.name), name) {
			return r.view(f.value)
		}
	}
	return nil
}

// Fields returns all field lines in their order as name and value; the value is
// without the white space around it.
func (r *Request) Fields() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for i := range r.fields {
			f := &r.fields[i]
			if !yield(r.view(f.name), r.view(f.value)) {
				return
			}
		}
	}
}

// hasToken reports whether a line of the list field h has the token, whatever
// its case.
func (r *Request) hasToken(h Header, token string) bool {
	for value := range r.Values(h) {
		for element := range elements(value) {
			if equalFold(element, token) {
				return true
			}
		}
	}
	return false
}

// elements returns the elements of a comma-separated list. RFC 9110 section
// 5.6.1.2 makes a recipient "parse and ignore a reasonable number of empty list
// elements"; they come out as empty slices.
func elements(list []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for more := true; more; {
			var element []byte
			element, list, more = bytes.Cut(list, comma)
			if !yield(trim(element)) {
				return
			}
		}
	}
}

var comma = []byte{','}
