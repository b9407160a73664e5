package sse

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// Event is one server-sent event.
type Event struct {
	// ID is what a client sends as Last-Event-ID to resume after this event.
	// AppendEvent leaves an empty one out, which keeps the client's last id.
	// From Parser it is the id that is in force, given by this event or by an
	// earlier one.
	ID string
	// Name is the event's type; empty means "message".
	Name string
	// Data is the payload. Nil is not empty: AppendEvent then writes no data
	// line, and a client takes the ID and Retry but sees no event.
	Data []byte
	// Retry is how long a client waits before it reconnects, in whole
	// milliseconds; below one it is left out.
	Retry time.Duration
}

// AppendEvent appends e to dst. Every line end in Data (LF, CR or CRLF) starts
// a new data line, so that Data arrives with each of them as LF. Line ends and
// NUL in ID and Name are dropped: they would end the line, and a client ignores
// an id with NUL.
func AppendEvent(dst []byte, e Event) []byte {
	dst = appendField(dst, "event: ", e.Name)
	dst = appendField(dst, "id: ", e.ID)
	if ms := e.Retry.Milliseconds(); ms > 0 {
		dst = append(dst, "retry: "...)
		dst = strconv.AppendInt(dst, ms, 10)
		dst = append(dst, '\n')
	}
	if e.Data != nil {
		dst = appendData(dst, e.Data)
	}
	return append(dst, '\n')
}

// AppendComment appends text as a comment to dst, which clients ignore; it
// keeps a silent connection alive. Line ends in text start a new comment line.
// A blank line follows, for the readers that cut the stream at blank lines: put
// comments between events.
func AppendComment(dst []byte, text string) []byte {
	for {
		end := strings.IndexAny(text, "\r\n")
		if end < 0 {
			dst = append(dst, ": "...)
			dst = append(dst, text...)
			return append(dst, "\n\n"...)
		}
		dst = append(dst, ": "...)
		dst = append(dst, text[:end]...)
		dst = append(dst, '\n')
		text = strings.TrimPrefix(text[end:], "\r")
		text = strings.TrimPrefix(text, "\n")
	}
}

// appendField appends one line without the bytes that a value cannot have, and
// none when nothing is left: an id line without a value makes the client forget
// the id it has.
func appendField(dst []byte, field, value string) []byte {
	const dropped = "\r\n\x00"
	if strings.Trim(value, dropped) == "" {
		return dst
	}
	dst = append(dst, field...)
	for {
		end := strings.IndexAny(value, dropped)
		if end < 0 {
			break
		}
		dst = append(dst, value[:end]...)
		value = value[end+1:]
	}
	dst = append(dst, value...)
	return append(dst, '\n')
}

var crlf = []byte("\r\n")

func appendData(dst, data []byte) []byte {
	// Two searches for one byte are many times faster than one for either, and
	// JSON, which most data is, has no line end.
	if bytes.IndexByte(data, '\n') < 0 && bytes.IndexByte(data, '\r') < 0 {
		return appendDataLine(dst, data)
	}
	for {
		end := bytes.IndexAny(data, "\r\n")
		if end < 0 {
			return appendDataLine(dst, data)
		}
		dst = appendDataLine(dst, data[:end])
		if bytes.HasPrefix(data[end:], crlf) {
			end++
		}
		data = data[end+1:]
	}
}

func appendDataLine(dst, line []byte) []byte {
	dst = append(dst, "data: "...)
	dst = append(dst, line...)
	return append(dst, '\n')
}
