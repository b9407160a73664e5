package session

import (
	"errors"
	"testing"
)

// FuzzGet: no id finds a session but the one that was issued, and only for its
// owner.
func FuzzGet(f *testing.F) {
	r := NewRegistry(Config{Revive: true})
	s := create(f, r, t0, typical)
	ws := create(f, r, t0, Params{Type: WebSocket, Principal: typical.Principal})
	ended := create(f, r, t0, typical)
	ended.End(t0, Deleted)
	for _, id := range []string{"", "x", s.ID(), s.ID()[1:], ws.ID(), ended.ID(), "AX1204Ug1Rv9TalKUdMkIz3OKfyoDkBbN5iwet0CLNDj2I1u0Vc"} {
		f.Add(id, typical.Principal)
		f.Add(id, "")
	}
	f.Fuzz(func(t *testing.T, id, principal string) {
		got, err := r.Get(t0, id, principal)
		switch {
		case err == nil:
			if got != s || id != s.ID() || principal != typical.Principal {
				t.Fatalf("Get(%q, %q) = session %q", id, principal, got.ID())
			}
		case err == ErrEnded:
			if id != ended.ID() || principal != typical.Principal {
				t.Fatalf("Get(%q, %q) = ErrEnded", id, principal)
			}
		case err != ErrUnknown || got != nil:
			t.Fatalf("Get(%q, %q) = %v, %v", id, principal, got, err)
		}
		if r.Len() != 2 {
			t.Fatalf("Len = %d, want 2", r.Len())
		}
	})
}

// FuzzCapabilities: whatever a client declares, what is kept of it is bounded,
// and what was accepted once is accepted when the session revives.
func FuzzCapabilities(f *testing.F) {
	f.Add(typical.Capabilities)
	f.Add([]byte(`{"a":{"b":[{"c":null}],"d":false},"a":1}`))
	f.Add([]byte(`{"a":{`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var c Capabilities
		if err := c.load(raw); err != nil {
			if !errors.Is(err, ErrParams) {
				t.Fatalf("load: %v", err)
			}
			return
		}
		if len(c.names) > maxNames || c.size > maxNameBytes || len(c.json) > MaxSealedCapabilities {
			t.Fatalf("kept %d names, %d bytes, %d of JSON", len(c.names), c.size, len(c.json))
		}
		for _, n := range c.names {
			if !c.Has(n) || len(n) > maxName {
				t.Fatalf("name %q", n)
			}
		}
		if c.json == "" {
			return
		}
		tok := newToken(1, 2, instanceID{}, "v", c.json)
		back, ok := parseToken(tok.append(nil))
		var again Capabilities
		if err := again.load(back.capabilities); !ok || err != nil || len(again.names) != len(c.names) {
			t.Fatalf("revived with %d names, want %d: %v", len(again.names), len(c.names), err)
		}
	})
}

// FuzzReplayResume: an id that Resume takes is one that the log gave out, spelled
// as it was, and what comes after it is what was sent.
func FuzzReplayResume(f *testing.F) {
	var r Replay
	ids := map[string]int{} // events that come after
	for range 3 {
		s := r.Open(t0)
		ids[r.Prime(s)] = 3
		for left := 2; left >= 0; left-- {
			ids[r.Append(t0, s, []byte("data"), left == 0)] = left
		}
	}
	for id := range ids {
		f.Add(id)
		f.Add(id + "0")
		f.Add("0" + id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if parsed, ok := parseEventID(id); ok && (parsed.String() != id || len(id) > maxEventID) {
			t.Fatalf("parseEventID(%q) = %v", id, parsed)
		}
		left, known := ids[id]
		res, err := r.Resume(id)
		switch {
		case !known && err != ErrEvent:
			t.Fatalf("Resume(%q) = %v, %v, want ErrEvent", id, res, err)
		case known && (err != nil || len(res.Events) != left || !res.Done):
			t.Fatalf("Resume(%q) = %v, %v, want %d events", id, res, err, left)
		case known && left > 0 && ids[res.Events[0].ID] != left-1:
			t.Fatalf("Resume(%q) begins with %q", id, res.Events[0].ID)
		}
	})
}
