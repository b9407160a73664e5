package mcp

import (
	"context"
	"strings"
	"testing"
)

func TestReadNilContents(t *testing.T) {
	s := empty(quiet())
	s.AddResource(&Resource{URI: "x:nil", Name: "nil"}, func(context.Context, *ReadResourceRequest) (*ReadResourceResult, error) {
		return &ReadResourceResult{Contents: []*ResourceContents{nil}}, nil
	})
	for _, version := range []string{Version20260728, Version20251125} {
		if out := dial(t, s, version).ask("resources/read", `"uri":"x:nil"`); !strings.Contains(out, "the resource has no contents") {
			t.Errorf("%s: %s", version, out)
		}
	}
}
