package looptest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Response is one response from the server.
type Response struct {
	Status int
	Header map[string]string // by lower-case name; the last line of a name counts
	Body   string
}

// Responses reads b as responses, interim ones included. What follows a 101
// comes back as rest.
func Responses(b []byte) (all []Response, rest []byte, err error) {
	for len(b) > 0 {
		var r Response
		if r, b, err = readResponse(b); err != nil {
			return all, b, fmt.Errorf("response %d: %w", len(all), err)
		}
		all = append(all, r)
		if r.Status == 101 {
			return all, b, nil
		}
	}
	return all, nil, nil
}

func readResponse(b []byte) (r Response, rest []byte, err error) {
	head, rest, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok {
		return r, b, io.ErrUnexpectedEOF
	}
	lines := strings.Split(string(head), "\r\n")
	version, status, _ := strings.Cut(lines[0], " ")
	if !strings.HasPrefix(version, "HTTP/1.") || len(status) < 3 {
		return r, b, fmt.Errorf("status line %q", lines[0])
	}
	if r.Status, err = strconv.Atoi(status[:3]); err != nil {
		return r, b, err
	}
	r.Header = map[string]string{}
	for _, l := range lines[1:] {
		name, value, ok := strings.Cut(l, ": ")
		if !ok {
			return r, b, fmt.Errorf("field line %q", l)
		}
		r.Header[strings.ToLower(name)] = value
	}
	if r.Status < 200 || r.Status == 204 {
		return r, rest, nil
	}
	var body []byte
	if r.Header["transfer-encoding"] == "chunked" {
		body, rest, err = readChunks(rest)
	} else {
		body, rest, err = readLength(rest, r.Header["content-length"])
	}
	r.Body = string(body)
	return r, rest, err
}

func readLength(b []byte, length string) (body, rest []byte, err error) {
	n, err := strconv.Atoi(length)
	if err != nil {
		return nil, b, fmt.Errorf("Content-Length: %w", err)
	}
	if n > len(b) {
		return nil, b, io.ErrUnexpectedEOF
	}
	return b[:n], b[n:], nil
}

func readChunks(b []byte) (body, rest []byte, err error) {
	for {
		size, after, ok := bytes.Cut(b, []byte("\r\n"))
		if !ok {
			return body, b, io.ErrUnexpectedEOF
		}
		n, err := strconv.ParseUint(string(size), 16, 31)
		if err != nil {
			return body, b, fmt.Errorf("chunk size: %w", err)
		}
		if len(after) < int(n)+2 {
			return body, b, io.ErrUnexpectedEOF
		}
		if string(after[n:n+2]) != "\r\n" {
			return body, b, errors.New("chunk without end")
		}
		body, b = append(body, after[:n]...), after[n+2:]
		if n == 0 {
			return body, b, nil
		}
	}
}
