package server

import (
	"fmt"
	"testing"

	"millrace/server/mcp"
)

func metaOf(t *testing.T, client string) *mcp.CallMeta {
	t.Helper()
	m, err := mcp.ParseMeta([]byte(`{"_meta":{"` + mcp.MetaKeyClientInfo + `":{"name":"` + client + `","version":"1"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	return &m
}

func TestMetaTableIsBounded(t *testing.T) {
	var table metaTable
	first := table.of(metaOf(t, "0"))
	for i := 1; i < maxKnownMetas; i++ {
		table.of(metaOf(t, fmt.Sprint(i)))
	}
	if len(table.known) != maxKnownMetas || table.of(metaOf(t, "0")) != first {
		t.Errorf("%d entries, want %d, and the first among them", len(table.known), maxKnownMetas)
	}
	table.of(metaOf(t, "one more"))
	if len(table.known) != 1 {
		t.Errorf("%d entries after one too many, want 1", len(table.known))
	}
	// An object that NewRepeated does not take is no entry.
	bad, err := mcp.ParseMeta([]byte(`{"_meta":{} }`))
	if err != nil || table.of(&bad) == nil {
		t.Errorf("the empty object: %v", err)
	}
}

// Two kinds of clients do not push each other out, and connections of one kind
// share what is known.
func TestMetaIsShared(t *testing.T) {
	g := newGate(t, &Server{MCP: newTools().mcp})
	links := []*connection{stateOf(g.link(nil)), stateOf(g.link(nil)), stateOf(g.link(nil))}
	kinds := []string{"a", "b", "a"}
	for round := range 3 {
		for i, cn := range links {
			in := inbound{gate: g, conn: cn}
			in.known = in.knownMeta()
			m, err := in.known.Parse([]byte(`{"_meta":` + string(metaOf(t, kinds[i]).Raw()) + `}`))
			if err != nil {
				t.Fatal(err)
			}
			if round > 0 && !m.Known() {
				t.Errorf("round %d: the _meta of client %d is not known", round, i)
			}
			in.learnMeta(&m)
		}
	}
	if links[0].meta.Load() != links[2].meta.Load() || links[0].meta.Load() == links[1].meta.Load() || len(g.metas.known) != 2 {
		t.Errorf("%p %p %p, %d entries", links[0].meta.Load(), links[1].meta.Load(), links[2].meta.Load(), len(g.metas.known))
	}
}
