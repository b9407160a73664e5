package websocket

import (
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Defaults of Limits.
const (
	defaultMessageBytes     = 4 << 20
	defaultFragments        = 1024
	defaultControlPerSecond = 10
)

const (
	// firstBuffer is the least that a message buffer starts with, unless the
	// whole message is smaller.
	firstBuffer = 512
	// keepBuffer is the largest buffer that is kept from one message to the
	// next when the caller did not Take it: an idle connection must not hold
	// the memory of its largest message.
	keepBuffer = 4 << 10
)

// Limits bounds what a peer may send. Zero or less means the default.
type Limits struct {
	// MessageBytes is the most a message may have, over all its frames: 4 MiB.
	// More is refused with 1009 when the header that exceeds it arrives.
	MessageBytes int
	// Fragments is the most frames a message may have: 1,024. One more is
	// refused with 1008. It bounds the work for a message of empty frames,
	// which MessageBytes never sees.
	Fragments int
	// ControlPerSecond is the most control frames (ping, pong, close) in one
	// second: 10. One more is refused with 1008. The second starts with the
	// first control frame after the last second was over.
	ControlPerSecond int
}

// Event is what Decoder.Next found.
type Event uint8

// The events of a Decoder.
const (
	EventNone    Event = iota // all bytes used, more needed
	EventMessage              // a whole text or binary message
	EventPing                 // answer it with AppendPong of the payload
	EventPong
	EventClose // the last event; see Decoder.CloseCode
)

// Decoder reads the frames that one client sends (RFC 6455 section 5) and
// assembles messages. The zero value is ready, with default limits. It belongs
// to one connection and to the goroutine that reads it.
type Decoder struct {
	// Limits must not change after the first call of Next.
	Limits Limits

	dead    *CloseError // the violation; the decoder reads nothing after it
	closed  bool        // a Close frame was read
	binary  bool        // of the message just returned
	view    bool        // payload is a view of the caller's bytes
	event   Event       // just returned
	payload []byte      // of the event just returned
	code    uint16      // of the Close frame
	reason  []byte

	frame   frame
	message message
	control control
}

// frame is the frame being read.
type frame struct {
	header [maxHeaderSize]byte // held bytes of an incomplete header
	held   uint8
	open   bool // the header is complete, the payload is not
	fin    bool
	op     ws.OpCode
	mask   [maskSize]byte
	length int
	done   int // payload bytes read
}

// message is the data message being assembled, over all its frames.
type message struct {
	open      bool // a first frame was seen, the final one is not complete
	text      bool
	fragments int
	base      int    // bytes of the frames before the present one
	buf       []byte // payload so far; unused for a message in one piece
	check     textCheck
}

// control bounds control frames and keeps the payload of one that is cut.
// Control frames come between the frames of a message, so they have a buffer
// of their own.
type control struct {
	since time.Time // start of the second that count belongs to
	count int
	buf   []byte // made when the first one is cut
}

// Next reads at most one event from the start of b and unmasks its payload in
// place: b is the decoder's to change. It uses n bytes of b; call it again with
// the rest. EventNone without an error means that all of b was used and more is
// needed; what is incomplete, down to a part of a header, is kept inside.
//
// err is a *CloseError when the peer broke a rule or a limit; b counts as used
// and every later call returns the same error. After EventClose everything is
// ignored: RFC 6455 section 1.4, "after receiving a control frame indicating
// the connection should be closed, a peer discards any further data received".
func (d *Decoder) Next(b []byte, now time.Time) (ev Event, n int, err error) {
	d.release()
	if d.dead != nil {
		return EventNone, len(b), d.dead
	}
	if d.closed {
		return EventNone, len(b), nil
	}
	for {
		if !d.frame.open {
			used, violation := d.readHeader(b[n:], now)
			if violation != nil {
				return d.fail(violation, len(b))
			}
			n += used
			if !d.frame.open {
				return EventNone, n, nil
			}
		}
		found, used, violation := d.readPayload(b[n:])
		if violation != nil {
			return d.fail(violation, len(b))
		}
		n += used
		if found != EventNone || d.frame.open {
			d.event = found
			return found, n, nil
		}
	}
}

// Payload returns the payload of the event that Next just returned: a view of
// the bytes given to Next when the frame's payload was wholly inside them and
// is the whole message, else of a buffer of the decoder. It is valid until the
// next call of Next.
func (d *Decoder) Payload() []byte { return d.payload }

// Binary reports whether the message that Next just returned is binary. UTF-8
// is checked in text messages only.
func (d *Decoder) Binary() bool { return d.binary }

// CloseCode returns the code of the Close frame after EventClose, 1005 when it
// had none, and the reason, which is valid as long as Payload.
func (d *Decoder) CloseCode() (code uint16, reason []byte) { return d.code, d.reason }

// Take hands the buffer that the message was assembled in to the caller, who
// owns it from then on. It returns nil when there is no such buffer, because
// Payload is a view of the caller's own bytes or the event is no message.
func (d *Decoder) Take() []byte {
	if d.event != EventMessage || d.view {
		return nil
	}
	buf := d.message.buf
	d.message.buf = nil
	d.event = EventNone
	return buf
}

// Pinned returns the bytes of memory that an incomplete message holds, 0 when
// there is none: at most twice what was received of it, or 4 KiB.
func (d *Decoder) Pinned() int {
	if !d.message.open {
		return 0
	}
	return cap(d.message.buf)
}

// Partial reports whether a frame or a message has begun and is not complete.
func (d *Decoder) Partial() bool {
	return d.frame.held > 0 || d.frame.open || d.message.open
}

// release ends the life of the event that the last call returned.
func (d *Decoder) release() {
	d.payload, d.reason, d.event = nil, nil, EventNone
	if d.message.open {
		return
	}
	if cap(d.message.buf) > keepBuffer {
		d.message.buf = nil
	}
	d.message.buf = d.message.buf[:0]
}

// end drops what is incomplete: nothing is read any more.
func (d *Decoder) end() {
	d.frame = frame{}
	d.message = message{}
}

func (d *Decoder) fail(violation *CloseError, n int) (Event, int, error) {
	d.end()
	d.dead = violation
	return EventNone, n, violation
}

// readHeader reads the header of the next frame from b, or the rest of one
// that was cut, and opens the frame. It uses all of b when that is too short.
func (d *Decoder) readHeader(b []byte, now time.Time) (n int, err *CloseError) {
	f := &d.frame
	h := b
	if f.held > 0 {
		h = f.header[:int(f.held)+copy(f.header[f.held:], b)]
	}
	if len(h) >= 2 {
		var state ws.State
		if d.message.open {
			state = ws.StateFragmented
		}
		if err := checkStart(h[0], h[1], state); err != nil {
			return 0, err
		}
		if size := headerSize(h[1]); len(h) >= size {
			n = size - int(f.held)
			f.held = 0
			return n, d.openFrame(h[:size], now)
		}
	}
	if f.held == 0 {
		copy(f.header[:], h)
	}
	f.held = uint8(len(h)) // less than maxHeaderSize
	return len(b), nil
}

// openFrame begins the frame with the whole header h.
func (d *Decoder) openFrame(h []byte, now time.Time) *CloseError {
	length, err := declaredLength(h)
	if err != nil {
		return err
	}
	op := ws.OpCode(h[0] & maskOpCode)
	if op.IsControl() {
		err = d.admitControl(now)
	} else {
		err = d.admitData(op, length)
	}
	if err != nil {
		return err
	}
	f := &d.frame
	f.open = true
	f.fin = h[0]&bitFIN != 0
	f.op = op
	f.mask = [maskSize]byte(h[len(h)-maskSize:])
	f.length = int(length)
	f.done = 0
	return nil
}

// admitControl counts a control frame.
func (d *Decoder) admitControl(now time.Time) *CloseError {
	c := &d.control
	// A clock that was set back must not make the second last longer.
	if elapsed := now.Sub(c.since); elapsed < 0 || elapsed >= time.Second {
		c.since, c.count = now, 0
	}
	if c.count >= orDefault(d.Limits.ControlPerSecond, defaultControlPerSecond) {
		return &CloseError{ClosePolicy, "too many control frames"}
	}
	c.count++
	return nil
}

// admitData counts a data frame against the limits of its message, before any
// of its payload is read.
func (d *Decoder) admitData(op ws.OpCode, length uint64) *CloseError {
	m := &d.message
	if op != ws.OpContinuation {
		*m = message{open: true, text: op == ws.OpText, buf: m.buf}
	}
	m.base = len(m.buf)
	if m.fragments >= orDefault(d.Limits.Fragments, defaultFragments) {
		return &CloseError{ClosePolicy, "too many fragments"}
	}
	m.fragments++
	left := orDefault(d.Limits.MessageBytes, defaultMessageBytes) - m.base
	if length > uint64(left) {
		return &CloseError{CloseTooBig, "message too big"}
	}
	return nil
}

// readPayload reads what b has of the open frame's payload.
func (d *Decoder) readPayload(b []byte) (ev Event, n int, err *CloseError) {
	f := &d.frame
	n = min(len(b), f.length-f.done)
	p := b[:n:n]
	ws.Cipher(p, f.mask, f.done)
	f.done += n
	f.open = f.done < f.length
	if f.op.IsControl() {
		ev, err = d.readControl(p)
	} else {
		ev, err = d.readData(p)
	}
	return ev, n, err
}

// readControl takes p, the unmasked next part of a control frame.
func (d *Decoder) readControl(p []byte) (Event, *CloseError) {
	f := &d.frame
	if len(p) < f.length {
		if d.control.buf == nil {
			d.control.buf = make([]byte, ws.MaxControlFramePayloadSize)
		}
		copy(d.control.buf[f.done-len(p):], p)
		p = d.control.buf[:f.done]
	}
	if f.open {
		return EventNone, nil
	}
	d.payload = p
	switch f.op {
	case ws.OpPing:
		return EventPing, nil
	case ws.OpPong:
		return EventPong, nil
	}
	code, reason, err := parseClose(p)
	if err != nil {
		return EventNone, err
	}
	d.end()
	d.closed, d.code, d.reason = true, code, reason
	return EventClose, nil
}

// readData takes p, the unmasked next part of a data frame.
func (d *Decoder) readData(p []byte) (Event, *CloseError) {
	f, m := &d.frame, &d.message
	if f.fin && f.op != ws.OpContinuation && len(p) == f.length {
		if m.text && !utf8.Valid(p) {
			return EventNone, errText()
		}
		return d.deliver(p, true), nil
	}
	if m.text && !m.check.write(p) {
		return EventNone, errText()
	}
	d.keep(p)
	if f.open || !f.fin {
		return EventNone, nil
	}
	if m.text && !m.check.complete() {
		return EventNone, errText()
	}
	return d.deliver(m.buf, false), nil
}

// deliver ends the message.
func (d *Decoder) deliver(p []byte, view bool) Event {
	d.payload, d.view = p, view
	d.binary = !d.message.text
	d.message.open = false
	return EventMessage
}

// keep appends p to the message buffer. The buffer grows with what was
// received, to the double each time; what the peer declared only makes it
// smaller.
func (d *Decoder) keep(p []byte) {
	f, m := &d.frame, &d.message
	if need := len(m.buf) + len(p); need > cap(m.buf) {
		size := max(need, 2*cap(m.buf), firstBuffer)
		if f.fin {
			size = min(size, m.base+f.length)
		} else {
			size = min(size, orDefault(d.Limits.MessageBytes, defaultMessageBytes))
		}
		m.buf = append(make([]byte, 0, size), m.buf...)
	}
	m.buf = append(m.buf, p...)
}

// errText is the violation of RFC 6455 section 8.1: "When an endpoint is to
// interpret a byte stream as UTF-8 but finds that the byte stream is not, in
// fact, a valid UTF-8 stream, that endpoint MUST Fail the WebSocket
// Connection".
func errText() *CloseError {
	return &CloseError{CloseInvalidUTF8, "invalid UTF-8 in text message"}
}

func orDefault(limit, byDefault int) int {
	if limit <= 0 {
		return byDefault
	}
	return limit
}
