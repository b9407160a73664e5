package http1

import "bytes"

// Header is a field that the parser finds a slot for, so that reading it costs
// no search. The zero Header is no field.
type Header uint8

// The fields with a slot.
const (
	headerNone Header = iota
	HeaderHost
	HeaderContentType
	HeaderContentLength
	HeaderTransferEncoding
	HeaderConnection
	HeaderUpgrade
	HeaderExpect
	HeaderTrailer
	HeaderAccept
	HeaderAcceptLanguage
	HeaderOrigin
	HeaderAuthorization
	HeaderUserAgent
	HeaderXForwardedFor
	HeaderLastEventID
	HeaderMCPSessionID
	HeaderMCPProtocolVersion
	HeaderMCPMethod
	HeaderMCPName
	HeaderSecWebSocketKey
	HeaderSecWebSocketVersion
	HeaderSecWebSocketProtocol
	HeaderSecWebSocketExtensions
	HeaderSecFetchSite
	HeaderAccessControlRequestMethod
	headerCount
)

// headerNames holds the names in lower case.
var headerNames = [headerCount]string{
	HeaderHost:                       "host",
	HeaderContentType:                "content-type",
	HeaderContentLength:              "content-length",
	HeaderTransferEncoding:           "transfer-encoding",
	HeaderConnection:                 "connection",
	HeaderUpgrade:                    "upgrade",
	HeaderExpect:                     "expect",
	HeaderTrailer:                    "trailer",
	HeaderAccept:                     "accept",
	HeaderAcceptLanguage:             "accept-language",
	HeaderOrigin:                     "origin",
	HeaderAuthorization:              "authorization",
	HeaderUserAgent:                  "user-agent",
	HeaderXForwardedFor:              "x-forwarded-for",
	HeaderLastEventID:                "last-event-id",
	HeaderMCPSessionID:               "mcp-session-id",
	HeaderMCPProtocolVersion:         "mcp-protocol-version",
	HeaderMCPMethod:                  "mcp-method",
	HeaderMCPName:                    "mcp-name",
	HeaderSecWebSocketKey:            "sec-websocket-key",
	HeaderSecWebSocketVersion:        "sec-websocket-version",
	HeaderSecWebSocketProtocol:       "sec-websocket-protocol",
	HeaderSecWebSocketExtensions:     "sec-websocket-extensions",
	HeaderSecFetchSite:               "sec-fetch-site",
	HeaderAccessControlRequestMethod: "access-control-request-method",
}

// String returns the field name in lower case, "" for no field.
func (h Header) String() string {
	if h < headerCount {
		return headerNames[h]
	}
	return ""
}

// mayRepeat is the set of fields that are lists, which RFC 9110 section 5.3
// lets a sender spread over several lines, and those of RFC 6455 section 11.3
// that "MAY appear multiple times". Every other field with a slot is refused
// when it is repeated: which of two values counts is what parsers disagree on.
const mayRepeat = 1<<HeaderConnection | 1<<HeaderUpgrade | 1<<HeaderTrailer |
	1<<HeaderAccept | 1<<HeaderAcceptLanguage | 1<<HeaderXForwardedFor |
	1<<HeaderSecWebSocketProtocol | 1<<HeaderSecWebSocketExtensions

// lookupHeader returns the slot of a field name that consists of tchar only.
// Length and first letter tell the known names apart.
func lookupHeader(name []byte) Header {
	if len(name) == 0 {
		return headerNone
	}
	var h Header
	switch len(name)<<8 | int(name[0]|0x20) {
	case 4<<8 | 'h':
		h = HeaderHost
	case 6<<8 | 'e':
		h = HeaderExpect
	case 6<<8 | 'o':
		h = HeaderOrigin
	case 6<<8 | 'a':
		h = HeaderAccept
	case 7<<8 | 'u':
		h = HeaderUpgrade
	case 7<<8 | 't':
		h = HeaderTrailer
	case 8<<8 | 'm':
		h = HeaderMCPName
	case 10<<8 | 'u':
		h = HeaderUserAgent
	case 10<<8 | 'c':
		h = HeaderConnection
	case 10<<8 | 'm':
		h = HeaderMCPMethod
	case 12<<8 | 'c':
		h = HeaderContentType
	case 13<<8 | 'a':
		h = HeaderAuthorization
	case 13<<8 | 'l':
		h = HeaderLastEventID
	case 14<<8 | 'c':
		h = HeaderContentLength
	case 14<<8 | 'm':
		h = HeaderMCPSessionID
	case 14<<8 | 's':
		h = HeaderSecFetchSite
	case 15<<8 | 'a':
		h = HeaderAcceptLanguage
	case 15<<8 | 'x':
		h = HeaderXForwardedFor
	case 17<<8 | 't':
		h = HeaderTransferEncoding
	case 17<<8 | 's':
		h = HeaderSecWebSocketKey
	case 20<<8 | 'm':
		h = HeaderMCPProtocolVersion
	case 21<<8 | 's':
		h = HeaderSecWebSocketVersion
	case 22<<8 | 's':
		h = HeaderSecWebSocketProtocol
	case 24<<8 | 's':
		h = HeaderSecWebSocketExtensions
	case 29<<8 | 'a':
		h = HeaderAccessControlRequestMethod
	default:
		return headerNone
	}
	if !equalName(name, headerNames[h]) {
		return headerNone
	}
	return h
}

// equalName reports whether name, which is tchar only, equals known, which is
// in lower case and as long. Setting bit 5 maps capitals to small letters, and
// no other tchar to a letter, a digit or '-'.
func equalName(name []byte, known string) bool {
	known = known[:len(name)]
	i := 0
	for ; i+8 <= len(name); i += 8 {
		if load64(name[i:])|0x20*everyByte != load64(known[i:]) {
			return false
		}
	}
	for ; i < len(name); i++ {
		if name[i]|0x20 != known[i] {
			return false
		}
	}
	return true
}

// load64 reads eight bytes; the compiler makes one load of it.
func load64[S []byte | string](s S) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// imitatesHeader reports whether name becomes the name of a field with a slot
// or begins like a field of MCP, when '_' is read as '-'. Gateways that hand
// fields on as CGI variables make no difference between content_length and
// Content-Length. The name behind Mcp-Param- may have underscores of its own.
func imitatesHeader(name []byte) bool {
	var dashed [len("access-control-request-method")]byte
	if bytes.IndexByte(name, '_') < 0 {
		return false
	}
	n := copy(dashed[:], name)
	for i, c := range dashed[:n] {
		if c == '_' {
			dashed[i] = '-'
		}
	}
	if n == len(name) && lookupHeader(dashed[:n]) != headerNone {
		return true
	}
	return isMCP(dashed[:n]) && !isMCP(name)
}

// mcpPrefix begins the names of all fields of MCP, Mcp-Param-{Name} among them.
const mcpPrefix = "mcp-"

func isMCP(name []byte) bool {
	return len(name) > len(mcpPrefix) && equalName(name[:len(mcpPrefix)], mcpPrefix)
}
