package client

import (
	"bytes"
	"io"
)

// Event is one server-sent event. Its fields alias the parsed bytes, except Data of more than one line.
type Event struct {
	Name, ID, Data []byte
}

// ParseEvent reads one block of an event stream, up to and with its empty line, and returns the bytes it took.
// A block of comments alone gives an Event without Data. The error is io.ErrUnexpectedEOF while the block is incomplete.
func ParseEvent(b []byte) (Event, int, error) {
	var e Event
	for n := 0; ; {
		end := bytes.IndexByte(b[n:], '\n')
		if end < 0 {
			return Event{}, 0, io.ErrUnexpectedEOF
		}
		line := bytes.TrimSuffix(b[n:n+end], []byte("\r"))
		n += end + 1
		if len(line) == 0 {
			return e, n, nil
		}
		e.field(line)
	}
}

func (e *Event) field(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "event":
		e.Name = value
	case "id":
		e.ID = value
	case "data":
		if e.Data == nil {
			e.Data = value
			return
		}
		e.Data = append(append(bytes.Clone(e.Data), '\n'), value...)
	}
}
