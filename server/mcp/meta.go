package mcp

import (
	"bytes"
	"encoding/json"
	"strings"

	"millrace/codec/jsonrpc"
)

// Members of _meta that the protocol defines.
const (
	MetaKeyProtocolVersion    = "io.modelcontextprotocol/protocolVersion"
	MetaKeyClientInfo         = "io.modelcontextprotocol/clientInfo"
	MetaKeyClientCapabilities = "io.modelcontextprotocol/clientCapabilities"
	MetaKeyLogLevel           = "io.modelcontextprotocol/logLevel"
	MetaKeyServerInfo         = "io.modelcontextprotocol/serverInfo"

	metaKeyProgressToken = "progressToken"
)

// Error codes of MCP 2026-07-28, schema.ts.
const (
	// CodeHeaderMismatch: the HTTP headers of a request do not mirror its body.
	CodeHeaderMismatch = -32020
	// CodeMissingClientCapability: a request needs a capability that the client
	// has not declared.
	CodeMissingClientCapability = -32021
	// CodeUnsupportedProtocolVersion: a request names a revision that is not
	// served; see CheckVersion.
	CodeUnsupportedProtocolVersion = -32022
)

// maxProgressToken bounds what is echoed with every progress notification.
const maxProgressToken = 1 << 10

// Meta is the _meta object of requests, results and other types.
type Meta map[string]any

// GetMeta returns m.
func (m Meta) GetMeta() map[string]any { return m }

// SetMeta replaces *m.
func (m *Meta) SetMeta(x map[string]any) { *m = x }

// CallMeta is what the engine reads of the _meta object of a request's params.
// All fields are views into the params.
type CallMeta struct {
	// ProtocolVersion is the decoded string, nil when absent.
	ProtocolVersion []byte
	// ClientInfo and ClientCapabilities are raw JSON objects, nil when absent.
	ClientInfo, ClientCapabilities []byte
	// ProgressToken is a raw JSON string or integer. It is nil when absent, of
	// another type, or over 1 KiB: such a call reports no progress.
	ProgressToken []byte
	// LogLevel is the decoded string, nil when absent.
	LogLevel []byte
	// Present tells whether params has a _meta object.
	Present bool
	// raw is the whole object; custom tells whether a tool's handler would find
	// anything in it that it does not get otherwise.
	raw    []byte
	custom bool
	// beside are other members of params, raw, found on the way.
	beside struct{ name, arguments, cursor, inputResponses, requestState []byte }
	parsed bool
	known  bool // its views are those of a KnownMeta, good for ever
}

// Repeats reports whether the _meta object is likely to come again as it is, and
// is not known yet. One with a progress token differs from request to request.
func (m *CallMeta) Repeats() bool {
	return m.Present && !m.known && !m.custom && len(m.raw) <= maxKnownMeta
}

// Known reports whether the _meta object was known.
func (m *CallMeta) Known() bool { return m.known }

// Raw is the _meta object, a view; nil when there is none.
func (m *CallMeta) Raw() []byte { return m.raw }

// Name is the raw value of params.name, nil when absent.
func (m *CallMeta) Name() []byte { return m.beside.name }

// ParseMeta reads the _meta object of params, which is JSON out of an accepted
// message, or nil. The error, -32602 naming the key, is for params or protocol
// fields of a wrong type. It allocates nothing unless a name or value has
// escapes.
func ParseMeta(params []byte) (CallMeta, *jsonrpc.Error) { return (*KnownMeta)(nil).Parse(params) }

// KnownMeta is a _meta object that was read before. Clients of 2026-07-28 send
// the same one with every request: what it says is then looked up, not read
// again. It is immutable and for any goroutine; nil stands for none.
type KnownMeta struct {
	object *jsonrpc.Repeated
	meta   CallMeta // with views into the text of object
}

// maxKnownMeta is the longest _meta object that is remembered.
const maxKnownMeta = 4 << 10

// NewKnownMeta remembers the _meta object of m, which must be worth it: see
// CallMeta.Repeats. It copies.
func NewKnownMeta(m *CallMeta) *KnownMeta {
	object := jsonrpc.NewRepeated(m.raw)
	if object == nil {
		return nil
	}
	k := &KnownMeta{object: object, meta: CallMeta{raw: object.Text(), Present: true, parsed: true, known: true}}
	for name, value := range jsonrpc.Members(object.Text()) {
		if k.meta.set(name, value) != nil {
			return nil
		}
	}
	return k
}

// Object is the object for jsonrpc.ParseRepeated.
func (k *KnownMeta) Object() *jsonrpc.Repeated {
	if k == nil {
		return nil
	}
	return k.object
}

