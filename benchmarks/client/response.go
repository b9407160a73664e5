package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

const maxHead = 64 << 10

// Head is the parsed head of an HTTP/1.1 response. Get reads fields out of the bytes it was parsed from,
// so it is valid for as long as they are.
type Head struct {
	Status int
	// Length is the declared body length, or -1 when there is none (chunked, or the body ends with the connection).
	Length  int64
	Chunked bool
	// Close tells that the server ends the connection after this response.
	Close bool
	// EventStream tells that the body is text/event-stream.
	EventStream bool

	fields []byte
}

// ParseHead reads a response head from the start of b and returns the bytes it took.
// The error is io.ErrUnexpectedEOF while b holds only a part of it.
func ParseHead(b []byte) (Head, int, error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) > maxHead {
			return Head{}, 0, errors.New("http: response head too large")
		}
		return Head{}, 0, io.ErrUnexpectedEOF
	}
	line, fields, _ := bytes.Cut(b[:end+2], []byte("\r\n"))
	// RFC 9112 section 4: status-line = HTTP-version SP status-code SP [ reason-phrase ]
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) || len(line) > 12 && line[12] != ' ' {
		return Head{}, 0, fmt.Errorf("http: bad status line %q", line)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil || status < 100 {
		return Head{}, 0, fmt.Errorf("http: bad status line %q", line)
	}
	h := Head{Status: status, Length: -1, fields: fields}
	if err := h.readFields(); err != nil {
		return Head{}, 0, err
	}
	return h, end + 4, nil
}

func (h *Head) readFields() error {
	for rest := h.fields; len(rest) > 0; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t\r\n") {
			return fmt.Errorf("http: bad field line %q", line)
		}
		if err := h.readField(name, bytes.Trim(value, " \t")); err != nil {
			return err
		}
	}
	// RFC 9112 section 6.2: "A sender MUST NOT send a Content-Length header field in any message that contains a
	// Transfer-Encoding header field."
	if h.Chunked && h.Length >= 0 {
		return errors.New("http: both Content-Length and Transfer-Encoding")
	}
	return nil
}

func (h *Head) readField(name, value []byte) error {
	switch {
	case equalFold(name, "content-length"):
		n, err := strconv.ParseUint(string(value), 10, 62)
		if err != nil || h.Length >= 0 {
			return fmt.Errorf("http: bad Content-Length %q", value)
		}
		h.Length = int64(n)
	case equalFold(name, "transfer-encoding"):
		if !equalFold(value, "chunked") {
			return fmt.Errorf("http: transfer coding %q", value)
		}
		h.Chunked = true
	case equalFold(name, "connection"):
		h.Close = h.Close || equalFold(value, "close")
	case equalFold(name, "content-type"):
		media, _, _ := bytes.Cut(value, []byte(";"))
		h.EventStream = equalFold(bytes.TrimRight(media, " \t"), "text/event-stream")
	}
	return nil
}

// Get returns the value of the first field called name (lower case), or nil.
func (h *Head) Get(name string) []byte {
	for rest := h.fields; len(rest) > 0; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if field, value, ok := bytes.Cut(line, []byte(":")); ok && equalFold(field, name) {
			return bytes.Trim(value, " \t")
		}
	}
	return nil
}

// equalFold compares ASCII letters without case. lower must be lower case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// Chunks decodes the chunked coding of RFC 9112 section 7.1 piece by piece. The zero value stands before the first chunk.
type Chunks struct {
	left  int64 // data bytes of the current chunk still to come
	inEnd bool  // the CRLF after the data of a chunk is still to come
}

// Next returns the data that b begins with and the bytes it took, framing included. done reports the end of the body.
// The error is io.ErrUnexpectedEOF when b holds no complete piece.
func (c *Chunks) Next(b []byte) (data []byte, n int, done bool, err error) {
	if c.left == 0 {
		var size int64
		if size, n, err = c.header(b); err != nil {
			return nil, 0, false, err
		}
		if size == 0 {
			if len(b) < n+2 {
				return nil, 0, false, io.ErrUnexpectedEOF
			}
			if string(b[n:n+2]) != "\r\n" {
				return nil, 0, false, errors.New("http: trailer after the last chunk")
			}
			return nil, n + 2, true, nil
		}
		c.left, c.inEnd = size, true
	}
	take := min(int64(len(b)-n), c.left)
	c.left -= take
	return b[n : n+int(take)], n + int(take), false, nil
}

func (c *Chunks) header(b []byte) (size int64, n int, err error) {
	start := 0
	if c.inEnd {
		if len(b) < 2 {
			return 0, 0, io.ErrUnexpectedEOF
		}
		if string(b[:2]) != "\r\n" {
			return 0, 0, errors.New("http: chunk longer than its size")
		}
		start = 2
	}
	end := bytes.Index(b[start:], []byte("\r\n"))
	if end < 0 {
		if len(b) > 64 {
			return 0, 0, errors.New("http: chunk size line too long")
		}
		return 0, 0, io.ErrUnexpectedEOF
	}
	size, err = strconv.ParseInt(string(b[start:start+end]), 16, 32)
	if err != nil || size < 0 {
		return 0, 0, fmt.Errorf("http: bad chunk size %q", b[start:start+end])
	}
	return size, start + end + 2, nil
}
