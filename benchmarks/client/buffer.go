package client

import (
	"errors"
	"io"
	"net"
)

const (
	firstBuffer = 4 << 10
	keptBuffer  = 64 << 10
)

// buffer holds what was read from a connection and not yet consumed.
type buffer struct {
	b    []byte
	r, w int
}

func (b *buffer) bytes() []byte { return b.b[b.r:b.w] }

// consume drops n bytes; views of bytes stay valid until the next fill.
func (b *buffer) consume(n int) { b.r += n }

// fill reads once. It grows by what arrived, never by what a peer declared.
func (b *buffer) fill(c net.Conn) error {
	switch {
	case b.r == b.w:
		b.r, b.w = 0, 0
		if len(b.b) > keptBuffer {
			b.b = nil
		}
	case b.r > 0 && b.w == len(b.b):
		b.w = copy(b.b, b.b[b.r:b.w])
		b.r = 0
	}
	if b.w == len(b.b) {
		if len(b.b) > maxMessage {
			return errors.New("client: message larger than the limit")
		}
		grown := make([]byte, max(firstBuffer, 2*len(b.b)))
		copy(grown, b.b[:b.w])
		b.b = grown
	}
	n, err := c.Read(b.b[b.w:])
	b.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}
