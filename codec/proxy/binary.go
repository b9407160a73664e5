package proxy

import (
	"encoding/binary"
	"io"
	"net/netip"
)

// signature begins every header of version 2.
const signature = "\r\n\r\n\x00\r\nQUIT\n"

const (
	headBytes = len(signature) + 4 // "always exactly 16 + this value"

	// maxBlockBytes bounds what an announced length makes the caller buffer.
	// The specification allows 65535 but expects that the header is "always
	// smaller than an MSS".
	maxBlockBytes = 4096
)

// The values of the 14th byte of which the addresses are used.
const (
	unspec = 0x00
	tcp4   = 0x11
	tcp6   = 0x21
)

// addressBytes is the length of the addresses by family: AF_UNSPEC, AF_INET,
// AF_INET6, AF_UNIX.
var addressBytes = [...]int{0, 12, 36, 216}

const transports = 3 // UNSPEC, STREAM, DGRAM

// parseBinary reads a header of version 2, section 2.2 of the specification.
func parseBinary(b []byte) (h Header, n int, err error) {
	c := cursor{b: b}
	c.want(signature, errSignature)
	local := c.command()
	kind := c.kind(local)
	length := c.length(maxBlockBytes, errBlockLength)
	end := headBytes + length
	sum := c.block(kind, end)
	switch {
	case c.err != nil:
		return Header{}, 0, c.err
	case len(b) < end:
		return Header{}, 0, io.ErrUnexpectedEOF
	case sum > 0 && !checksumHolds(b[:end], sum):
		return Header{}, 0, errChecksum
	}
	h = Header{Local: local, Version: 2}
	h.Source, h.Destination = addresses(kind, b[headBytes:end])
	return h, end, nil
}

// command reads the 13th byte and reports whether it is LOCAL. Of the version
// it says that "the receiver must only accept this value", 2, and of commands
// that "Receivers must drop connections presenting unexpected values here."
func (c *cursor) command() (local bool) {
	v := c.next()
	if v>>4 != 2 {
		c.fail(errVersion)
	}
	if v&15 > 1 {
		c.fail(errCommand)
	}
	return v&15 == 0
}

// kind reads the 14th byte, family and transport: other values than the known
// ones "must be rejected as invalid by receivers". A LOCAL connection is
// unspec whatever it says: the receiver must "discard the protocol block
// including the family which is ignored".
func (c *cursor) kind(local bool) byte {
	v := c.next()
	if local {
		return unspec
	}
	if int(v>>4) >= len(addressBytes) {
		c.fail(errFamily)
	}
	if v&15 >= transports {
		c.fail(errTransport)
	}
	return v
}

// block checks what follows the head, up to end, as far as it is there. It
// returns where the checksum is, or 0.
//
// Where family or transport is unspecified, so is the length of the addresses,
// and with it where the vectors begin. All of the block is skipped then: "a
// receiver may choose to skip over and ignore those bytes".
func (c *cursor) block(kind byte, end int) (sum int) {
	if c.err != nil || kind>>4 == 0 || kind&15 == 0 {
		return 0
	}
	c.n += addressBytes[kind>>4]
	if c.n > end {
		c.fail(errBlockShort)
	}
	return c.vectors(end)
}

// addresses reads the addresses at the beginning of a whole block. There are
// none for UNIX sockets, which have no address a server could use, and for
// datagrams, which cannot have become this connection. Neither is an error: a
// receiver may leave kinds out, "provided that it automatically falls back to
// the UNSPEC mode for the valid combinations above that it does not support".
func addresses(kind byte, b []byte) (source, destination netip.AddrPort) {
	switch kind {
	case tcp4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), binary.BigEndian.Uint16(b[8:])),
			netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:])), binary.BigEndian.Uint16(b[10:]))
	case tcp6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)).Unmap(), binary.BigEndian.Uint16(b[32:])),
			netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[16:])).Unmap(), binary.BigEndian.Uint16(b[34:]))
	}
	return netip.AddrPort{}, netip.AddrPort{}
}
