package http1

import "testing"

const (
	line = "POST / HTTP/1.1\r\n"
	host = "Host: a\r\n"
	te   = "Transfer-Encoding: chunked\r\n"
	end  = "\r\n"
)

// smuggling holds what the lists of Http11Probe, Kettle and the CVEs of other
// parsers boil down to. The id is the rule of the security checklist; status 0
// is a request that must be accepted.
var smuggling = []struct {
	id, name, in string
	status       int
}{
	// H1-1: Content-Length.
	{"H1-1", "plain length", line + host + "Content-Length: 5\r\n\r\nhello", 0},
	{"H1-1", "length 0", line + host + "Content-Length: 0\r\n\r\n", 0},
	{"H1-1", "length and chunked", line + host + "Content-Length: 5\r\n" + te + "\r\n0\r\n\r\n", 400},
	{"H1-1", "chunked and length", line + host + te + "Content-Length: 5\r\n\r\n0\r\n\r\n", 400},
	{"H1-1", "length 0 and chunked", line + host + "Content-Length: 0\r\n" + te + "\r\n0\r\n\r\n", 400},
	{"H1-1", "bad length and chunked", line + host + "Content-Length: x\r\n" + te + end, 400},
	{"H1-1", "length and gzip", line + host + "Content-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\nhello", 400},
	{"H1-1", "two equal lengths", line + host + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400},
	{"H1-1", "two lengths", line + host + "Content-Length: 5\r\ncontent-length: 6\r\n\r\nhello!", 400},
	{"H1-1", "length list", line + host + "Content-Length: 5, 5\r\n\r\nhello", 400},
	{"H1-1", "empty length", line + host + "Content-Length:\r\n\r\n", 400},
	{"H1-1", "plus", line + host + "Content-Length: +5\r\n\r\nhello", 400},
	{"H1-1", "minus", line + host + "Content-Length: -5\r\n\r\nhello", 400},
	{"H1-1", "minus zero", line + host + "Content-Length: -0\r\n\r\n", 400},
	{"H1-1", "hex", line + host + "Content-Length: 0x5\r\n\r\nhello", 400},
	{"H1-1", "octal", line + host + "Content-Length: 0o5\r\n\r\nhello", 400},
	{"H1-1", "leading zero", line + host + "Content-Length: 05\r\n\r\nhello", 400},
	{"H1-1", "underscore", line + host + "Content-Length: 1_0\r\n\r\nhellohello", 400},
	{"H1-1", "inner space", line + host + "Content-Length: 1 0\r\n\r\nhellohello", 400},
	{"H1-1", "fraction", line + host + "Content-Length: 5.0\r\n\r\nhello", 400},
	{"H1-1", "exponent", line + host + "Content-Length: 1e1\r\n\r\nhellohello", 400},
	{"H1-1", "15 digits", line + host + "Content-Length: 999999999999999\r\n\r\n", 413},
	{"H1-1", "16 digits", line + host + "Content-Length: 1000000000000000\r\n\r\n", 400},
	{"H1-1", "overflow to 5", line + host + "Content-Length: 18446744073709551621\r\n\r\nhello", 400},
	{"H1-1", "unicode digit", line + host + "Content-Length: \xef\xbc\x95\r\n\r\nhello", 400},
	{"H1-1", "form feed", line + host + "Content-Length: 5\f\r\n\r\nhello", 400},

	// H1-2: Transfer-Encoding.
	{"H1-2", "chunked", line + host + te + "\r\n0\r\n\r\n", 0},
	{"H1-2", "twice", line + host + te + te + "\r\n0\r\n\r\n", 400},
	{"H1-2", "on 1.0", "POST / HTTP/1.0\r\n" + te + "\r\n0\r\n\r\n", 400},
	{"H1-2", "gzip, chunked", line + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
	{"H1-2", "chunked, chunked", line + host + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 501},
	{"H1-2", "chunked, identity", line + host + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 501},
	{"H1-2", "leading comma", line + host + "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", 501},
	{"H1-2", "trailing comma", line + host + "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", 501},
	{"H1-2", "identity", line + host + "Transfer-Encoding: identity\r\n\r\n", 501},
	{"H1-2", "empty", line + host + "Transfer-Encoding:\r\n\r\n", 501},
	{"H1-2", "xchunked", line + host + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
	{"H1-2", "quoted", line + host + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 501},
	{"H1-2", "parameter", line + host + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 501},
	{"H1-2", "capitals", line + host + "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", 501},
	{"H1-2", "vertical tab", line + host + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400},
	{"H1-2", "NUL", line + host + "Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n", 400},
	{"H1-2", "obs-text", line + host + "Transfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n", 501},
	{"H1-2", "space before colon", line + host + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
	{"H1-2", "tab before colon", line + host + "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", 400},
	{"H1-2", "folded", line + host + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400},
	{"H1-2", "Trailer: Content-Length", line + host + te + "Trailer: X-A, content-length\r\n\r\n0\r\n\r\n", 400},
	{"H1-2", "Trailer: X-A", line + host + te + "Trailer: ,X-A\r\n\r\n0\r\n\r\n", 0},

	// H1-3: chunks.
	{"H1-3", "capital hex", line + host + te + "\r\n00000A\r\n0123456789\r\n0\r\n\r\n", 0},
	{"H1-3", "8 digits", line + host + te + "\r\n00000001\r\nx\r\n00000000\r\n\r\n", 0},
	{"H1-3", "9 digits", line + host + te + "\r\n000000001\r\nx\r\n0\r\n\r\n", 400},
	{"H1-3", "17 digits", line + host + te + "\r\n10000000000000001\r\nx\r\n0\r\n\r\n", 400},
	{"H1-3", "prefix", line + host + te + "\r\n0x1\r\nx\r\n0\r\n\r\n", 400},
	{"H1-3", "plus", line + host + te + "\r\n+1\r\nx\r\n0\r\n\r\n", 400},
	{"H1-3", "minus", line + host + te + "\r\n-1\r\nx\r\n0\r\n\r\n", 400},
	{"H1-3", "underscore", line + host + te + "\r\n0_1\r\nx\r\n0\r\n\r\n", 400},
	{"H1-3", "leading space", line + host + te + "\r\n 1\r\nx\r\n0\r\n\r\n", 400},
	{"H1-3", "trailing space", line + host + te + "\r\n1 \r\nx\r\n0\r\n\r\n", 400},
	{"H1-3", "no size", line + host + te + "\r\n\r\nx\r\n0\r\n\r\n", 400},
	{"H1-3", "no size but extension", line + host + te + "\r\n;a\r\nx\r\n0\r\n\r\n", 400},
	{"H1-3", "not hex", line + host + te + "\r\ng\r\nx\r\n0\r\n\r\n", 400},
	{"H1-3", "LF after size", line + host + te + "\r\n1\nx\r\n0\r\n\r\n", 400},
	{"H1-3", "CR after size", line + host + te + "\r\n1\rx\r\n0\r\n\r\n", 400},
	{"H1-3", "LF in extension (CVE-2025-22871)", line + host + te + "\r\n1;a\nx\r\n0\r\n\r\n", 400},
	{"H1-3", "CR in extension (CVE-2025-55315)", line + host + te + "\r\n1;a\rb\r\nx\r\n0\r\n\r\n", 400},
	{"H1-3", "NUL in extension", line + host + te + "\r\n1;\x00\r\nx\r\n0\r\n\r\n", 400},
	{"H1-3", "space before extension", line + host + te + "\r\n1 ;a\r\nx\r\n0\r\n\r\n", 400},
	{"H1-3", "LF after data", line + host + te + "\r\n1\r\nx\n0\r\n\r\n", 400},
	{"H1-3", "no CRLF after data", line + host + te + "\r\n1\r\nx0\r\n\r\n", 400},
	{"H1-3", "CR CR after data", line + host + te + "\r\n1\r\nx\r\r\n0\r\n\r\n", 400},
	{"H1-3", "LF after last chunk", line + host + te + "\r\n0\n\r\n", 400},
	{"H1-3", "LF as the last line", line + host + te + "\r\n0\r\n\n", 400},
	{"H1-3", "CR x as the last line", line + host + te + "\r\n0\r\n\rx", 400},
	{"H1-3", "trailer", line + host + te + "\r\n0\r\nX-A: b\r\nMcp_x: \r\n\r\n", 400},
	{"H1-3", "trailer Content-Length", line + host + te + "\r\n0\r\ncontent-length: 5\r\n\r\n", 400},
	{"H1-3", "trailer Content_Length", line + host + te + "\r\n0\r\nContent_Length: 5\r\n\r\n", 400},
	{"H1-3", "trailer Transfer-Encoding", line + host + te + "\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	{"H1-3", "trailer Host", line + host + te + "\r\n0\r\nHost: b\r\n\r\n", 400},
	{"H1-3", "trailer Authorization", line + host + te + "\r\n0\r\nAuthorization: x\r\n\r\n", 400},
	{"H1-3", "trailer Mcp-Param-X", line + host + te + "\r\n0\r\nMcp-Param-X: x\r\n\r\n", 400},
	{"H1-3", "trailer without colon", line + host + te + "\r\n0\r\nX-A\r\n\r\n", 400},
	{"H1-3", "trailer without name", line + host + te + "\r\n0\r\n: x\r\n\r\n", 400},
	{"H1-3", "trailer space before colon", line + host + te + "\r\n0\r\nX-A : x\r\n\r\n", 400},
	{"H1-3", "trailer folded", line + host + te + "\r\n0\r\nX-A: x\r\n y\r\n\r\n", 400},
	{"H1-3", "trailer LF", line + host + te + "\r\n0\r\nX-A: x\n\r\n", 400},
	{"H1-3", "trailer CR", line + host + te + "\r\n0\r\nX-A: x\ry\r\n\r\n", 400},
	{"H1-3", "request as trailer", line + host + te + "\r\n0\r\nGET /admin HTTP/1.1\r\n\r\n", 400},

	// H1-4: lines, names, values.
	{"H1-4", "LF in request line", "GET / HTTP/1.1\n" + host + end, 400},
	{"H1-4", "LF only", "GET / HTTP/1.1\nHost: a\n\n", 400},
	{"H1-4", "LF in field", line + "Host: a\nX: b\r\n\r\n", 400},
	{"H1-4", "CR in field", line + host + "X: a\rY: b\r\n\r\n", 400},
	{"H1-4", "CR CR LF", line + "Host: a\r\r\n\r\n", 400},
	{"H1-4", "CR x at the end", line + host + "\rX", 400},
	{"H1-4", "LF at the end", line + host + "\n", 400},
	{"H1-4", "NUL in value", line + host + "X: a\x00b\r\n\r\n", 400},
	{"H1-4", "DEL in value", line + host + "X: a\x7fb\r\n\r\n", 400},
	{"H1-4", "ESC in value", line + host + "X: \x1b[2J\r\n\r\n", 400},
	{"H1-4", "obs-text in value", line + host + "X: \xc3\xa9\r\n\r\n", 0},
	{"H1-4", "space before colon", line + "Host : a\r\n\r\n", 400},
	{"H1-4", "empty name", line + host + ": x\r\n\r\n", 400},
	{"H1-4", "no colon", line + host + "X\r\n\r\n", 400},
	{"H1-4", "space in name", line + host + "X Y: z\r\n\r\n", 400},
	{"H1-4", "obs-text in name", line + host + "X\xe9: z\r\n\r\n", 400},
	{"H1-4", "NUL in name", line + host + "X\x00: z\r\n\r\n", 400},
	{"H1-4", "slash in name", line + host + "X/Y: z\r\n\r\n", 400},
	{"H1-4", "folded value", line + host + "X: a\r\n b\r\n\r\n", 400},
	{"H1-4", "folded by tab", line + host + "X: a\r\n\tb\r\n\r\n", 400},
	{"H1-4", "space before first field", line + " Host: a\r\n\r\n", 400},
	{"H1-4", "empty line before request", "\r\nGET / HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "LF before request", "\nGET / HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "space before request", " GET / HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "BOM before request", "\xef\xbb\xbfGET / HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "TLS hello", "\x16\x03\x01\x02\x00\x01", 400},

	// H1-4: Host.
	{"H1-4", "host name", line + "Host: a-b.c_d.example:65535\r\n\r\n", 0},
	{"H1-4", "IPv6", line + "Host: [::1]:8080\r\n\r\n", 0},
	{"H1-4", "no host", line + end, 400},
	{"H1-4", "no host on 1.0", "GET / HTTP/1.0\r\n\r\n", 0},
	{"H1-4", "bad host on 1.0", "GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", 400},
	{"H1-4", "empty host", line + "Host:\r\n\r\n", 400},
	{"H1-4", "two hosts", line + host + "Host: b\r\n\r\n", 400},
	{"H1-4", "two equal hosts", line + host + "HOST: a\r\n\r\n", 400},
	{"H1-4", "host list", line + "Host: a, b\r\n\r\n", 400},
	{"H1-4", "host comma", line + "Host: a,b\r\n\r\n", 400},
	{"H1-4", "userinfo", line + "Host: u@a\r\n\r\n", 400},
	{"H1-4", "password", line + "Host: u:p@a\r\n\r\n", 400},
	{"H1-4", "path", line + "Host: a/b\r\n\r\n", 400},
	{"H1-4", "query", line + "Host: a?b\r\n\r\n", 400},
	{"H1-4", "fragment", line + "Host: a#b\r\n\r\n", 400},
	{"H1-4", "space", line + "Host: a b\r\n\r\n", 400},
	{"H1-4", "scheme", line + "Host: http://a\r\n\r\n", 400},
	{"H1-4", "port alone", line + "Host: :80\r\n\r\n", 400},
	{"H1-4", "empty port", line + "Host: a:\r\n\r\n", 400},
	{"H1-4", "port name", line + "Host: a:http\r\n\r\n", 400},
	{"H1-4", "port 65536", line + "Host: a:65536\r\n\r\n", 400},
	{"H1-4", "port of 6 digits", line + "Host: a:000080\r\n\r\n", 400},
	{"H1-4", "IPv6 open", line + "Host: [::1\r\n\r\n", 400},
	{"H1-4", "IPv6 zone", line + "Host: [fe80::1%25lo]\r\n\r\n", 400},
	{"H1-4", "IPv4 in brackets", line + "Host: [127.0.0.1]\r\n\r\n", 400},
	{"H1-4", "IPv6 and name", line + "Host: [::1]a\r\n\r\n", 400},
	{"H1-4", "backslash", line + "Host: a\\b\r\n\r\n", 400},

	// H1-4: targets.
	{"H1-4", "absolute", "GET http://a/x HTTP/1.1\r\n" + host + end, 0},
	{"H1-4", "absolute https", "GET HTTPS://A/x HTTP/1.1\r\n" + host + end, 0},
	{"H1-4", "absolute other host", "GET http://b/x HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "absolute other port", "GET http://a:80/x HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "absolute without Host", "GET http://a/x HTTP/1.0\r\n\r\n", 400},
	{"H1-4", "absolute userinfo", "GET http://u@a/x HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "absolute empty", "GET http:///x HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "absolute one slash", "GET http:/a/x HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "absolute cut", "GET http:/ HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "absolute escape", "GET http://a/%zz HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "absolute ftp", "GET ftp://a/x HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "asterisk", "OPTIONS * HTTP/1.1\r\n" + host + end, 0},
	{"H1-4", "asterisk for GET", "GET * HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "asterisk query", "OPTIONS *?a HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "CONNECT", "CONNECT a:443 HTTP/1.1\r\n" + host + end, 405},
	{"H1-4", "authority form", "GET a:80 HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "relative", "GET x HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "fragment in target", "GET /x#y HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "NUL in target", "GET /\x00 HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "obs-text in target", "GET /\xe9 HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "tab after method", "GET\t/ HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "two spaces", "GET  / HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "two spaces before version", "GET /  HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "space after version", "GET / HTTP/1.1 \r\n" + host + end, 400},
	{"H1-4", "space in target", "GET /a b HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "no target", "GET HTTP/1.1\r\n" + host + end, 400},
	{"H1-4", "HTTP/0.9", "GET /\r\n", 400},

	// H1-4: versions and methods.
	{"H1-4", "HTTP/1.2", "GET / HTTP/1.2\r\n" + host + end, 505},
	{"H1-4", "HTTP/2.0", "GET / HTTP/2.0\r\n" + host + end, 505},
	{"H1-4", "HTTP/0.9 named", "GET / HTTP/0.9\r\n" + host + end, 505},
	{"H1-4", "http/1.1", "GET / http/1.1\r\n" + host + end, 400},
	{"H1-4", "HTTP/1.10", "GET / HTTP/1.10\r\n" + host + end, 400},
	{"H1-4", "HTTP/01.1", "GET / HTTP/01.1\r\n" + host + end, 400},
	{"H1-4", "HTTP/1,1", "GET / HTTP/1,1\r\n" + host + end, 400},
	{"H1-4", "HTTP/1.x", "GET / HTTP/1.x\r\n" + host + end, 400},
	{"H1-4", "HTTP/1", "GET / HTTP/1\r\n" + host + end, 400},
	{"H1-4", "HTTPS/1.1", "GET / HTTPS/1.1\r\n" + host + end, 400},
	{"H1-4", "unknown method", "BREW / HTTP/1.1\r\n" + host + end, 0},
	{"H1-4", "method not a token", "GE(T / HTTP/1.1\r\n" + host + end, 400},

	// H1-4: repeated fields.
	{"H1-4", "two Authorization", line + host + "Authorization: a\r\nauthorization: b\r\n\r\n", 400},
	{"H1-4", "two Origin", line + host + "Origin: http://a\r\nOrigin: http://a\r\n\r\n", 400},
	{"H1-4", "two Content-Type", line + host + "Content-Type: a\r\nContent-Type: b\r\n\r\n", 400},
	{"H1-4", "two Mcp-Session-Id", line + host + "Mcp-Session-Id: a\r\nMCP-SESSION-ID: b\r\n\r\n", 400},
	{"H1-4", "two Mcp-Protocol-Version", line + host + "Mcp-Protocol-Version: a\r\nMcp-Protocol-Version: b\r\n\r\n", 400},
	{"H1-4", "two Mcp-Method", line + host + "Mcp-Method: a\r\nMcp-Method: b\r\n\r\n", 400},
	{"H1-4", "two Mcp-Name", line + host + "Mcp-Name: a\r\nMcp-Name: b\r\n\r\n", 400},
	{"H1-4", "two Mcp-Param-X", line + host + "Mcp-Param-X: a\r\nmcp-param-x: a\r\n\r\n", 400},
	{"H1-4", "Mcp-Param-X and -Y", line + host + "Mcp-Param-X: a\r\nMcp-Param-Y: a\r\n\r\n", 0},
	{"H1-4", "two Sec-WebSocket-Key", line + host + "Sec-WebSocket-Key: a\r\nSec-WebSocket-Key: a\r\n\r\n", 400},
	{"H1-4", "two Sec-WebSocket-Version", line + host + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 8\r\n\r\n", 400},
	{"H1-4", "two Expect", line + host + "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n", 400},
	{"H1-4", "two Last-Event-ID", line + host + "Last-Event-ID: 1\r\nLast-Event-ID: 2\r\n\r\n", 400},
	{"H1-4", "two of an unknown field", line + host + "X: a\r\nX: b\r\n\r\n", 0},

	// H1-5: Expect.
	{"H1-5", "100-Continue", line + host + "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx", 0},
	{"H1-5", "other expectation", line + host + "Expect: y\r\nContent-Length: 1\r\n\r\nx", 417},
	{"H1-5", "obfuscated expectation", line + host + "Expect: y 100-continue\r\nContent-Length: 1\r\n\r\nx", 417},
	{"H1-5", "other expectation on 1.0", "POST / HTTP/1.0\r\nExpect: y\r\n\r\n", 0},

	// H1-8: underscores.
	{"H1-8", "content_length", line + host + "content_length: 5\r\n\r\nhello", 400},
	{"H1-8", "Transfer_Encoding", line + host + "Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	{"H1-8", "mixed", line + host + "Mcp-Session_Id: x\r\n\r\n", 400},
	{"H1-8", "x_forwarded_for", line + host + "x_forwarded_for: x\r\n\r\n", 400},
	{"H1-8", "mcp_param-x", line + host + "mcp_param-x: x\r\n\r\n", 400},
	{"H1-8", "underscore in a parameter", line + host + "Mcp-Param-user_id: x\r\n\r\n", 0},
	{"H1-8", "underscore elsewhere", line + host + "x_request_id: x\r\n\r\n", 0},

	// H1-12: other protocols.
	{"H1-12", "h2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
	{"H1-12", "PROXY protocol", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n" + host + end, 400},

	// H1-13: escapes.
	{"H1-13", "escaped slash", "GET /a%2Fb HTTP/1.1\r\n" + host + end, 0},
	{"H1-13", "no hex", "GET /%zz HTTP/1.1\r\n" + host + end, 400},
	{"H1-13", "half hex", "GET /%4 HTTP/1.1\r\n" + host + end, 400},
	{"H1-13", "half hex, letter", "GET /%4g HTTP/1.1\r\n" + host + end, 400},
	{"H1-13", "cut by query", "GET /%4?1 HTTP/1.1\r\n" + host + end, 400},
	{"H1-13", "percent alone", "GET /% HTTP/1.1\r\n" + host + end, 400},
	{"H1-13", "any query", "GET /?%zz HTTP/1.1\r\n" + host + end, 0},
}

func TestSmuggling(t *testing.T) {
	for _, tt := range smuggling {
		got, err := readMessage([]byte(tt.in), nil)
		if err != nil || got.status != tt.status {
			t.Errorf("%s %s: %q: got status %d, %v, want %d", tt.id, tt.name, tt.in, got.status, err, tt.status)
		}
		if tt.status == 0 && got.used != len(tt.in) {
			t.Errorf("%s %s: used %d bytes of %d", tt.id, tt.name, got.used, len(tt.in))
		}
	}
}

// TestSmugglingSplit is H1-6 too: the answer to a broken request does not
// depend on how it arrives, and once refused it stays refused.
func TestSmugglingSplit(t *testing.T) {
	for _, tt := range smuggling {
		in := []byte(tt.in)
		got, err := readMessage(in, nil, everyCut(len(in))...)
		if err != nil || got.status != tt.status {
			t.Errorf("%s %s: byte by byte: got status %d, %v, want %d", tt.id, tt.name, got.status, err, tt.status)
		}
		if tt.status == 0 || tt.status == 413 {
			continue
		}
		got, err = readMessage([]byte(tt.in+mcpHead), nil)
		if err != nil || got.status != tt.status {
			t.Errorf("%s %s: with more behind: got status %d, %v, want %d", tt.id, tt.name, got.status, err, tt.status)
		}
	}
}

// TestErrorIsFinal is H1-6: bytes behind a broken request are never read as a
// request of their own.
func TestErrorIsFinal(t *testing.T) {
	var r Request
	_, first := r.Parse([]byte("GET / HTTP/1.1\nHost: a\n\n"), nil)
	if n, err := r.Parse(mcpPost, nil); n != 0 || err != first {
		t.Errorf("Parse after an error = %d, %v, want 0, %v", n, err, first)
	}
	r.Reset()
	if _, err := r.Parse([]byte(line+host+te+end), nil); err != nil {
		t.Fatal(err)
	}
	var d Body
	d.Reset(&r, nil)
	_, _, first = d.Decode(nil, []byte("x"))
	if out, n, err := d.Decode([]byte("kept"), []byte("0\r\n\r\n")); string(out) != "kept" || n != 0 || err != first {
		t.Errorf("Decode after an error = %q, %d, %v, want \"kept\", 0, %v", out, n, err, first)
	}
}

// TestBodyOfAnyMethod is H1-5: a body that no handler wants is framed all the
// same, so that it cannot become the next request (CL.0 and 0.CL).
func TestBodyOfAnyMethod(t *testing.T) {
	const smuggled = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, method := range []string{"GET", "HEAD", "DELETE", "OPTIONS", "BREW"} {
		in := method + " / HTTP/1.1\r\nHost: a\r\nContent-Length: 32\r\n\r\n" + smuggled
		got, err := readMessage([]byte(in), nil)
		if err != nil || got.used != len(in) || got.body != smuggled {
			t.Errorf("%s: got %+v, %v, want all %d bytes used", method, got, err, len(in))
		}
	}
}
