package proxy

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	vectorHead  = 3    // type and length
	typeCRC32C  = 0x03 // PP2_TYPE_CRC32C
	crc32cBytes = 4
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	zeros      [crc32cBytes]byte
)

// vectors walks the type-length-value vectors up to end, as far as they are
// there. They must fill the block: a length that misses its end is the sign
// that sender and receiver disagree on where the connection begins. It returns
// where the value of the checksum is, or 0. The other types are skipped: "A
// receiver may choose to skip over and ignore the TLVs it is not interested in".
func (c *cursor) vectors(end int) (sum int) {
	for c.err == nil && c.n < end {
		if end-c.n < vectorHead {
			c.fail(errVector)
			break
		}
		kind := c.next()
		if kind == typeCRC32C && sum > 0 {
			// Which of them is zero while the other is summed is not defined.
			c.fail(errChecksumRepeated)
		}
		length := c.length(end-c.n-2, errVector)
		if kind == typeCRC32C {
			if length != crc32cBytes {
				c.fail(errChecksumLength)
			}
			sum = c.n
		}
		c.n += length
	}
	return sum
}

// checksumHolds does what the receiver MUST: "replace the 32 bits of the
// checksum field in the received PROXY header with all '0's and calculate a
// CRC32c checksum value of the whole PROXY header", then "verify that the
// calculated CRC32c checksum is the same". The number is in network byte order
// as all others are.
func checksumHolds(header []byte, at int) bool {
	crc := crc32.Update(0, castagnoli, header[:at])
	crc = crc32.Update(crc, castagnoli, zeros[:])
	crc = crc32.Update(crc, castagnoli, header[at+crc32cBytes:])
	return crc == binary.BigEndian.Uint32(header[at:])
}
