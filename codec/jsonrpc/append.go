package jsonrpc

import "bytes"

// NullID is the id of an error response to a request whose id is not known.
// It must not be changed.
var NullID = []byte("null")

// AppendResult appends a response with a result to dst. id is JSON as in
// Message.ID, result the JSON of any value; each is null when empty.
func AppendResult(dst, id, result []byte) []byte {
	dst = AppendResultHead(dst, id)
	return append(appendRaw(dst, result), '}')
}

// AppendResultHead appends a response up to and including `"result":`, for a
// caller that writes the value itself. The caller appends the value and '}'.
func AppendResultHead(dst, id []byte) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	dst = appendRaw(dst, id)
	return append(dst, `,"result":`...)
}

// AppendError appends an error response to dst. There is no id member when id
// is nil, as MCP has it for a request whose id is not known; JSON-RPC 2.0 has
// NullID.
func AppendError(dst, id []byte, e *Error) []byte {
	dst = append(dst, `{"jsonrpc":"2.0"`...)
	if id != nil {
		dst = append(dst, `,"id":`...)
		dst = appendRaw(dst, id)
	}
	dst = append(dst, `,"error":`...)
	dst = e.appendTo(dst)
	return append(dst, '}')
}

// AppendNotification appends a notification to dst. params is the JSON of an
// object, left out when empty.
func AppendNotification(dst []byte, method string, params []byte) []byte {
	return appendCall(append(dst, `{"jsonrpc":"2.0"`...), method, params)
}

// AppendNotificationHead appends a notification up to and including `"params":`,
// for a caller that writes the value itself. The caller appends the value and
// '}'. method must need no escapes.
func AppendNotificationHead(dst []byte, method string) []byte {
	dst = append(append(dst, `{"jsonrpc":"2.0","method":"`...), method...)
	return append(dst, `","params":`...)
}

// AppendRequest appends a request to dst. id is JSON as in Message.ID, params
// the JSON of an object, left out when empty.
func AppendRequest(dst, id []byte, method string, params []byte) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	return appendCall(appendRaw(dst, id), method, params)
}

func appendCall(dst []byte, method string, params []byte) []byte {
	dst = append(dst, `,"method":`...)
	dst = AppendString(dst, method)
	if len(params) > 0 {
		dst = append(dst, `,"params":`...)
		dst = append(dst, params...)
	}
	return append(dst, '}')
}

func appendRaw(dst, raw []byte) []byte {
	if len(raw) == 0 {
		raw = NullID
	}
	return append(dst, raw...)
}

// SingleLine tells whether b holds no CR or LF. The MCP stdio transport wants
// it, messages "MUST NOT contain embedded newlines", and so does one SSE data
// line.
func SingleLine(b []byte) bool {
	return bytes.IndexByte(b, '\n') < 0 && bytes.IndexByte(b, '\r') < 0
}
