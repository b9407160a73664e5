package jsonrpc

import (
	"encoding/json"
	"strconv"
)

// Error codes of JSON-RPC 2.0, section 5.1.
const (
	CodeParse          = -32700
	CodeInvalidRequest = -32600
	CodeMethodNotFound = -32601
	CodeInvalidParams  = -32602
	CodeInternal       = -32603
)

// Error is the error object of JSON-RPC 2.0, section 5.1. It is what Parse
// returns and what AppendError writes. Message and Data go to the peer: they
// must not hold secrets.
type Error struct {
	Code    int
	Message string
	// Data is left out when nil; otherwise a json.RawMessage or anything else
	// that encoding/json can marshal.
	Data any
}

// Error returns the code and the message.
func (e *Error) Error() string {
	return "jsonrpc: " + strconv.Itoa(e.Code) + ": " + e.Message
}

// appendTo appends the error object to dst. Data that cannot be marshalled is
// left out: the peer still needs the code and the message.
func (e *Error) appendTo(dst []byte) []byte {
	dst = append(dst, `{"code":`...)
	dst = strconv.AppendInt(dst, int64(e.Code), 10)
	dst = append(dst, `,"message":`...)
	dst = AppendString(dst, e.Message)
	if e.Data != nil {
		if data, err := json.Marshal(e.Data); err == nil {
			dst = append(dst, `,"data":`...)
			dst = append(dst, data...)
		}
	}
	return append(dst, '}')
}

func invalid(what string) *Error {
	return &Error{Code: CodeInvalidRequest, Message: "Invalid Request: " + what}
}
