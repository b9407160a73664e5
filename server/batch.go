package server

import (
	"sync"

	"millrace/codec/jsonrpc"
	"millrace/pool/buffer"
	"millrace/server/mcp"
	"millrace/server/transport"
)

// batch handles a JSON-RPC batch, which the revision 2025-03-26 alone knows:
// "Implementations ... MUST support receiving JSON-RPC batches".
func (in *inbound) batch() {
	if fail := in.refuseBatch(); fail != nil {
		id := []byte(nil)
		if in.nullID() {
			id = jsonrpc.NullID
		}
		in.fail(fail.status, id, fail.err)
		return
	}
	if !in.detached {
		in.req, in.stream = in.req.Detach(true)
		in.detached = true
	}
	if in.conn.shared() {
		in.stream.Open("") // as in leave
	}
	b := &batchStream{outer: in.stream}
	var items []jsonrpc.Message
	err := jsonrpc.ParseBatch(in.req.Body, nil, func(raw []byte) {
		msg, err := jsonrpc.Parse(raw, nil)
		switch {
		case err != nil:
			id := msg.ID
			if id == nil {
				id = jsonrpc.NullID
			}
			b.add(jsonrpc.AppendError(nil, id, err))
		case msg.Kind == jsonrpc.KindRequest && string(msg.Method) == "initialize":
			// "The initialize request MUST NOT be part of a JSON-RPC batch"
			b.add(jsonrpc.AppendError(nil, msg.ID, invalidRequest("initialize must not be part of a batch")))
		case msg.Kind == jsonrpc.KindRequest && hasID(items, msg.ID):
			b.add(jsonrpc.AppendError(nil, msg.ID, invalidRequest("another request of this batch has the same id")))
		default:
			items = append(items, msg)
		}
	})
	if err != nil {
		in.fail(400, jsonrpc.NullID, err)
		return
	}
	b.run(in, items)
}

// hasID reports whether a request among items has an id, as raw JSON.
func hasID(items []jsonrpc.Message, id []byte) bool {
	for i := range items {
		if items[i].Kind == jsonrpc.KindRequest && jsonrpc.SameID(items[i].ID, id) {
			return true
		}
	}
	return false
}

// refuseBatch says why a batch may not be served: its client has no session, or
// has not negotiated the revision with batches.
func (in *inbound) refuseBatch() *refusal {
	var s *legacySession
	if in.conn.shared() {
		s = in.boundSession()
	} else if !in.headerIsModern() {
		var fail *refusal
		if s, fail = in.find(in.req.Header); fail != nil {
			return fail
		}
	}
	if s == nil || s.mcp.Version() != mcp.Version20250326 {
		return &refusal{400, invalidRequest("batches exist in protocol version 2025-03-26 only: send one message at a time")}
	}
	return nil
}

// batchStream collects the answers to the requests of a batch. The body of the
// batch is left to the garbage collector: its calls share it.
type batchStream struct {
	outer transport.Stream

	mu      sync.Mutex
	answers [][]byte
	pending int
}

func (b *batchStream) add(answer []byte) {
	b.mu.Lock()
	b.answers = append(b.answers, answer)
	b.mu.Unlock()
}

// run dispatches the messages of a batch.
func (b *batchStream) run(in *inbound, items []jsonrpc.Message) {
	b.pending = 1 // for run itself, so that the answer waits for the last item
	for i := range items {
		if items[i].Kind == jsonrpc.KindRequest {
			b.pending++
		}
	}
	for i := range items {
		item := *in
		item.req = &transport.Request{Kind: transport.Message, Link: in.req.Link, Header: in.req.Header, Body: in.req.Body}
		item.detached = true
		if items[i].Kind == jsonrpc.KindRequest {
			item.stream = &batchItem{batch: b}
		} else {
			item.stream = silent{}
		}
		item.route(&items[i])
	}
	b.finish()
}

// finish counts one answer, and sends them all with the last.
func (b *batchStream) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pending--; b.pending > 0 {
		return
	}
	if len(b.answers) == 0 {
		b.outer.Respond(transport.Response{Status: 202})
		return
	}
	body := buffer.Get()
	for i, a := range b.answers {
		sep := byte(',')
		if i == 0 {
			sep = '['
		}
		body.B = append(append(body.B, sep), a...)
	}
	body.B = append(body.B, ']')
	b.outer.Respond(transport.Response{Status: 200, Body: body})
}

// batchItem is the Stream of one request in a batch.
type batchItem struct {
	batch *batchStream
	once  sync.Once
}

// Send implements transport.Stream. The requests of a batch share one stream, so
// the event ids of one mean nothing there.
func (i *batchItem) Send(e transport.Event) bool {
	return e.Data != nil && i.batch.outer.Send(transport.Event{Data: e.Data, Keep: e.Keep})
}

// Respond implements transport.Stream.
func (i *batchItem) Respond(r transport.Response) {
	i.once.Do(func() {
		if r.Body != nil {
			i.batch.add(append([]byte(nil), r.Body.B...))
		}
		i.batch.finish()
	})
	buffer.Put(r.Body)
}

// Hold implements transport.Stream: no initialize is in a batch.
func (i *batchItem) Hold() {}

// OnSilence implements transport.Stream.
func (i *batchItem) OnSilence(func()) {}

// Open implements transport.Stream.
func (i *batchItem) Open(string) {}

// End implements transport.Stream: a cancelled request has no answer.
func (i *batchItem) End() { i.Respond(transport.Response{}) }

// silent is the Stream of a message in a batch that wants no answer.
type silent struct{}

func (silent) Send(transport.Event) bool    { return false }
func (silent) Respond(r transport.Response) { buffer.Put(r.Body) }
func (silent) Hold()                        {}
func (silent) OnSilence(func())             {}
func (silent) Open(string)                  {}
func (silent) End()                         {}
