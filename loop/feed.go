package loop

import (
	"errors"
	"io"

	"millrace/codec/http1"
	"millrace/codec/websocket"
	"millrace/pool/buffer"
)

// droppedBody is how long the body of a request that has no use for one may
// be (GET, HEAD, DELETE, OPTIONS): reading it keeps the connection in step.
const droppedBody = 4 << 10

// lingerBytes is how much input a lingering connection discards: what was
// refused, mostly. A client that is cut off while it still sends often never sees
// the answer that says why (413, 1009).
const lingerBytes = 32 << 20

// feed gives the connection bytes read from its socket. It uses all of b, which
// the caller may reuse afterwards, and modifies it (unmasking is in place).
func (c *Conn) feed(b []byte) {
	if len(b) == 0 {
		return
	}
	if !c.TLS() { // there, half a record says nothing: see feedTLS
		c.times.active = c.loop.at
		c.times.ping = 0 // any byte shows that the peer lives
	}
	switch {
	case c.mode == modeLinger:
		c.discard(len(b))
	case c.closing:
	case c.mode == modeProxy:
		c.feedProxy(b)
	case c.mode == modeHandshake:
		c.feedHandshake(b)
	case c.tls != nil:
		c.feedTLS(b)
	default:
		c.feedPlain(b)
	}
}

// feedPlain takes what the peer has said, decrypted if need be.
func (c *Conn) feedPlain(b []byte) {
	switch {
	case len(b) == 0:
	case c.mode == modeWebSocket:
		c.feedWebSocket(b)
	case c.mode == modeHTTP:
		c.feedHTTP(b)
	}
}

// proceed goes on with what a connection was kept from: bytes of the next
// request, a close, and writing. The loop calls it for every connection that
// was marked dirty.
func (c *Conn) proceed() {
	c.dirty = false
	if c.mode == modeClosed {
		return
	}
	if c.aborted {
		c.sock.close()
		return
	}
	if c.resumable {
		c.resumable = false
		c.resume()
	}
	c.flush()
}

// feedHTTP parses straight from b when nothing is left over from before, which
// is the usual case, and from the connection's own buffer otherwise.
func (c *Conn) feedHTTP(b []byte) {
	if c.in == nil {
		rest := c.parse(b)
		c.keep(rest)
		return
	}
	c.in.B = append(c.in.B, b...)
	if !c.busy {
		c.resume()
		return
	}
	c.account()
	if len(c.in.B) > maxHeld {
		c.Abort(ErrPinned)
	}
}

// resume parses what the connection holds. The last answer may have switched
// it to WebSocket: then these are frames.
func (c *Conn) resume() {
	held := c.in
	if held == nil {
		return
	}
	c.in = nil
	rest := c.parse(held.B)
	if len(rest) > 0 {
		held.B = held.B[:copy(held.B, rest)]
		c.in, held = held, nil
	}
	buffer.Put(held)
	c.account()
}

// keep copies what was not parsed into the connection's buffer.
func (c *Conn) keep(rest []byte) {
	if len(rest) > 0 {
		c.in = buffer.Copy(rest)
	}
	c.account()
}

// account bounds what the connection holds for incomplete input.
func (c *Conn) account() {
	n := 0
	if c.ws != nil {
		n = c.ws.Pinned()
	}
	for _, b := range [...]*buffer.Buffer{c.in, c.head, c.body} {
		if b != nil {
			n += len(b.B)
		}
	}
	if c.pin(n) || c.closing {
		return
	}
	c.err = ErrPinned
	if c.mode == modeWebSocket {
		c.closeWebSocket(websocket.CloseTryAgain, "server is holding too many incomplete messages")
		return
	}
	if c.busy {
		c.Abort(ErrPinned) // an answer may be half sent: nothing can be said any more
		return
	}
	c.refuse(503, ErrPinned.Error())
}

// parse reads requests from b and dispatches them, and returns what is left:
// an incomplete head, or bytes that follow a request still being answered. A
// switch to WebSocket hands the rest to the frame decoder.
func (c *Conn) parse(b []byte) (rest []byte) {
	for len(b) > 0 && !c.busy && !c.closing && !c.aborted && c.mode == modeHTTP {
		n, more := c.parseRequest(b)
		b = b[n:]
		if more {
			break
		}
	}
	switch {
	case c.mode == modeWebSocket:
		c.feedWebSocket(b)
		return nil
	case c.closing:
		return nil // bytes behind a parse error or a last response mean nothing
	}
	return b
}

