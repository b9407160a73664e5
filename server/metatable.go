package server

import (
	"sync"
	"sync/atomic"

	"millrace/server/mcp"
)

// metaTable has the _meta objects that clients repeat with every request. Each
// connection knows the one that it has seen last; connections of the same kind
// of client share it. Any goroutine.
type metaTable struct {
	latest atomic.Pointer[mcp.KnownMeta] // what new connections try first

	mu    sync.Mutex
	known map[string]*mcp.KnownMeta
}

// maxKnownMetas bounds the table. A server has a few kinds of clients; beyond
// that somebody makes them up, and the table begins anew.
const maxKnownMetas = 64

// of returns the entry for the object of m, making it if need be; nil when it is
// of no use.
func (t *metaTable) of(m *mcp.CallMeta) *mcp.KnownMeta {
	if k := t.find(m); k != nil {
		return k
	}
	k := mcp.NewKnownMeta(m) // reads it once more: not under the lock of all loops
	if k == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil || len(t.known) >= maxKnownMetas {
		t.known = make(map[string]*mcp.KnownMeta)
	}
	t.known[string(m.Raw())] = k
	return k
}

func (t *metaTable) find(m *mcp.CallMeta) *mcp.KnownMeta {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known[string(m.Raw())]
}

// knownMeta is what the next request of the connection most likely comes with;
// nil when nobody knows.
func (in *inbound) knownMeta() *mcp.KnownMeta {
	if k := in.conn.meta.Load(); k != nil {
		return k
	}
	return in.gate.metas.latest.Load()
}

// learnMeta remembers the _meta object of a request for the next one.
func (in *inbound) learnMeta(m *mcp.CallMeta) {
	switch {
	case m.Repeats():
		if k := in.gate.metas.of(m); k != nil {
			in.conn.meta.Store(k)
			in.gate.metas.latest.Store(k)
		}
	case m.Known() && in.conn.meta.Load() == nil:
		in.conn.meta.Store(in.known)
	}
}
