package http1

import "io"

const (
	maxSizeDigits     = 8       // of a chunk size
	maxSizeLine       = 64      // a chunk size line with its CRLF
	maxExtensionBytes = 4 << 10 // all chunk extensions of a body
	maxTrailerBytes   = 1 << 10 // the trailer section without its last empty line
)

// bodyStage is the element of a body that Decode is in.
type bodyStage uint8

const (
	inBody bodyStage = iota // a body of known length
	inSize
	inExtension
	inSizeLF
	inChunk
	inChunkCR
	inChunkLF
	inTrailerStart
	inTrailerName
	inTrailerValue
	inTrailerLF
	inLastLF
	decoded
	broken
)

// Body decodes the body of one request as it arrives, by RFC 9112 sections 6
// and 7. It holds no bytes of it. The zero Body is an empty body. It belongs to
// the goroutine that owns the connection.
type Body struct {
	err       *Error
	limit     int64
	total     int64 // length of the chunks announced so far
	remaining int64 // of the body of known length, or of the chunk
	extension int   // bytes of chunk extensions so far
	trailer   int   // bytes of the trailer section so far
	line      int   // bytes of the size line so far
	digits    int   // of the chunk size
	nameLen   int   // of the trailer field name, also beyond what name holds
	stage     bodyStage
	name      [32]byte // start of the trailer field name, long enough for every known one
}

// Reset makes d ready for the body that the parsed head r announces. It keeps
// neither r nor lim.
func (d *Body) Reset(r *Request, lim *Limits) {
	*d = Body{limit: lim.bodyBytes()}
	if r.Chunked() {
		d.stage = inSize
		return
	}
	d.remaining = r.ContentLength()
	if d.remaining > d.limit {
		d.fail(errBodyLength)
	}
}

// Decode appends to dst the part of the body that src holds, and returns the
// extended slice and how many bytes of src it used. The error is nil once the
// body is complete; what follows in src belongs to the next request. It is
// io.ErrUnexpectedEOF when more is to come; all of src is used then. Any other
// error is an *Error, repeated until Reset. How the bytes were cut into calls
// makes no difference to the result.
//
// dst grows by what src holds, never by a length the peer announces. Chunk
// extensions and trailer fields are checked and dropped.
func (d *Body) Decode(dst, src []byte) (out []byte, n int, err error) {
	for {
		switch d.stage {
		case inBody, inChunk:
			if d.remaining > 0 {
				k := int(min(d.remaining, int64(len(src)-n)))
				dst = append(dst, src[n:n+k]...)
				n += k
				d.remaining -= int64(k)
			}
			if d.remaining > 0 {
				return dst, n, io.ErrUnexpectedEOF
			}
			if d.stage == inBody {
				d.stage = decoded
			} else {
				d.stage = inChunkCR
			}
		case decoded:
			return dst, n, nil
		case broken:
			return dst, n, d.err
		default:
			if n == len(src) {
				return dst, n, io.ErrUnexpectedEOF
			}
			d.step(src[n])
			n++
		}
	}
}

func (d *Body) fail(err *Error) {
	d.stage, d.err = broken, err
}

// step takes one byte that frames the chunks. RFC 9112 section 7.1 ends each
// line with CRLF; a bare LF or CR is never taken for one (CVE-2025-22871).
func (d *Body) step(c byte) {
	switch d.stage {
	case inSize, inExtension, inSizeLF:
		d.stepSize(c)
	case inChunkCR:
		d.want(c, '\r', inChunkLF, errChunkEnd)
	case inChunkLF:
		d.want(c, '\n', inSize, errChunkEnd)
	case inLastLF:
		d.want(c, '\n', decoded, errTrailer)
	default:
		d.stepTrailer(c)
	}
}

// want moves on to next if c is the byte wanted.
func (d *Body) want(c, wanted byte, next bodyStage, err *Error) {
	if c != wanted {
		d.fail(err)
		return
	}
	d.stage = next
}

// stepSize reads chunk-size [ chunk-ext ] CRLF. White space before ";" is
// refused: RFC 9112 section 7.1.1 calls it "bad" and has it for old senders.
func (d *Body) stepSize(c byte) {
	d.line++
	if d.line > maxSizeLine {
		d.fail(errChunkLine)
		return
	}
	switch {
	case d.stage == inSizeLF:
		d.want(c, '\n', inChunk, errChunkSize)
		if d.stage == inChunk {
			d.startChunk()
		}
	case d.digits > 0 && c == '\r':
		d.stage = inSizeLF
	case d.stage == inExtension:
		d.extension++
		if c < ' ' || c == 0x7f || d.extension > maxExtensionBytes {
			d.fail(errChunkExtension)
		}
	case d.digits > 0 && c == ';':
		d.stage = inExtension
	case charClass[c]&charHex == 0 || d.digits == maxSizeDigits:
		d.fail(errChunkSize)
	default:
		d.digits++
		d.remaining = d.remaining<<4 | int64(hexValue(c))
	}
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// startChunk judges a chunk by its size, before any of it is there.
func (d *Body) startChunk() {
	d.line, d.digits = 0, 0
	if d.remaining == 0 {
		d.stage = inTrailerStart
		return
	}
	d.total += d.remaining
	if d.total > d.limit {
		d.fail(errBodyLength)
	}
}

// stepTrailer reads the trailer section. Its fields are dropped, as RFC 9112
// section 7.1.2 allows; they are checked so that its end is where every other
// parser sees it.
func (d *Body) stepTrailer(c byte) {
	if d.stage == inTrailerStart {
		if c == '\r' {
			d.stage = inLastLF
			return
		}
		d.stage, d.nameLen = inTrailerName, 0
	}
	d.trailer++
	if d.trailer > maxTrailerBytes {
		d.fail(errTrailerLength)
		return
	}
	switch d.stage {
	case inTrailerName:
		d.stepTrailerName(c)
	case inTrailerValue:
		if c == '\r' {
			d.stage = inTrailerLF
		} else if c < ' ' && c != '\t' || c == 0x7f {
			d.fail(errTrailer)
		}
	case inTrailerLF:
		d.want(c, '\n', inTrailerStart, errTrailer)
	}
}

// stepTrailerName refuses every field with a slot: RFC 9110 section 6.5.1
// forbids trailer fields for "message framing, routing, authentication, request
// modifiers, response controls, or content format".
func (d *Body) stepTrailerName(c byte) {
	if charClass[c]&charToken != 0 {
		if d.nameLen < len(d.name) {
			d.name[d.nameLen] = c
		}
		d.nameLen++
		return
	}
	if c != ':' || d.nameLen == 0 {
		d.fail(errTrailer)
		return
	}
	d.stage = inTrailerValue
	if d.nameLen > len(d.name) {
		return
	}
	if name := d.name[:d.nameLen]; lookupHeader(name) != headerNone || imitatesHeader(name) || isMCP(name) {
		d.fail(errTrailerField)
	}
}
