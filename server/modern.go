package server

import (
	"bytes"
	"encoding/base64"
	"math"
	"strconv"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp"
	"millrace/server/mcp/schema"
	"millrace/server/transport"
)

// isModern decides the era of a request, for itself alone: a client may mix
// both on one connection. The stateless era announces itself by the HTTP header
// or in _meta; server/discover exists in no other.
func (in *inbound) isModern(msg *jsonrpc.Message, meta *mcp.CallMeta) bool {
	if in.headerIsModern() || meta.ProtocolVersion != nil || meta.ClientCapabilities != nil {
		return true
	}
	h := in.req.Header
	return string(msg.Method) == "server/discover" && (h == nil || h.ProtocolVersion == nil)
}

// modern serves a request of 2026-07-28. The order of the checks is that of the
// specification's error table: headers against the body first, because a body
// that says something else than its headers must not be looked at further.
func (in *inbound) modern(c *call) {
	c.mcp.Version = mcp.Version20260728
	meta := &c.mcp.Meta
	h := in.req.Header
	if h != nil && h.ProtocolVersion != nil && meta.ProtocolVersion == nil {
		// A client of another era that names a revision nobody knows is best
		// helped by the list of those that are served.
		if e := in.gate.mcp.CheckVersion(h.ProtocolVersion); e != nil {
			c.reject(in, transport.Response{Status: 400}, e)
			return
		}
	}
	if h != nil {
		if e := checkStandardHeaders(h, c.mcp); e != nil {
			c.reject(in, transport.Response{Status: 400}, e)
			return
		}
	}
	if e := mcp.CheckModern(meta); e != nil {
		c.reject(in, transport.Response{Status: 400}, e)
		return
	}
	if h != nil && !bytes.Equal(h.ProtocolVersion, meta.ProtocolVersion) {
		c.reject(in, transport.Response{Status: 400}, mismatch("MCP-Protocol-Version", h.ProtocolVersion, meta.ProtocolVersion))
		return
	}
	if e := in.gate.mcp.CheckVersion(meta.ProtocolVersion); e != nil {
		c.reject(in, transport.Response{Status: 400}, e)
		return
	}
	if h != nil && c.mcp.Method == methodCallTool {
		e, hidden := in.checkParamHeaders(h, c.mcp)
		if e != nil && !hidden {
			c.reject(in, transport.Response{Status: 400}, e)
			return
		}
		c.mcp.Mismatch = e
	}
	in.start(c)
}

// checkStandardHeaders compares the headers that every request mirrors its body
// in (26:basic/transports/streamable-http, "Standard Request Headers").
func checkStandardHeaders(h *transport.Header, c *mcp.Call) *jsonrpc.Error {
	switch {
	case h.ProtocolVersion == nil:
		return missingHeader("MCP-Protocol-Version")
	case h.Method == nil:
		return missingHeader("Mcp-Method")
	case string(h.Method) != c.Method:
		return mismatch("Mcp-Method", h.Method, []byte(c.Method))
	}
	member := nameMember(c.Method)
	if member == "" {
		return nil
	}
	want, ok := jsonrpc.UnquoteView(jsonrpc.Member(c.Params, member))
	if !ok {
		return nil // the method itself says what is wrong with its params
	}
	if h.Name == nil {
		return missingHeader("Mcp-Name")
	}
	got, ok := decodeSentinel(h.Name)
	if !ok {
		return &jsonrpc.Error{Code: mcp.CodeHeaderMismatch, Message: "Header mismatch: Mcp-Name is not valid"}
	}
	if !bytes.Equal(got, want) {
		return mismatch("Mcp-Name", got, want)
	}
	return nil
}

// nameMember is the member of params that Mcp-Name mirrors; empty for none.
func nameMember(method string) string {
	switch method {
	case "tools/call", "prompts/get":
		return "name"
	case "resources/read":
		return "uri"
	case "tasks/get", "tasks/update", "tasks/cancel":
		return "taskId"
	}
	return ""
}

// checkParamHeaders compares the arguments that a tool mirrors in headers. hidden
// tells that the caller may not even know the tool.
func (in *inbound) checkParamHeaders(h *transport.Header, c *mcp.Call) (e *jsonrpc.Error, hidden bool) {
	tool, _ := jsonrpc.UnquoteView(c.Meta.Name())
	params, hidden := in.gate.mcp.HeaderParams(tool)
	for _, p := range params {
		if e := checkParamHeader(h, p, jsonrpc.Member(c.Params, "arguments")); e != nil {
			return e, hidden
		}
	}
	return nil, hidden
}

