package mcp

import (
	"context"
	"testing"
)

// benchCase is one request as it stands in memory before the engine sees it.
type benchCase struct {
	name, version, method, params string
	allocs                        float64
}

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
	`"io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1.0.0"},"io.modelcontextprotocol/clientCapabilities":{}}`

var benchCases = []benchCase{
	{"ping/2025-11-25", Version20251125, methodPing, ``, 0},
	{"list/2025-11-25", Version20251125, methodListTools, `{}`, 0},
	{"list/2026-07-28", Version20260728, methodListTools, `{` + modernMeta + `}`, 0},
	{"discover/2026-07-28", Version20260728, methodDiscover, `{` + modernMeta + `}`, 0},
	{"prompts/2025-11-25", Version20251125, methodListPrompts, `{}`, 0},
	{"prompts/2026-07-28", Version20260728, methodListPrompts, `{` + modernMeta + `}`, 0},
	{"resources/2025-03-26", Version20250326, methodListResources, `{}`, 0},
	{"resources/2026-07-28", Version20260728, methodListResources, `{` + modernMeta + `}`, 0},
	{"templates/2024-11-05", Version20241105, methodListTemplates, `{}`, 0},
	{"templates/2026-07-28", Version20260728, methodListTemplates, `{` + modernMeta + `}`, 0},
	{"echo/2025-11-25", Version20251125, methodCallTool, `{"name":"echo","arguments":{"text":"hello, world"}}`, 7},
	{"echo/2026-07-28", Version20260728, methodCallTool, `{"name":"echo","arguments":{"text":"hello, world"},` + modernMeta + `}`, 7},
}

// prepare returns a function that runs the request as a host does: ParseMeta,
// Plan, Serve.
func (b *benchCase) prepare(t testing.TB) func() []byte {
	s := fixture(nil)
	addPrompts(s)
	addResources(s)
	cl := dial(t, s, b.version)
	id, params, dst := []byte("1"), []byte(b.params), make([]byte, 0, 1<<16)
	ctx := context.Background()
	var c Call
	return func() []byte {
		meta, err := ParseMeta(params)
		if err != nil {
			t.Fatal(err)
		}
		c = Call{Method: b.method, ID: id, Params: params, Meta: meta, Session: cl.session, Modern: cl.session == nil}
		cl.s.Plan(&c)
		out, _ := cl.s.Serve(ctx, &c, dst)
		return out
	}
}

func BenchmarkServe(b *testing.B) {
	for i := range benchCases {
		bc := &benchCases[i]
		b.Run(bc.name, func(b *testing.B) {
			run := bc.prepare(b)
			b.SetBytes(int64(len(run())))
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
}

func TestServeAllocs(t *testing.T) {
	for i := range benchCases {
		bc := &benchCases[i]
		run := bc.prepare(t)
		if got := testing.AllocsPerRun(100, func() { run() }); got > bc.allocs {
			t.Errorf("%s: %v allocations, want at most %v", bc.name, got, bc.allocs)
		}
	}
}
