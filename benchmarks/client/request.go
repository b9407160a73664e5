package client

import "strconv"

// The protocol revisions that the load speaks.
const (
	VersionModern = "2026-07-28"
	VersionLegacy = "2025-11-25"
)

// Era tells how a request is addressed: Legacy inside a session, Modern by the _meta of each request.
type Era int

// The eras.
const (
	Legacy Era = iota
	Modern
)

func (e Era) String() string {
	if e == Modern {
		return VersionModern
	}
	return VersionLegacy
}

const clientInfo = `{"name":"millrace-load","version":"1.0.0"}`

// Call is one tools/call request.
type Call struct {
	Era  Era
	ID   int64
	Tool string
	// Args is the arguments object in JSON.
	Args []byte
	// Progress asks for progress notifications; the token is ID.
	Progress bool
}

// Append appends the JSON-RPC request.
func (c *Call) Append(dst []byte) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	dst = strconv.AppendInt(dst, c.ID, 10)
	dst = append(dst, `,"method":"tools/call","params":{"name":"`...)
	dst = append(dst, c.Tool...)
	dst = append(dst, `","arguments":`...)
	dst = append(dst, c.Args...)
	dst = c.appendMeta(dst)
	return append(dst, "}}"...)
}

func (c *Call) appendMeta(dst []byte) []byte {
	if c.Era == Legacy && !c.Progress {
		return dst
	}
	return AppendMeta(append(dst, ','), c.Era, c.Progress, c.ID)
}

// AppendMeta appends the member _meta of params, or nothing when era and progress need none. token is the progress
// token.
func AppendMeta(dst []byte, era Era, progress bool, token int64) []byte {
	if era == Legacy && !progress {
		return dst
	}
	dst = append(dst, `"_meta":{`...)
	if progress {
		dst = append(dst, `"progressToken":`...)
		dst = strconv.AppendInt(dst, token, 10)
		if era == Modern {
			dst = append(dst, ',')
		}
	}
	if era == Modern {
		dst = append(dst, `"io.modelcontextprotocol/protocolVersion":"`+VersionModern+`",`+
			`"io.modelcontextprotocol/clientInfo":`+clientInfo+`,"io.modelcontextprotocol/clientCapabilities":{}`...)
	}
	return append(dst, '}')
}

// AppendInitialize appends the request that opens a legacy session.
func AppendInitialize(dst []byte, id int64) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	dst = strconv.AppendInt(dst, id, 10)
	return append(dst, `,"method":"initialize","params":{"protocolVersion":"`+VersionLegacy+
		`","capabilities":{},"clientInfo":`+clientInfo+`}}`...)
}

// AppendInitialized appends the notification that follows the answer to initialize.
func AppendInitialized(dst []byte) []byte {
	return append(dst, `{"jsonrpc":"2.0","method":"notifications/initialized"}`...)
}

// Request is what the head of an HTTP request to the endpoint varies in.
type Request struct {
	Verb, Path, Host string
	// Version goes into MCP-Protocol-Version unless empty.
	Version string
	// RPC and Name go into Mcp-Method and Mcp-Name unless empty.
	RPC, Name string
	// Session goes into Mcp-Session-Id unless empty.
	Session string
	// Fields are further header fields, each with its line break.
	Fields string
}

// Append appends the request, with body when Verb is POST.
func (r *Request) Append(dst, body []byte) []byte {
	dst = append(append(append(append(dst, r.Verb...), ' '), r.Path...), " HTTP/1.1\r\n"...)
	dst = appendField(dst, "Host", r.Host)
	dst = appendField(dst, "MCP-Protocol-Version", r.Version)
	dst = appendField(dst, "Mcp-Method", r.RPC)
	dst = appendField(dst, "Mcp-Name", r.Name)
	dst = appendField(dst, "Mcp-Session-Id", r.Session)
	dst = append(dst, r.Fields...)
	switch r.Verb {
	case "POST":
		dst = append(dst, "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\nContent-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(body)), 10)
		return append(append(dst, "\r\n\r\n"...), body...)
	case "GET":
		dst = append(dst, "Accept: text/event-stream\r\n"...)
	}
	return append(dst, "\r\n"...)
}

func appendField(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return append(append(append(append(dst, name...), ": "...), value...), "\r\n"...)
}

// AppendString appends s as a JSON string. s must be UTF-8.
func AppendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
