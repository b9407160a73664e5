package sse

import (
	"bytes"
	"errors"
	"math"
	"time"
)

// ErrTooLong is the error of a Parser whose limit is exceeded.
var ErrTooLong = errors.New("sse: event too long")

// defaultMaxBytes lets the largest message, 4 MiB, through with room for field
// names.
const defaultMaxBytes = 5 << 20

// Parser reads an event stream as section 9.2.6 of the HTML standard,
// "Interpreting an event stream", says. The zero value is ready. It belongs to
// one stream and one goroutine. Text is not checked to be UTF-8.
type Parser struct {
	// MaxBytes bounds the data of an event so far, an LF for each line of it
	// counted, together with the line being read, which counts without its
	// line end. Zero or less means 5 MiB. It must not change after the first
	// call of Next.
	MaxBytes int

	begun  bool   // the first line was read, a BOM can not come any more
	skipLF bool   // the last line ended with CR: an LF now belongs to it
	failed bool   // MaxBytes was exceeded
	line   []byte // the start of a line that is not complete

	data  []byte // data lines of the event, each with an LF
	name  string
	retry time.Duration
	event Event // just returned

	lastID      string        // "last event ID buffer"
	committedID string        // "last event ID string": lastID at the last blank line
	reconnect   time.Duration // "reconnection time"
	hasRetry    bool
}

// Next reads at most one event from the start of b and uses n bytes of b; call
// it again with the rest. Not ok without an error means that all of b was used
// and more is needed; what is incomplete is kept inside. b is not changed. What
// is incomplete when the stream ends is no event: "Once the end of the file is
// reached, any pending data must be discarded."
//
// The error is ErrTooLong; the parser then reads nothing more.
func (p *Parser) Next(b []byte) (ok bool, n int, err error) {
	p.event = Event{}
	if p.failed {
		return false, len(b), ErrTooLong
	}
	for n < len(b) {
		if p.skipLF {
			p.skipLF = false
			if b[n] == '\n' {
				n++
				continue
			}
		}
		line, used, whole := cutLine(b[n:])
		if len(p.data)+len(p.line)+len(line) > p.limit() {
			p.failed, p.line, p.data = true, nil, nil
			return false, len(b), ErrTooLong
		}
		n += used
		if !whole {
			p.line = append(p.line, line...)
			break
		}
		p.skipLF = b[n-1] == '\r'
		if len(p.line) > 0 {
			p.line = append(p.line, line...)
			line, p.line = p.line, p.line[:0]
		}
		if p.readLine(line) {
			return true, n, nil
		}
	}
	return false, n, nil
}

// cutLine returns the line that b starts with and the bytes it uses with its
// end, of which CRLF is only the CR here: its LF may be in the next read.
func cutLine(b []byte) (line []byte, used int, whole bool) {
	if end := bytes.IndexAny(b, "\r\n"); end >= 0 {
		return b[:end], end + 1, true
	}
	return b, len(b), false
}

// Event returns the event that Next just found. Its Data is valid until the
// next call of Next.
func (p *Parser) Event() Event { return p.event }

// LastEventID returns the id to resume the stream with, which an event without
// data can set, too.
func (p *Parser) LastEventID() string { return p.committedID }

// Retry returns the reconnection time that the stream asked for, and whether
// it did.
func (p *Parser) Retry() (wait time.Duration, ok bool) { return p.reconnect, p.hasRetry }

func (p *Parser) limit() int {
	if p.MaxBytes <= 0 {
		return defaultMaxBytes
	}
	return p.MaxBytes
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// readLine processes one line and reports whether it completed an event.
func (p *Parser) readLine(line []byte) bool {
	if !p.begun {
		p.begun = true
		line = bytes.TrimPrefix(line, byteOrderMark)
	}
	if len(line) == 0 {
		return p.dispatch()
	}
	// A comment is a field without a name here, which no field is.
	field, value, _ := bytes.Cut(line, []byte{':'})
	value = bytes.TrimPrefix(value, []byte{' '})
	switch string(field) {
	case "event":
		p.name = string(value)
	case "data":
		p.data = append(append(p.data, value...), '\n')
	case "id":
		// "If the field value does not contain U+0000 NULL, then set the last
		// event ID buffer to the field value. Otherwise, ignore the field."
		if bytes.IndexByte(value, 0) < 0 {
			p.lastID = string(value)
		}
	case "retry":
		if wait, ok := parseRetry(value); ok {
			p.retry, p.reconnect, p.hasRetry = wait, wait, true
		}
	}
	return false
}

// dispatch ends the event at a blank line. Without a data line there is none:
// "If the data buffer is an empty string, set the data buffer and the event
// type buffer to the empty string and return."
func (p *Parser) dispatch() bool {
	p.committedID = p.lastID
	ok := len(p.data) > 0
	if ok {
		end := len(p.data) - 1 // the last LF does not belong to the data
		p.event = Event{ID: p.lastID, Name: p.name, Data: p.data[:end:end], Retry: p.retry}
	}
	p.data, p.name, p.retry = p.data[:0], "", 0
	return ok
}

// parseRetry reads milliseconds: "If the field value consists of only ASCII
// digits". What a time.Duration cannot hold is ignored.
func parseRetry(value []byte) (time.Duration, bool) {
	const most = math.MaxInt64 / int64(time.Millisecond)
	var ms int64
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		if ms = ms*10 + int64(c-'0'); ms > most {
			return 0, false
		}
	}
	return time.Duration(ms) * time.Millisecond, len(value) > 0
}
