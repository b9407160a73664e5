package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp"
)

// questions are the requests of the server to one legacy client that wait for an
// answer: those of a session over HTTP, whose answers come on connections of
// their own, or of a shared connection. They are found by this owner and by a
// number, so that no client can answer for another. Any goroutine.
type questions struct {
	mu   sync.Mutex
	last uint64
	open map[uint64]*question
	over bool
}

// question is one of them.
type question struct {
	number uint64
	from   asker
	sent   atomic.Bool
	answer chan clientReply // takes one
}

// asker is who asks: a call, or the session outside of calls.
type asker interface {
	// pose sends msg, the request of k. It is false when that cannot be.
	pose(k *question, msg []byte) bool
	// tell sends what the client should know also when nothing can be posed.
	tell(msg []byte) bool
}

// clientReply is a client's answer, in memory of its own.
type clientReply struct {
	result json.RawMessage
	err    error
}

var (
	errNoStream = errors.New("the client has no stream open on which it could be asked")
	errAskedOut = errors.New("the client's session has ended")
)

// ask sends a request and waits for its answer until ctx ends: then the client is
// told that the answer is not needed any more.
func (q *questions) ask(ctx context.Context, from asker, method string, params []byte) (json.RawMessage, error) {
	k := q.add(from)
	if k == nil {
		return nil, errAskedOut
	}
	if !from.pose(k, jsonrpc.AppendRequest(nil, k.id(), method, params)) {
		q.take(k.number)
		return nil, errNoStream
	}
	select {
	case r := <-k.answer:
		return r.result, r.err
	case <-ctx.Done():
		if q.take(k.number) != nil {
			k.withdraw()
		}
		return nil, context.Cause(ctx)
	}
}

func (q *questions) add(from asker) *question {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over {
		return nil
	}
	if q.open == nil {
		q.open = make(map[uint64]*question)
	}
	q.last++
	k := &question{number: q.last, from: from, answer: make(chan clientReply, 1)}
	q.open[q.last] = k
	return k
}

// take takes a question out, to be answered or withdrawn; nil: somebody has.
func (q *questions) take(number uint64) *question {
	q.mu.Lock()
	defer q.mu.Unlock()
	k := q.open[number]
	delete(q.open, number)
	return k
}

// withdraw ends what a call has asked, while its stream is still there to tell
// the client.
func (q *questions) withdraw(from asker) {
	q.mu.Lock()
	var all []*question
	for _, k := range q.open {
		if k.from == from {
			all = append(all, k)
			delete(q.open, k.number)
		}
	}
	q.mu.Unlock()
	for _, k := range all {
		if k.sent.Load() {
			k.withdraw()
		}
		k.answer <- clientReply{err: context.Canceled}
	}
}

func (k *question) id() []byte { return strconv.AppendUint(nil, k.number, 10) }

// withdraw tells the client that its answer is not needed any more.
func (k *question) withdraw() {
	k.from.tell(jsonrpc.AppendNotification(nil, "notifications/cancelled",
		append(append([]byte(`{"requestId":`), k.id()...), `,"reason":"the request it belongs to has ended"}`...)))
}

// deliver hands a response to who waits for it. Others, and second ones, are
// dropped.
func (q *questions) deliver(msg *jsonrpc.Message) {
	number, err := strconv.ParseUint(string(msg.ID), 10, 64)
	if err != nil {
		return // the greeting, or nothing that was asked
	}
	if k := q.take(number); k != nil {
		k.answer <- replyOf(msg)
	}
}

// replyOf copies what a response says.
func replyOf(msg *jsonrpc.Message) clientReply {
	if msg.Error == nil {
		return clientReply{result: bytes.Clone(msg.Result)}
	}
	e := &jsonrpc.Error{Code: jsonrpc.CodeInternal}
	var said struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(msg.Error, &said) == nil {
		e.Code, e.Message = said.Code, said.Message
	}
	return clientReply{err: &mcp.ClientError{Err: e}}
}

// close ends all questions, and those to come.
func (q *questions) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = true
	for _, k := range q.open {
		k.answer <- clientReply{err: errAskedOut}
	}
	q.open = nil
}