// parseRequest reads one request, or a part of its body. n is how much of b it
// used; more says that the rest of it has yet to arrive.
func (c *Conn) parseRequest(b []byte) (n int, more bool) {
	if c.head != nil {
		return c.parseBody(b)
	}
	n, err := c.req.Parse(b, &c.loop.cfg.HTTP)
	if err != nil {
		return 0, c.incomplete(err, &c.times.head)
	}
	c.times.head = 0
	limits := c.bodyLimits()
	length := c.req.ContentLength()
	if length > limits.BodyBytes {
		c.refuse(413, "request body too large")
		return 0, true
	}
	if length >= 0 && int64(len(b)-n) >= length {
		end := n + int(length)
		c.req.Body = b[n:end:end]
		c.dispatch()
		return end, false
	}
	c.startBody(b[:n], &limits)
	if c.req.ExpectContinue() && len(b) == n {
		c.sendContinue()
	}
	used, more := c.parseBody(b[n:])
	return n + used, more
}

// startBody moves the head to memory of its own, because b will be reused
// before the body is complete.
func (c *Conn) startBody(head []byte, limits *http1.Limits) {
	c.head = buffer.Copy(head)
	c.req.Rebase(c.head.B)
	c.body = buffer.Get()
	c.decoder.Reset(c.req, limits)
	c.times.body = c.loop.at
	c.rearm()
}

// parseBody decodes more of a body and dispatches the request when it is whole.
func (c *Conn) parseBody(b []byte) (n int, more bool) {
	out, n, err := c.decoder.Decode(c.body.B, b)
	c.body.B = out
	if err != nil {
		return n, c.incomplete(err, nil)
	}
	c.times.body = 0
	c.req.Body = c.body.B
	c.dispatch()
	return n, false
}

// incomplete waits for more, or refuses the request. It returns true: parsing
// stops in both cases. since, if given, keeps when the waiting began.
func (c *Conn) incomplete(err error, since *moment) bool {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		if since != nil && since.isZero() {
			*since = c.loop.at
			c.rearm()
		}
		return true
	}
	var perr *http1.Error
	if errors.As(err, &perr) {
		c.refuse(perr.Status, perr.Reason)
	} else {
		c.refuse(400, "malformed request")
	}
	return true
}

// bodyLimits allows only a short body where the method gives it no meaning
// (RFC 9110 section 9.3.1): it is read to stay in step, and not used.
func (c *Conn) bodyLimits() http1.Limits {
	l := c.loop.cfg.HTTP
	if l.BodyBytes <= 0 {
		l.BodyBytes = http1.DefaultBodyBytes
	}
	switch c.req.Method() {
	case http1.MethodGet, http1.MethodHead, http1.MethodDelete, http1.MethodOptions:
		l.BodyBytes = min(l.BodyBytes, droppedBody)
	}
	return l
}

// dispatch hands the complete request to the handler and frees what it did not
// take.
func (c *Conn) dispatch() {
	c.exchange++
	c.busy = true
	c.loop.shared.requests.Add(1)
	c.keepAlive = c.req.KeepAlive()
	c.loop.handler.Request(c, c.req)
	c.req.Body = nil
	c.req.Reset()
	buffer.Put(c.head)
	buffer.Put(c.body)
	c.head, c.body = nil, nil
}

// sendContinue answers "Expect: 100-continue" once the head was found good
// (RFC 9110 section 10.1.1).
func (c *Conn) sendContinue() {
	b := buffer.Get()
	b.B = append(b.B, http1.Continue...)
	c.say(b)
}

// refuse answers a request that could not be read and closes: after a parse
// error nobody knows where the next request begins.
func (c *Conn) refuse(status int, reason string) {
	b := buffer.Get()
	b.B = http1.AppendStatusLine(b.B, status)
	b.B = http1.AppendField(b.B, "Content-Type", "text/plain; charset=utf-8")
	b.B = http1.AppendContentLength(b.B, len(reason)+1)
	if status == 503 {
		b.B = http1.AppendField(b.B, "Retry-After", "1")
	}
	b.B = http1.AppendField(b.B, "Date", c.Date())
	b.B = http1.AppendField(b.B, "Connection", "close")
	b.B = http1.AppendEnd(b.B)
	b.B = append(append(b.B, reason...), '\n')
	c.say(b)
	c.closing = true
	c.loop.shared.refused.Add(1)
	c.dropInput()
}

// discard counts input that a lingering connection throws away. Beyond the bound
// nothing is read any more, and the end of the linger ends the connection.
func (c *Conn) discard(n int) {
	c.discarded += n
	if c.discarded > lingerBytes && !c.sock.listen(false, false) {
		c.Abort(nil)
	}
}

// linger sends FIN and waits for the peer's, for a second at most.
func (c *Conn) linger() {
	c.mode = modeLinger
	c.times.linger = c.loop.at
	c.dropInput()
	c.sock.shutdownWrite()
	c.rearm()
}
