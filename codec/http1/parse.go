package http1

import (
	"io"
)

// stage is the element of the head that Parse is in.
type stage uint8

const (
	inMethod stage = iota
	inTarget
	inVersion
	inFields
	parsed
)

// Parse reads the head of a request from the start of b and returns its length
// with the empty line that ends it. It returns io.ErrUnexpectedEOF when b ends
// before the head does: call it again with the same bytes and more behind them,
// at whatever address; bytes already looked at are not looked at again. Any
// other error is an *Error, repeated by every call until Reset. How the bytes
// were cut into calls makes no difference to the result.
//
// The head is judged as RFC 9112 sections 2 to 7 say, and more strictly: see the
// package comment. The Request keeps b until Reset, and copies nothing.
func (r *Request) Parse(b []byte, lim *Limits) (n int, err error) {
	switch {
	case r.err != nil:
		return 0, r.err
	case r.stage == parsed:
		r.Rebase(b)
		return r.headLen, nil
	}
	limit := lim.headBytes()
	full := len(b) >= limit
	if full {
		b = b[:limit]
	}
	err = io.ErrUnexpectedEOF
	if len(b) >= r.scan {
		r.buf = b
		err = r.parse(b, lim)
	}
	if err == io.ErrUnexpectedEOF { //nolint:errorlint // parse returns it bare, and this is the hot path
		if !full {
			return 0, err
		}
		err = errHeadLength
		if r.stage == inTarget {
			err = errTargetLength
		}
	}
	if err != nil {
		r.err = err
		return 0, err
	}
	r.stage = parsed
	r.buf = b[:r.headLen:r.headLen]
	return r.headLen, nil
}

// parse runs the stages. Each returns io.ErrUnexpectedEOF at the end of b after
// it has noted in r where to go on.
func (r *Request) parse(b []byte, lim *Limits) error {
	switch r.stage {
	case inMethod:
		if err := r.parseMethod(b); err != nil {
			return err
		}
		fallthrough
	case inTarget:
		if err := r.parseTarget(b, lim.targetBytes()); err != nil {
			return err
		}
		fallthrough
	case inVersion:
		if err := r.parseVersion(b); err != nil {
			return err
		}
	}
	if err := r.parseFields(b, lim.fields()); err != nil {
		return err
	}
	return r.judge(lim.bodyBytes())
}

// enter moves on to the stage whose element starts at i.
func (r *Request) enter(s stage, i int) {
	r.stage, r.pos, r.scan = s, i, i
}

// parseMethod also refuses what RFC 9112 section 2.2 lets a server ignore, an
// empty line before the request: CR is no tchar.
func (r *Request) parseMethod(b []byte) error {
	i := r.scan
	for i < len(b) && charClass[b[i]]&charToken != 0 {
		if i == maxMethod {
			return errMethodLength
		}
		i++
	}
	if i == len(b) {
		r.scan = i
		return io.ErrUnexpectedEOF
	}
	if i == 0 || b[i] != ' ' {
		return errMethod
	}
	r.method = lookupMethod(b[:i])
	r.methodLen = uint8(i)
	r.enter(inTarget, i+1)
	return nil
}

func (r *Request) parseTarget(b []byte, limit int) error {
	i := r.scan
	end := len(b)
	if end-r.pos > limit {
		end = r.pos + limit + 1
	}
	for i < end && charClass[b[i]]&charTarget != 0 {
		i++
	}
	if i-r.pos > limit {
		return errTargetLength
	}
	if i == len(b) {
		r.scan = i
		return io.ErrUnexpectedEOF
	}
	if i == r.pos || b[i] != ' ' {
		return errTarget
	}
	r.target = span{uint32(r.pos), uint32(i)}
	r.enter(inVersion, i+1)
	return nil
}

const (
	version = "HTTP/1.1"
	crlf    = "\r\n"
)

// parseVersion reads the version and the end of the request line.
func (r *Request) parseVersion(b []byte) error {
	rest := b[r.pos:]
	if len(rest) >= len(version+crlf) && string(rest[:len(version+crlf)]) == version+crlf {
		r.minor = 1
	} else if err := r.parseOtherVersion(rest); err != nil {
		return err
	}
	if err := r.resolveTarget(); err != nil {
		return err
	}
	r.enter(inFields, r.pos+len(version+crlf))
	return nil
}

// parseOtherVersion judges byte by byte what is not HTTP/1.1 and CRLF, so that
// garbage is refused as soon as it is seen and not when ten bytes of it are.
func (r *Request) parseOtherVersion(rest []byte) error {
	for i, c := range rest[:min(len(rest), len(version))] {
		digit := version[i] == '1'
		if digit && charClass[c]&charDigit == 0 || !digit && c != version[i] {
			return errVersion
		}
	}
	if len(rest) < len(version) {
		return io.ErrUnexpectedEOF
	}
	if rest[5] != '1' || rest[7] > '1' {
		return errVersionUnknown
	}
	for i := range len(crlf) {
		if len(version)+i == len(rest) {
			return io.ErrUnexpectedEOF
		}
		if rest[len(version)+i] != crlf[i] {
			return errLineEnd
		}
	}
	r.minor = rest[7] - '0'
	return nil
}