func checkParamHeader(h *transport.Header, p schema.HeaderParam, value []byte) *jsonrpc.Error {
	for _, key := range p.Path {
		value = jsonrpc.Member(value, key)
	}
	name := "Mcp-Param-" + p.Name
	var raw []byte
	present := false
	if h.Params != nil {
		raw, present = h.Params.Param(p.Name)
	}
	absent := value == nil || string(value) == "null"
	switch {
	case absent && !present:
		return nil
	case absent:
		return &jsonrpc.Error{Code: mcp.CodeHeaderMismatch, Message: "Header mismatch: " + name + " is present but the argument is not"}
	case !present:
		return missingHeader(name)
	}
	got, ok := decodeSentinel(raw)
	if !ok {
		return &jsonrpc.Error{Code: mcp.CodeHeaderMismatch, Message: "Header mismatch: " + name + " is not valid"}
	}
	if !sameValue(got, value) {
		return mismatch(name, got, value)
	}
	return nil
}

// sameValue compares a decoded header value with a raw JSON value. Numbers are
// compared as numbers: "42.0 and 42 are considered equal".
func sameValue(got, value []byte) bool {
	if s, ok := jsonrpc.UnquoteView(value); ok {
		return bytes.Equal(got, s)
	}
	return bytes.Equal(got, value) || isNumber(got) && isNumber(value) && sameNumber(got, value)
}

// sameNumber compares two JSON numbers. Beyond 2^53 a float64 makes neighbours
// equal; integers of that size are compared digit by digit.
func sameNumber(got, value []byte) bool {
	a, err1 := strconv.ParseFloat(string(got), 64)
	b, err2 := strconv.ParseFloat(string(value), 64)
	if err1 != nil || err2 != nil || a != b {
		return false
	}
	return math.Abs(a) < 1<<53 || bytes.Equal(wholePart(got), wholePart(value))
}

// wholePart cuts off a fraction of zeros.
func wholePart(n []byte) []byte {
	whole, fraction, _ := bytes.Cut(n, []byte("."))
	if len(bytes.Trim(fraction, "0")) > 0 {
		return n
	}
	return whole
}

// isNumber reports whether b is a JSON number and nothing else: strconv also
// takes hexadecimal, underscores and infinities.
func isNumber(b []byte) bool {
	return len(b) > 0 && (b[0] == '-' || '0' <= b[0] && b[0] <= '9') && jsonrpc.Validate(b, nil) == nil
}

// The Base64 sentinel of header values (26:basic/transports/streamable-http,
// "Value Encoding"). The markers are case-sensitive.
var (
	sentinelPrefix = []byte("=?base64?")
	sentinelSuffix = []byte("?=")
)

// decodeSentinel returns what a header value stands for. Without both markers
// that is the value itself. It is false for characters that a header must not
// hold and for Base64 that is not exact.
func decodeSentinel(v []byte) ([]byte, bool) {
	for _, c := range v {
		if (c < 0x20 && c != '\t') || c > 0x7E {
			return nil, false
		}
	}
	if len(v) < len(sentinelPrefix)+len(sentinelSuffix) ||
		!bytes.HasPrefix(v, sentinelPrefix) || !bytes.HasSuffix(v, sentinelSuffix) {
		return v, true
	}
	enc := v[len(sentinelPrefix) : len(v)-len(sentinelSuffix)]
	out := make([]byte, base64.StdEncoding.DecodedLen(len(enc)))
	n, err := base64.StdEncoding.Strict().Decode(out, enc)
	return out[:n], err == nil
}

func missingHeader(name string) *jsonrpc.Error {
	return &jsonrpc.Error{Code: mcp.CodeHeaderMismatch, Message: "Header mismatch: " + name + " is required"}
}

func mismatch(name string, got, want []byte) *jsonrpc.Error {
	return &jsonrpc.Error{
		Code:    mcp.CodeHeaderMismatch,
		Message: "Header mismatch: " + name + " header value " + quote(got) + " does not match body value " + quote(want),
	}
}

// quote shows a value in an error message, cut to a length that fits one.
func quote(b []byte) string {
	const most = 128
	if len(b) > most {
		return strconv.Quote(string(b[:most])) + "..."
	}
	return strconv.Quote(string(b))
}
