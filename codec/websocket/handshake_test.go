package websocket

import (
	"bufio"
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// The key of RFC 6455 section 1.3 and the answer given there.
const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

func sampleUpgrade() Upgrade {
	return Upgrade{
		Method:     []byte("GET"),
		HTTP11:     true,
		Host:       []byte("localhost"),
		Upgrade:    []byte("websocket"),
		Connection: []byte("Upgrade"),
		Version:    []byte("13"),
		Key:        []byte(sampleKey),
	}
}

func TestCheckUpgrade(t *testing.T) {
	tests := []struct {
		name   string
		change func(u *Upgrade)
		status int
	}{
		{"sample", func(*Upgrade) {}, 0},
		{"POST", func(u *Upgrade) { u.Method = []byte("POST") }, 405},
		{"lower-case method", func(u *Upgrade) { u.Method = []byte("get") }, 405},
		{"HTTP/1.0", func(u *Upgrade) { u.HTTP11 = false }, 400},
		{"no Host", func(u *Upgrade) { u.Host = nil }, 400},
		{"no Upgrade", func(u *Upgrade) { u.Upgrade = nil }, 400},
		{"Upgrade in capitals", func(u *Upgrade) { u.Upgrade = []byte("WebSocket") }, 0},
		{"Upgrade among others", func(u *Upgrade) { u.Upgrade = []byte("h2c , websocket") }, 0},
		{"other Upgrade", func(u *Upgrade) { u.Upgrade = []byte("h2c") }, 400},
		{"Upgrade with a longer name", func(u *Upgrade) { u.Upgrade = []byte("websockets") }, 400},
		{"Upgrade cut short", func(u *Upgrade) { u.Upgrade = []byte("websocke") }, 400},
		{"Upgrade with a Kelvin sign", func(u *Upgrade) { u.Upgrade = []byte("webso\u212aet") }, 400},
		{"Upgrade with a Kelvin sign, same length", func(u *Upgrade) { u.Upgrade = []byte("wbsoc\u212at") }, 400},
		{"Connection list", func(u *Upgrade) { u.Connection = []byte("keep-alive,\tUPGRADE") }, 0},
		{"no Connection", func(u *Upgrade) { u.Connection = nil }, 400},
		{"Connection keep-alive", func(u *Upgrade) { u.Connection = []byte("keep-alive") }, 400},
		{"Connection with a part of the token", func(u *Upgrade) { u.Connection = []byte("xupgrade, upgradex, up grade, upgr") }, 400},
		{"no version", func(u *Upgrade) { u.Version = nil }, 426},
		{"version 8", func(u *Upgrade) { u.Version = []byte("8") }, 426},
		{"version list", func(u *Upgrade) { u.Version = []byte("13, 8") }, 426},
		{"version 013", func(u *Upgrade) { u.Version = []byte("013") }, 426},
		{"no key", func(u *Upgrade) { u.Key = nil }, 400},
		{"key of 15 bytes", func(u *Upgrade) { u.Key = []byte("AAAAAAAAAAAAAAAAAAAA") }, 400},
		{"key of 17 bytes", func(u *Upgrade) { u.Key = []byte("AAAAAAAAAAAAAAAAAAAAAAA=") }, 400},
		{"key of 18 bytes", func(u *Upgrade) { u.Key = []byte("AAAAAAAAAAAAAAAAAAAAAAAA") }, 400},
		{"key without padding", func(u *Upgrade) { u.Key = []byte("dGhlIHNhbXBsZSBub25jZQ") }, 400},
		{"key of another alphabet", func(u *Upgrade) { u.Key = []byte("dGhlIHNhbXBsZSBub25j_Q==") }, 400},
		{"key with a line end", func(u *Upgrade) { u.Key = []byte("dGhlIHNhbXBsZSBub25j\nQ==") }, 400},
		{"key of 32 characters", func(u *Upgrade) { u.Key = []byte(strings.Repeat("AAAA", 8)) }, 400},
	}
	for _, test := range tests {
		u := sampleUpgrade()
		test.change(&u)
		err := CheckUpgrade(&u)
		switch {
		case err == nil && test.status != 0:
			t.Errorf("%s: accepted, want %d", test.name, test.status)
		case err != nil && err.Status != test.status:
			t.Errorf("%s: %v, want status %d", test.name, err, test.status)
		case err != nil && (err.Reason == "" || !strings.Contains(err.Error(), err.Reason)):
			t.Errorf("%s: Error() = %q, reason %q", test.name, err.Error(), err.Reason)
		}
	}
}

func TestAppendAccept(t *testing.T) {
	if got := string(AppendAccept([]byte("x"), []byte(sampleKey))); got != "x"+sampleAccept {
		t.Errorf("AppendAccept = %q, want %q", got, "x"+sampleAccept)
	}
	// A key that CheckUpgrade never saw must not be cut.
	if got := AppendAccept(nil, bytes.Repeat([]byte("k"), 100)); len(got) != 28 {
		t.Errorf("AppendAccept of a long key = %q", got)
	}
}

func TestAppendSwitching(t *testing.T) {
	for _, protocol := range []string{"", "mcp"} {
		b := AppendSwitching(nil, []byte(sampleKey), protocol)
		r := bufio.NewReader(bytes.NewReader(b))
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		defer resp.Body.Close()
		want := http.Header{
			"Upgrade":              {"websocket"},
			"Connection":           {"Upgrade"},
			"Sec-Websocket-Accept": {sampleAccept},
		}
		if protocol != "" {
			want["Sec-Websocket-Protocol"] = []string{protocol}
		}
		if resp.StatusCode != 101 || len(resp.Header) != len(want) || r.Buffered() != 0 {
			t.Errorf("response %q", b)
		}
		for name, values := range want {
			if !slices.Equal(resp.Header[name], values) {
				t.Errorf("%s = %q, want %q", name, resp.Header[name], values)
			}
		}
	}
}

func TestProtocols(t *testing.T) {
	tests := []struct {
		header string
		want   []string
		mcp    bool
	}{
		{"", nil, false},
		{"mcp", []string{"mcp"}, true},
		{" \tmcp\t ", []string{"mcp"}, true},
		{"MCP", []string{"MCP"}, false},
		{"mcp.auth.abc, mcp", []string{"mcp.auth.abc", "mcp"}, true},
		{",, mcp.auth.a=b ,\t,chat,", []string{"mcp.auth.a=b", "chat"}, false},
		{"mcpx,xmcp,m cp", []string{"mcpx", "xmcp", "m cp"}, false},
	}
	for _, test := range tests {
		seq := Protocols([]byte(test.header))
		for range 2 { // a sequence can be ranged over again
			var got []string
			for p := range seq {
				got = append(got, string(p))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("Protocols(%q) = %q, want %q", test.header, got, test.want)
			}
		}
		if got := OffersProtocol([]byte(test.header), "mcp"); got != test.mcp {
			t.Errorf("OffersProtocol(%q, mcp) = %v, want %v", test.header, got, test.mcp)
		}
	}
	if OffersProtocol([]byte(",,"), "") {
		t.Error("the empty protocol is offered")
	}
}

func TestHandshakeAllocations(t *testing.T) {
	dst := make([]byte, 0, 512)
	key := []byte(sampleKey)
	offer := []byte("mcp.auth.abc, mcp")
	u := sampleUpgrade()
	for name, f := range map[string]func(){
		"CheckUpgrade":    func() { CheckUpgrade(&u) },
		"AppendAccept":    func() { AppendAccept(dst, key) },
		"AppendSwitching": func() { AppendSwitching(dst, key, "mcp") },
		"OffersProtocol":  func() { OffersProtocol(offer, "mcp") },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

func FuzzCheckUpgrade(f *testing.F) {
	f.Add([]byte("websocket"), []byte("Upgrade"), []byte(sampleKey))
	f.Add([]byte("h2c,WEBSOCKET"), []byte(", keep-alive, upgrade"), []byte("x3JJHMbDL1EzLkh9GBhXDw=="))
	f.Fuzz(func(t *testing.T, upgrade, connection, key []byte) {
		u := sampleUpgrade()
		u.Upgrade, u.Connection, u.Key = upgrade, connection, key
		err := CheckUpgrade(&u)
		ok := strings.Contains(strings.ToLower(string(upgrade)), "websocket") &&
			strings.Contains(strings.ToLower(string(connection)), "upgrade") && len(key) == 24
		if err == nil && !ok {
			t.Errorf("accepted %q, %q, %q", upgrade, connection, key)
		}
		if got := AppendAccept(nil, key); len(got) != 28 {
			t.Errorf("AppendAccept(%q) = %q", key, got)
		}
	})
}