// Parse is ParseMeta, faster where params hold what k knows.
func (k *KnownMeta) Parse(params []byte) (CallMeta, *jsonrpc.Error) {
	m := CallMeta{parsed: true}
	if len(params) == 0 {
		return m, nil
	}
	if !isObject(params) {
		return m, wrongType("params", "an object")
	}
	for name, value := range jsonrpc.MembersRepeated(params, k.Object()) {
		switch string(name) {
		case "_meta":
			m.raw = value
		case "name":
			m.beside.name = value
		case "arguments":
			m.beside.arguments = value
		case "cursor":
			m.beside.cursor = value
		case "inputResponses":
			m.beside.inputResponses = value
		case "requestState":
			m.beside.requestState = value
		}
	}
	if m.raw == nil {
		return m, nil
	}
	if !isObject(m.raw) {
		return m, wrongType("params._meta", "an object")
	}
	if k != nil && bytes.Equal(m.raw, k.object.Text()) {
		beside := m.beside
		m = k.meta
		m.beside = beside
		return m, nil
	}
	m.Present = true
	for name, value := range jsonrpc.Members(m.raw) {
		if err := m.set(name, value); err != nil {
			return CallMeta{}, err
		}
	}
	return m, nil
}

func (m *CallMeta) set(name, value []byte) *jsonrpc.Error {
	var ok bool
	switch string(name) {
	case MetaKeyProtocolVersion:
		if m.ProtocolVersion, ok = jsonrpc.UnquoteView(value); !ok {
			return wrongType(MetaKeyProtocolVersion, "a string")
		}
	case MetaKeyLogLevel:
		if m.LogLevel, ok = jsonrpc.UnquoteView(value); !ok {
			return wrongType(MetaKeyLogLevel, "a string")
		}
	case MetaKeyClientInfo:
		if m.ClientInfo = value; !isObject(value) {
			return wrongType(MetaKeyClientInfo, "an object")
		}
	case MetaKeyClientCapabilities:
		if m.ClientCapabilities = value; !isObject(value) {
			return wrongType(MetaKeyClientCapabilities, "an object")
		}
	case metaKeyProgressToken:
		m.custom = true
		if isToken(value) {
			m.ProgressToken = value
		}
	default:
		m.custom = true
	}
	return nil
}

// CheckModern reports what a request of the stateless era lacks. 2026-07-28,
// basic, "Per-request protocol fields": "A request missing any required field
// is malformed; the server MUST reject it with JSON-RPC error code -32602
// (Invalid params). On HTTP, the response status MUST be 400 Bad Request."
func CheckModern(m *CallMeta) *jsonrpc.Error {
	var missing []string
	if m.ProtocolVersion == nil {
		missing = append(missing, MetaKeyProtocolVersion)
	}
	if m.ClientCapabilities == nil {
		missing = append(missing, MetaKeyClientCapabilities)
	}
	switch {
	case missing != nil:
	case m.LogLevel != nil && LoggingLevel(m.LogLevel).rank() == 0:
		return wrongType(MetaKeyLogLevel, "a logging level, such as info")
	default:
		return nil
	}
	return &jsonrpc.Error{
		Code:    jsonrpc.CodeInvalidParams,
		Message: "missing required params._meta: " + strings.Join(missing, ", "),
	}
}

// CheckVersion reports whether a request of the stateless era names a revision
// that is served in that era. The error is -32022 (HTTP status 400) and lists
// what is served.
func (s *Server) CheckVersion(version []byte) *jsonrpc.Error {
	if IsModern(string(version)) {
		return nil
	}
	requested := string(version)
	if len(requested) > 64 {
		requested = requested[:64]
	}
	return &jsonrpc.Error{
		Code:    CodeUnsupportedProtocolVersion,
		Message: "Unsupported protocol version",
		Data:    UnsupportedProtocolVersionData{SupportedVersions(), strings.ToValidUTF8(requested, "")},
	}
}

func wrongType(key, want string) *jsonrpc.Error {
	return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: key + " must be " + want}
}

// isObject reports whether raw, a JSON value, is an object.
func isObject(raw []byte) bool {
	for _, b := range raw {
		switch b {
		case ' ', '\t', '\r', '\n':
		default:
			return b == '{'
		}
	}
	return false
}

// isToken reports whether value may be a progress token. 2026-07-28, progress:
// "Progress tokens MUST be a string or integer value".
func isToken(value []byte) bool {
	if len(value) == 0 || len(value) > maxProgressToken {
		return false
	}
	if value[0] == '"' {
		return true
	}
	digits := bytes.TrimPrefix(value, []byte("-"))
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(digits) > 0
}

// decodeMeta decodes the members of _meta that are not the protocol's own;
// those are read through the methods of ServerRequest.
func decodeMeta(raw []byte) Meta {
	var m Meta
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	for _, key := range [...]string{
		MetaKeyProtocolVersion, MetaKeyClientInfo, MetaKeyClientCapabilities, MetaKeyLogLevel,
	} {
		delete(m, key)
	}
	return m
}
