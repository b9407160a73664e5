package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"

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
	open map[uint64]chan clientReply // each takes one
	over bool
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

// ask sends a request with send, which is false when it cannot be sent, and
// waits for its answer until ctx ends: then the client is told with tell that
// the answer is not needed any more.
func (q *questions) ask(ctx context.Context, method string, params []byte, send, tell func(msg []byte) bool) (json.RawMessage, error) {
	number, answer := q.add()
	if answer == nil {
		return nil, errAskedOut
	}
	defer q.remove(number)
	id := strconv.AppendUint(nil, number, 10)
	if !send(jsonrpc.AppendRequest(nil, id, method, params)) {
		return nil, errNoStream
	}
	select {
	case r := <-answer:
		return r.result, r.err
	case <-ctx.Done():
		tell(jsonrpc.AppendNotification(nil, "notifications/cancelled",
			append(append([]byte(`{"requestId":`), id...), `,"reason":"the request it belongs to has ended"}`...)))
		return nil, context.Cause(ctx)
	}
}

func (q *questions) add() (uint64, chan clientReply) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over {
		return 0, nil
	}
	if q.open == nil {
		q.open = make(map[uint64]chan clientReply)
	}
	q.last++
	c := make(chan clientReply, 1)
	q.open[q.last] = c
	return q.last, c
}

func (q *questions) remove(number uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.open, number)
}

// deliver hands a response to who waits for it. Others, and second ones, are
// dropped.
func (q *questions) deliver(msg *jsonrpc.Message) {
	number, err := strconv.ParseUint(string(msg.ID), 10, 64)
	if err != nil {
		return // the greeting, or nothing that was asked
	}
	q.mu.Lock()
	c := q.open[number]
	delete(q.open, number)
	q.mu.Unlock()
	if c != nil {
		c <- replyOf(msg)
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
	for _, c := range q.open {
		c <- clientReply{err: errAskedOut}
	}
	q.open = nil
}
