package mcp

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestRestoreSession(t *testing.T) {
	s := fixture(nil)
	for _, version := range []string{Version20260728, "1900-01-01", ""} {
		if s.RestoreSession("id", version, nil, nil) != nil {
			t.Errorf("a session of %q is restored", version)
		}
	}
	for _, caps := range []string{`{"elicitation":{}}`, ``, `not JSON`} {
		ss := s.RestoreSession("id", Version20250618, []byte(caps), &wire{})
		if ss.ID() != "id" || ss.Version() != Version20250618 || !ss.ready.Load() {
			t.Errorf("restored %q %q", ss.ID(), ss.Version())
		}
		if c := ss.InitializeParams().Capabilities; strings.HasPrefix(caps, "{") && c.Elicitation == nil {
			t.Errorf("capabilities %+v", c)
		}
		c := &client{t: t, s: s, session: ss}
		if out, _ := c.raw(`{"id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}`); !strings.Contains(out, `"text":"x"`) {
			t.Errorf("a call on a restored session: %s", out)
		}
		if out := c.ask("initialize", `"protocolVersion":"2025-11-25"`); !strings.Contains(out, "already initialized") {
			t.Errorf("initialize on a restored session: %s", out)
		}
	}
	fresh := s.NewSession("", nil)
	if fresh.SetID("made"); fresh.ID() != "made" {
		t.Errorf("SetID: %q", fresh.ID())
	}
}

func TestClientCapabilities(t *testing.T) {
	for in, want := range map[string]struct{ v2, listChanged bool }{
		`{}`:                             {},
		`{"roots":{}}`:                   {v2: true},
		`{"roots":{"listChanged":true}}`: {v2: true, listChanged: true},
	} {
		var c ClientCapabilities
		if err := json.Unmarshal([]byte(in), &c); err != nil || c.Roots.ListChanged != want.listChanged || (c.RootsV2 != nil) != want.v2 {
			t.Errorf("%s: %+v, %v", in, c, err)
		}
		if out, err := json.Marshal(&c); err != nil || string(out) != in {
			t.Errorf("%s: encoded %s, %v", in, out, err)
		}
	}
	var c ClientCapabilities
	if err := json.Unmarshal([]byte(`{"roots":5}`), &c); err == nil {
		t.Error("wrong capabilities are decoded")
	}
}
