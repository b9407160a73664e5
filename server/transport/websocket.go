package transport

import (
	"millrace/codec/http1"
	"millrace/codec/websocket"
	"millrace/loop"
	"millrace/pool/buffer"
)

// Subprotocol is the WebSocket subprotocol of MCP messages.
const Subprotocol = "mcp"

// authPrefix marks a bearer token among the offered subprotocols, for clients
// that cannot set header fields. It is never echoed or logged. Browsers want one
// of the offered subprotocols back, so they must offer Subprotocol too.
const authPrefix = "mcp.auth."

// wsPeer is the WebSocket side of a connection: two Streams without state, one
// for answers given on the loop, one for those given elsewhere.
type wsPeer struct {
	conn          *loop.Conn
	exchange      uint64 // the one that was switched: Send wants its number
	local, remote wsStream
}

func newWSPeer(c *loop.Conn) *wsPeer {
	w := &wsPeer{conn: c, exchange: c.Exchange()} // fixed here: sendMessage runs on other goroutines
	w.local = wsStream{w, true}
	w.remote = wsStream{w, false}
	return w
}

// upgrade judges an opening handshake and asks the Dispatcher.
func (h *Handler) upgrade(p *peer, s *httpStream, r *http1.Request) {
	if !h.listener(p.conn).WebSocket {
		s.refuse(404, "this address speaks HTTP only")
		return
	}
	if p.conn.Draining() {
		s.refuse(503, "server is shutting down")
		return
	}
	err := websocket.CheckUpgrade(&websocket.Upgrade{
		Method: r.MethodName(), HTTP11: r.Minor() == 1, Host: r.Known(http1.HeaderHost),
		Upgrade: []byte("websocket"), Connection: []byte("upgrade"), // WantsUpgrade has read all lines of both
		Version: r.Known(http1.HeaderSecWebSocketVersion), Key: r.Known(http1.HeaderSecWebSocketKey),
	})
	if err != nil {
		s.refuse(err.Status, err.Reason)
		return
	}
	s.key = r.Known(http1.HeaderSecWebSocketKey)
	p.fillHeader(r)
	for line := range r.Values(http1.HeaderSecWebSocketProtocol) {
		for offered := range websocket.Protocols(line) {
			switch {
			case string(offered) == Subprotocol:
				s.protocol = Subprotocol
			case p.header.Authorization == nil && len(offered) > len(authPrefix) && string(offered[:len(authPrefix)]) == authPrefix:
				p.header.Authorization = append([]byte("Bearer "), offered[len(authPrefix):]...)
			}
		}
	}
	// From here on the link is that of a WebSocket: a refusal ends the connection.
	p.ws = newWSPeer(p.conn)
	p.relink(&Link{Protocol: WebSocket, Remote: p.client(r), Send: p.ws.sendMessage})
	p.handUp(Upgrade, nil, s, s)
}

// Message implements loop.Handler.
func (h *Handler) Message(c *loop.Conn, data []byte) {
	p := peerOf(c)
	p.http, p.header, p.open = nil, nil, nil // thousands of idle connections need not keep them
	p.request = Request{Kind: Message, Link: p.link, Body: data, origin: p.ws}
	h.up.Dispatch(&p.request, &p.ws.local)
	p.request = Request{}
}

// detach implements origin.
func (w *wsPeer) detach(r *Request) (*Request, Stream) {
	return new(Request).own(r, w.conn.TakeMessage()), &w.remote
}

// sendMessage frames a message outside of any request. Any goroutine.
func (w *wsPeer) sendMessage(msg []byte, droppable bool) bool {
	flags := loop.Flags(0)
	if droppable {
		flags = loop.Droppable
	}
	return w.conn.Send(w.exchange, frame(msg), flags)
}

func frame(msg []byte) *buffer.Buffer {
	b := buffer.Get()
	b.B = websocket.AppendText(b.B, msg)
	return b
}

// wsStream is the Stream of every request on one WebSocket. That a request is
// answered once is kept by the Dispatcher, which knows the requests.
type wsStream struct {
	ws    *wsPeer
	local bool
}

func (s *wsStream) send(msg []byte, flags loop.Flags) bool {
	if s.local {
		return s.ws.conn.Write(s.ws.exchange, frame(msg), flags)
	}
	return s.ws.conn.Send(s.ws.exchange, frame(msg), flags)
}

// Send implements Stream: a frame has no place for an event id.
func (s *wsStream) Send(e Event) bool {
	if e.Data == nil {
		return false
	}
	flags := loop.Droppable
	if e.Keep {
		flags = 0
	}
	return s.send(e.Data, flags)
}

// Respond implements Stream. Where HTTP has a status, a message without a body
// has nothing to say here.
func (s *wsStream) Respond(r Response) {
	if r.Body != nil {
		s.send(r.Body.B, 0)
		buffer.Put(r.Body)
	}
}

// Hold implements Stream: a WebSocket has no event streams.
func (s *wsStream) Hold() {}

// OnSilence implements Stream.
func (s *wsStream) OnSilence(func()) {}

// Open implements Stream: a WebSocket needs no opening.
func (s *wsStream) Open(string) {}

// End implements Stream.
func (s *wsStream) End() {}
