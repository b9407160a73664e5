package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// hostile is a server that is sent what nobody should send. After each vector a
// request on a fresh connection must be answered as ever.
type hostile struct {
	*runningServer
	count int
}

func newHostile(t *testing.T) *hostile {
	return &hostile{runningServer: serve(t, &Server{MCP: newTools().mcp, Path: "/mcp"})}
}

// healthy checks that the server serves.
func (h *hostile) healthy(name string) {
	h.t.Helper()
	h.count++
	if rep := h.do("POST", modernCall("7", "now"), modernFields("tools/call", "now")...); rep.status != 200 {
		h.t.Fatalf("after %q: %d %s", name, rep.status, rep.body())
	}
}

// exchange sends raw bytes on a connection of their own and returns the status of
// the first answer, 0 when there is none, and whether the server then closes.
func (h *hostile) exchange(raw string) (status int, closes bool) {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.Addrs()[0])
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	go func() { _, _ = io.WriteString(conn, raw) }() // it may stop reading
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0, err == io.ErrUnexpectedEOF || err == io.EOF
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	_, err = in.ReadByte()
	return resp.StatusCode, err == io.EOF
}

const hostileBody = `{"jsonrpc":"2.0","id":1,"method":"ping"}`

// TestHostileHTTP: each vector is refused with the status of its kind, and the
// connection ends: nobody knows where the next request begins.
func TestHostileHTTP(t *testing.T) {
	h := newHostile(t)
	refuse := func(kind, name, raw string, status int) {
		t.Helper()
		got, closes := h.exchange(raw)
		if got != status || !closes {
			t.Errorf("%s, %q: status %d, closes %v; want %d and a close", kind, name, got, closes, status)
		}
		h.healthy(name)
	}
	// post is a request whose head has these lines besides Host.
	post := func(lines, body string) string {
		return "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" + lines + "\r\n" + body
	}
	length := fmt.Sprintf("Content-Length: %d\r\n", len(hostileBody))
	for _, v := range []string{
		"", " ", "+40", "-40", "40 40", "40,40", "40, 40", "4 0", "0x28", "4_0", "40;", "40.0", "4e1", "٤٠", "\"40\"", "40\v", "forty",
		"99999999999999999999", "18446744073709551656", "9223372036854775808", "1e3", "-0", "--40", "0b101000", "40\x00",
	} {
		refuse("Content-Length", v, post("Content-Length: "+v+"\r\n", hostileBody), 400)
	}
	for _, lines := range []string{
		length + length, length + "Content-Length: 41\r\n", "Content-Length: 0\r\n" + length, length + "Transfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chunked\r\n" + length, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "Content_Length: 40\r\n" + length, "Transfer_Encoding: chunked\r\n" + length,
	} {
		refuse("framing", lines, post(lines, "28\r\n"+hostileBody+"\r\n0\r\n\r\n"), 400)
	}
	for _, v := range []string{
		"", " ", "identity", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "chunked,", ",chunked", "chunked;q=1", "chunked ;", "xchunked",
		"chunkedx", "chun ked", "\"chunked\"", "chunked\v", "\vchunked", "chunked\x00", "compress", "deflate", "trailers", "chunked\x80", "chu\nked",
	} {
		status := 501 // "a transfer coding it does not understand" (RFC 9112, section 6.1)
		if strings.ContainsAny(v, "\v\x00\n") {
			status = 400
		}
		refuse("Transfer-Encoding", v, post("Transfer-Encoding: "+v+"\r\n", "0\r\n\r\n"), status)
	}
	refuse("Transfer-Encoding", "on HTTP/1.0", "POST /mcp HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400)
	for _, size := range []string{
		"", " ", "g", "0x28", "-28", "+28", "28 ", " 28", "2 8", "2_8", "28;\x00", "28\n", "28\r", "\n28", "000000028", "FFFFFFFFF", "28;a=\x01", "٢٨", "28.",
	} {
		refuse("chunk size", size, post("Transfer-Encoding: chunked\r\n", size+"\r\n"+hostileBody+"\r\n0\r\n\r\n"), 400)
	}
	for name, body := range map[string]string{
		"bare LF after the size": "28\n" + hostileBody + "\r\n0\r\n\r\n", "bare LF after the data": "28\r\n" + hostileBody + "\n0\r\n\r\n",
		"more data than said": "27\r\n" + hostileBody + "\r\n0\r\n\r\n", "less data than said": "29\r\n" + hostileBody + "\r\n0\r\n\r\n",
		"bare LF at the end": "0\r\n\n", "bare CR at the end": "0\r\n\r\r\n", "trailer with a space": "0\r\nA : b\r\n\r\n", "trailer without a name": "0\r\n: b\r\n\r\n",
		"trailer with a NUL": "0\r\nA: \x00\r\n\r\n", "folded trailer": "0\r\nA: b\r\n c\r\n\r\n", "trailer that frames": "0\r\nContent-Length: 5\r\n\r\n",
		"trailer that routes": "0\r\nHost: evil\r\n\r\n", "long trailers": "0\r\n" + strings.Repeat("A: b\r\n", 1000) + "\r\n",
		"long extensions": strings.Repeat("1;"+strings.Repeat("a", 60)+"\r\nx\r\n", 200) + "0\r\n\r\n",
	} {
		refuse("chunks", name, post("Transfer-Encoding: chunked\r\n", body), 400)
	}
	for c := range 256 {
		b := string([]byte{byte(c)})
		if strings.ContainsAny(b, "!#$%&'*+-.^_`|~") || b >= "0" && b <= "9" || b >= "a" && b <= "z" || b >= "A" && b <= "Z" || b == ":" {
			continue
		}
		refuse("field name", b, post("X"+b+"Y: z\r\n"+length, hostileBody), 400)
		if c < ' ' && b != "\t" || c == 0x7f {
			refuse("field value", b, post("X: y"+b+"z\r\n"+length, hostileBody), 400)
		}
	}
	for _, line := range []string{": z", "X", "X : z", " X: z", "\tX: z", "X\t: z", "X: y\r\n z", "X: y\r\n\tz", "X: y\n", "\n", "Host: 127.0.0.1", "Content-Type : a"} {
		refuse("field", line, post(line+"\r\n"+length, hostileBody), 400)
	}
	for _, host := range []string{
		"", "a b", "a/b", "a,b", "user@a", "a?b", "a#b", "a\\b", "[::1", "::1]", "[::1]x", "a:b", "a:99999", "a:-1", "a\tb", "a%", "a\x80", "a\"b", "a<b", "127.0.0.1:80:80",
	} {
		refuse("Host", host, "POST /mcp HTTP/1.1\r\nHost: "+host+"\r\n"+length+"\r\n"+hostileBody, 400)
	}
	refuse("Host", "none", "POST /mcp HTTP/1.1\r\n"+length+"\r\n"+hostileBody, 400)
	for line, status := range map[string]int{
		"POST  /mcp HTTP/1.1": 400, "POST /mcp  HTTP/1.1": 400, " POST /mcp HTTP/1.1": 400, "POST /mcp HTTP/1.1 ": 400, "POST\t/mcp\tHTTP/1.1": 400,
		"POST /mcp": 400, "POST": 400, "POST /mcp HTTP/1.1x": 400, "POST /mcp http/1.1": 400, "POST /mcp HTTP/1.": 400, "POST /mcp HTTP/11": 400,
		"POST /mcp HTTP/1.1.1": 400, "POST /mcp HTTP/2.0": 505, "POST /mcp HTTP/0.9": 505, "POST /mcp HTTP/3.0": 505, "PO ST /mcp HTTP/1.1": 400,
		"P(ST /mcp HTTP/1.1": 400, "POST mcp HTTP/1.1": 400, "POST * HTTP/1.1": 400, "POST /m\x00cp HTTP/1.1": 400, "POST /m\x80cp HTTP/1.1": 400,
		"POST /mcp#a HTTP/1.1": 400, "POST //\x7f HTTP/1.1": 400, "POST /m cp HTTP/1.1": 400, "POST http:// HTTP/1.1": 400, "POST http://other/mcp HTTP/1.1": 400,
		"POST ftp://127.0.0.1/mcp HTTP/1.1": 400, "CONNECT 127.0.0.1:80 HTTP/1.1": 0, "PRI * HTTP/2.0": 0, "POST /mcp HTTP/1.1\n": 400, "\r\r\nPOST /mcp HTTP/1.1": 400,
		"POST /%zz HTTP/1.1": 400, "POST /% HTTP/1.1": 400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03": 400, "\x00": 400, "SSH-2.0-OpenSSH_9.6": 400,
	} {
		raw := line + "\r\nHost: 127.0.0.1\r\n" + length + "\r\n" + hostileBody
		if status == 0 { // which of the refusals is not ours to choose
			got, closes := h.exchange(raw)
			if got < 400 || !closes {
				t.Errorf("%q: %d, closes %v", line, got, closes)
			}
			h.healthy(line)
			continue
		}
		refuse("request line", line, raw, status)
	}
	for name, tt := range map[string]struct {
		raw    string
		status int
	}{
		"long target":      {"GET /" + strings.Repeat("a", 5<<10) + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 414},
		"long field":       {post("X: "+strings.Repeat("a", 17<<10)+"\r\n", ""), 431},
		"long name":        {post(strings.Repeat("a", 17<<10)+": b\r\n", ""), 431},
		"many fields":      {post(strings.Repeat("X: y\r\n", 65), ""), 431},
		"large body":       {post("Content-Length: 4194305\r\n", ""), 413},
		"huge body":        {post("Content-Length: 999999999999999\r\n", ""), 413},
		"expectation":      {post("Expect: 200-ok\r\n"+length, hostileBody), 417},
		"body of a GET":    {"GET /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000\r\n\r\n", 413},
		"body of a DELETE": {"DELETE /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000\r\n\r\n", 413},
	} {
		refuse("size", name, tt.raw, tt.status)
	}
	if h.count < 200 {
		t.Errorf("%d vectors, want 200", h.count)
	}
	t.Logf("%d hostile HTTP requests, each followed by a healthy one", h.count)
}

// TestHostileJSON: what is no message of JSON-RPC is answered with the code that
// says so, over HTTP 400.
func TestHostileJSON(t *testing.T) {
	h := newHostile(t)
	refuse := func(kind, body string, code int) {
		t.Helper()
		rep := h.do("POST", body)
		if rep.status != 400 || !strings.Contains(rep.body(), fmt.Sprintf(`"error":{"code":%d,`, code)) {
			t.Errorf("%s, %.80q: %d %s, want 400 and %d", kind, body, rep.status, rep.body(), code)
		}
		h.healthy(body)
	}
	message := func(member, value string) string {
		all := map[string]string{"jsonrpc": `"2.0"`, "id": "1", "method": `"tools/list"`, "params": "{}"}
		all[member] = value
		var b bytes.Buffer
		for _, k := range []string{"jsonrpc", "id", "method", "params"} {
			fmt.Fprintf(&b, `,"%s":%s`, k, all[k])
		}
		return "{" + b.String()[1:] + "}"
	}
	// Not JSON at all, alone and as a value inside of a message.
	for _, s := range []string{
		"", " ", "\x00", "{", "}", "[", "]", "{]", "[}", "{{}}", "[[]", `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a" 1}`, `{a:1}`, `{'a':1}`, `{1:1}`, `{"a":1 "b":2}`,
		`{"a":1,,"b":2}`, `{,"a":1}`, `{:1}`, `{"a"::1}`, `[1,]`, `[,1]`, `[1 2]`, `[1,,2]`, "nul", "tru", "fals", "True", "NULL", "undefined", "NaN", "Infinity", "-Infinity",
		"+1", "-", ".5", "5.", "01", "-01", "1e", "1e+", "1.e1", "0x1", "1_0", "--1", "1..2", "1e1.5", "0e", "-.1", "1,5", "٣", `"`, `"\`, `"\x"`, `"\u"`, `"\u12"`, `"\u12g4"`, `"\U00000061"`,
		"\"\n\"", "\"\t\"", "\"\x00\"", "\"\x1f\"", "\"\x80\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xff\"", "\"\xe2\x82\"", "'a'", "`a`", "// a", "/* a */ {}", "{} {}", "{}x", "{}\x00",
		"\ufeff{}", "<xml/>", "a=b", "---\na: b", `{"a":1}}`, `{"a":[}`, `{"a":{]`, "\v{}", "\f{}", "\u00a0{}", "{}\u2028",
	} {
		if strings.HasPrefix(s, "[") { // the batch of a client that has no session
			refuse("not JSON", s, -32600)
		} else {
			refuse("not JSON", s, -32700)
		}
		if s = strings.TrimSpace(s); s != "" && !strings.ContainsAny(s[:1], "{}[]\x00\v\f") && !strings.HasPrefix(s, "\ufeff") {
			refuse("value that is not JSON", message("params", `{"a":`+s+`}`), -32700)
			refuse("id that is not JSON", message("id", s), -32700)
			refuse("method that is not JSON", message("method", s), -32700)
		}
	}
	// JSON, and no message.
	for _, s := range []string{"null", "true", "1", `""`, `"x"`, "{}", "1.5", "[]", `{"jsonrpc":"2.0"}`, `{"id":1}`, `{"jsonrpc":"2.0","id":1}`, `{"method":"ping"}`, `{"id":1,"method":"ping"}`} {
		refuse("no message", s, -32600)
	}
	wrong := map[string][]string{
		"jsonrpc": {"null", "true", "2.0", "2", `"2"`, `"1.0"`, `"2.00"`, `"2.0 "`, `" 2.0"`, `""`, "[]", "{}", `["2.0"]`, `"3.0"`},
		"id":      {"true", "false", "[]", "{}", "[1]", "1.5", "1e3", "-1.5", "null", `"` + strings.Repeat("i", 300) + `"`},
		"method":  {"null", "true", "1", "[]", "{}", `["ping"]`},
		"params":  {"null", "true", "false", "1", `""`, `"x"`, "1.5", "[]", "[1]", `[{}]`},
	}
	for member, values := range wrong {
		for _, v := range values {
			if rep := h.do("POST", message(member, v)); rep.status != 400 || !strings.Contains(rep.body(), `"error":{"code":-326`) {
				t.Errorf("%s of %s: %d %s", member, v, rep.status, rep.body())
			}
			h.healthy(member + v)
		}
		// Twice, in another case, and with what looks the same.
		for _, name := range []string{member, strings.ToUpper(member), strings.ToUpper(member[:1]) + member[1:], member + "\\u0000", " " + member, member + " "} {
			body := strings.TrimSuffix(message(member, `"x"`), "}") + `,"` + name + `":"2.0"}`
			rep := h.do("POST", body)
			if rep.status != 400 {
				t.Errorf("%q beside %q: %d %s", name, member, rep.status, rep.body())
			}
			h.healthy(name)
		}
	}
	for name, body := range map[string]string{
		"deep arrays":  message("params", `{"a":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`}`),
		"deep objects": message("params", strings.Repeat(`{"a":`, 100)+"1"+strings.Repeat("}", 100)),
		"many keys": message("params", `{"a":1`+func() (s string) {
			var b strings.Builder
			for i := range 10_001 {
				fmt.Fprintf(&b, `,"k%d":1`, i)
			}
			return b.String()
		}()+`}`),
		"same key in params": message("params", `{"name":"a","name":"b"}`),
		"empty batch":        "[]",
		"response":           `{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"x"}}`,
		"request and result": `{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}`,
	} {
		if rep := h.do("POST", body); rep.status != 400 || !strings.Contains(rep.body(), `"code":-32`) {
			t.Errorf("%s: %d %.200s", name, rep.status, rep.body())
		}
		h.healthy(name)
	}
	t.Logf("%d hostile JSON-RPC messages, each followed by a healthy request", h.count)
	if h.count < 300 {
		t.Errorf("%d vectors", h.count)
	}
}

// wsFrame is a masked frame of any header bits and any way to write its length:
// 7, 16 or 64 bits.
func wsFrame(first byte, payload string, bits int) string {
	b := []byte{first}
	switch n := len(payload); bits {
	case 7:
		b = append(b, 0x80|byte(n))
	case 16:
		b = append(b, 0x80|126, byte(n>>8), byte(n))
	default:
		b = append(b, 0x80|127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	b = append(b, 0, 0, 0, 0) // a mask that changes nothing
	return string(b) + payload
}

// TestHostileWebSocket: each vector ends the connection with the close code of its
// kind.
func TestHostileWebSocket(t *testing.T) {
	h := newHostile(t)
	refuse := func(kind, name, raw string, code int) {
		t.Helper()
		p, _, err := h.upgrade()
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.WriteString(p.conn, raw) }()
		for err == nil { // pongs may come first
			_, err = p.read()
		}
		if err != closeError(code) {
			t.Errorf("%s, %.60q: %v, want a close with %d", kind, name, err, code)
		}
		p.close()
		h.healthy(name)
	}
	const fin, text, binary, closing, ping, pong, more = 0x80, 1, 2, 8, 9, 10, 0
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		for _, head := range []byte{0, fin} {
			refuse("reserved opcode", fmt.Sprint(op, head), wsFrame(head|op, "x", 7), 1002)
		}
	}
	for rsv := byte(0x10); rsv <= 0x70; rsv += 0x10 {
		for _, op := range []byte{text, binary, closing, ping, pong} {
			refuse("reserved bits", fmt.Sprint(rsv, op), wsFrame(fin|rsv|op, "", 7), 1002)
		}
	}
	for _, op := range []byte{text, binary, closing, ping, pong, more} {
		refuse("no mask", fmt.Sprint(op), string([]byte{fin | op, 0}), 1002)
		refuse("no mask", fmt.Sprint(op, " and a payload"), string([]byte{fin | op, 2, 'h', 'i'}), 1002)
	}
	for _, op := range []byte{closing, ping, pong} {
		refuse("control frame in parts", fmt.Sprint(op), wsFrame(op, "", 7), 1002)
		refuse("control frame of 126 bytes", fmt.Sprint(op), wsFrame(fin|op, strings.Repeat("x", 126), 16), 1002)
		refuse("control frame with a long length", fmt.Sprint(op), wsFrame(fin|op, "xx", 16), 1002)
		refuse("control frame with a longer length", fmt.Sprint(op), wsFrame(fin|op, "xx", 64), 1002)
	}
	for _, n := range []int{0, 1, 125} {
		refuse("length that needs no 16 bits", fmt.Sprint(n), wsFrame(fin|text, strings.Repeat("x", n), 16), 1002)
	}
	for _, n := range []int{0, 125, 126, 65535} {
		refuse("length that needs no 64 bits", fmt.Sprint(n), wsFrame(fin|text, strings.Repeat("x", n), 64), 1002)
	}
	for _, top := range []byte{0x80, 0xff} {
		refuse("length below zero", fmt.Sprint(top), string([]byte{fin | text, 0x80 | 127, top, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}), 1002)
	}
	for _, size := range []string{"\x00\x00\x00\x00\x00\x40\x00\x01", "\x00\x00\x00\x01\x00\x00\x00\x00", "\x7f\xff\xff\xff\xff\xff\xff\xff"} {
		refuse("message over 4 MiB", size, string([]byte{fin | text, 0x80 | 127})+size+"\x00\x00\x00\x00", 1009)
	}
	refuse("message over 4 MiB", "in two frames", wsFrame(text, strings.Repeat("x", 4<<20), 64)+wsFrame(fin|more, "x", 7), 1009)
	refuse("parts", "continues nothing", wsFrame(fin|more, "x", 7), 1002)
	refuse("parts", "continues nothing, not the last", wsFrame(more, "x", 7), 1002)
	refuse("parts", "continues what has ended", wsFrame(fin|text, "{}", 7)[:0]+wsFrame(text, "a", 7)+wsFrame(fin|text, "b", 7), 1002)
	refuse("parts", "binary inside of text", wsFrame(text, "a", 7)+wsFrame(fin|binary, "b", 7), 1002)
	refuse("parts", "1,025 of them", wsFrame(text, "", 7)+strings.Repeat(wsFrame(more, "", 7), 1024), 1008)
	refuse("kind", "binary", wsFrame(fin|binary, hostileBody, 7), 1003)
	refuse("kind", "binary in parts", wsFrame(binary, "a", 7)+wsFrame(fin|more, "b", 7), 1003)
	for _, c := range []byte{ping, pong} {
		refuse("flood of control frames", fmt.Sprint(c), strings.Repeat(wsFrame(fin|c, "", 7), 11), 1008)
	}
	// Not UTF-8, whole, behind good text, in parts, and as the reason of a close.
	for _, bad := range []string{
		"\x80", "\xbf", "\xc0\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe", "\xff", "\xc2", "\xe2\x82", "\xf0\x9f\x98", "\xc2\x41", "\xe2\x41\x82",
	} {
		refuse("text", bad, wsFrame(fin|text, bad, 7), 1007)
		refuse("text behind good text", bad, wsFrame(fin|text, "κόσμε"+bad, 7), 1007)
		refuse("text in parts", bad, wsFrame(text, "good", 7)+wsFrame(fin|more, bad, 7), 1007)
		refuse("text cut inside", bad, wsFrame(text, bad[:1], 7)+wsFrame(fin|more, bad[1:], 7), 1007)
		refuse("reason of a close", bad, wsFrame(fin|closing, "\x03\xe8"+bad, 7), 1007)
	}
	refuse("close", "one byte", wsFrame(fin|closing, "\x03", 7), 1002)
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		refuse("close code", fmt.Sprint(code), wsFrame(fin|closing, string([]byte{byte(code >> 8), byte(code)}), 7), 1002)
	}
	if h.count < 150 {
		t.Errorf("%d vectors, want 150", h.count)
	}
	t.Logf("%d hostile WebSockets, each followed by a healthy request", h.count)
}