// parseFields reads the field lines and the empty line behind them. A folded
// line (obs-fold) and white space before the colon both fail as field names,
// a bare CR or LF fails as a field value.
func (r *Request) parseFields(b []byte, limit int) error {
	start, nameEnd, i := r.pos, r.nameEnd, r.scan
	for {
		if nameEnd == 0 {
			for i < len(b) && charClass[b[i]]&charToken != 0 {
				i++
			}
			if i > start && len(r.fields) >= limit {
				return errFieldCount
			}
			if i == len(b) {
				break
			}
			if i == start && b[i] == '\r' {
				if i+1 == len(b) {
					break
				}
				if b[i+1] != '\n' {
					return errLineEnd
				}
				r.headLen = i + len(crlf)
				return nil
			}
			if i == start || b[i] != ':' {
				return errFieldName
			}
			nameEnd = i
			i++
		}
		i = valueEnd(b, i)
		if i == len(b) || b[i] == '\r' && i+1 == len(b) {
			break
		}
		if b[i] != '\r' || b[i+1] != '\n' {
			return errFieldValue
		}
		if err := r.addField(b, start, nameEnd, i); err != nil {
			return err
		}
		i += len(crlf)
		start, nameEnd = i, 0
	}
	r.pos, r.nameEnd, r.scan = start, nameEnd, i
	return io.ErrUnexpectedEOF
}

// addField notes the field line b[start:end] whose name ends at nameEnd.
func (r *Request) addField(b []byte, start, nameEnd, end int) error {
	name := b[start:nameEnd]
	h := lookupHeader(name)
	switch {
	case h == headerNone:
		if err := r.checkUnknown(name); err != nil {
			return err
		}
	case r.slots[h] == 0:
		r.slots[h] = uint16(len(r.fields) + 1)
	case mayRepeat&(1<<h) == 0:
		return errFieldRepeated
	default:
		r.repeated |= 1 << h
	}
	value := nameEnd + 1
	for value < end && isSpace(b[value]) {
		value++
	}
	for end > value && isSpace(b[end-1]) {
		end--
	}
	r.fields = append(r.fields, field{
		name:   span{uint32(start), uint32(nameEnd)},
		value:  span{uint32(value), uint32(end)},
		header: h,
	})
	return nil
}

// checkUnknown judges the name of a field without a slot.
func (r *Request) checkUnknown(name []byte) error {
	if imitatesHeader(name) {
		return errFieldUnderscore
	}
	if !isMCP(name) {
		return nil
	}
	for i := range r.fields {
		if f := &r.fields[i]; equalFold(r.view(f.name), name) {
			return errFieldRepeated
		}
	}
	return nil
}

// connectionOption is a set of options of the Connection field.
type connectionOption uint8

const (
	optionClose connectionOption = 1 << iota
	optionKeepAlive
	optionUpgrade
)

// judge decides what needs the whole head: host, framing, connection options.
func (r *Request) judge(bodyLimit int64) error {
	if err := r.judgeHost(); err != nil {
		return err
	}
	if err := r.judgeFraming(); err != nil {
		return err
	}
	if expect := r.Known(HeaderExpect); expect != nil && r.minor == 1 {
		// RFC 9110 section 10.1.1: a server that receives "an Expect field
		// value containing a member other than 100-continue MAY respond with a
		// 417".
		if !equalFold(expect, "100-continue") {
			return errExpect
		}
		r.expect = true
	}
	for value := range r.Values(HeaderConnection) {
		for option := range elements(value) {
			r.connection |= lookupOption(option)
		}
	}
	if r.contentLength > bodyLimit {
		return errBodyLength
	}
	return nil
}

func lookupOption(token []byte) connectionOption {
	switch {
	case equalFold(token, "close"):
		return optionClose
	case equalFold(token, "keep-alive"):
		return optionKeepAlive
	case equalFold(token, "upgrade"):
		return optionUpgrade
	}
	return 0
}

// judgeFraming decides where the body ends. RFC 9112 section 6.3 lets
// Transfer-Encoding override Content-Length; as "an attempt to perform request
// smuggling" is likelier, both together are refused. Section 6.1: "A server
// that receives a request message with a transfer coding it does not understand
// SHOULD respond with 501 (Not Implemented)." Coding names have no case by the
// RFC; other spellings than "chunked" only hide it from somebody in front.
func (r *Request) judgeFraming() error {
	coding, length := r.Known(HeaderTransferEncoding), r.Known(HeaderContentLength)
	switch {
	case coding != nil && length != nil:
		return errBothFramings
	case coding != nil && r.minor == 0:
		return errTransferOn10
	case coding != nil && string(coding) != "chunked":
		return errTransferEncoding
	case coding != nil:
		r.contentLength = -1
		return r.judgeTrailer()
	case length != nil:
		n, ok := parseLength(length)
		if !ok {
			return errContentLength
		}
		r.contentLength = n
	}
	return nil
}

// judgeTrailer refuses a Trailer field that announces framing fields, which RFC
// 9110 section 6.5.1 forbids in a trailer section.
func (r *Request) judgeTrailer() error {
	for value := range r.Values(HeaderTrailer) {
		for name := range elements(value) {
			switch lookupHeader(name) {
			case HeaderTransferEncoding, HeaderContentLength, HeaderTrailer:
				return errTrailerName
			}
		}
	}
	return nil
}

// maxLengthDigits keeps a Content-Length far from overflow, here and in the
// floating-point numbers of other parsers.
const maxLengthDigits = 15

// parseLength reads 1*DIGIT. A leading zero is refused: some parsers read it as
// the mark of an octal number.
func parseLength(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > maxLengthDigits || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	for _, c := range b {
		if charClass[c]&charDigit == 0 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
