package mcp

import (
	"context"

	"millrace/codec/jsonrpc"
)

// DiscoverParams are the parameters of server/discover.
type DiscoverParams struct {
	Meta `json:"_meta,omitempty"`
}

// DiscoverResult is the result of server/discover.
type DiscoverResult struct {
	Meta `json:"_meta,omitempty"`
	Cacheable
	// SupportedVersions are all that are served, those of the legacy era
	// through initialize.
	SupportedVersions []string            `json:"supportedVersions"`
	Capabilities      *ServerCapabilities `json:"capabilities"`
	Instructions      string              `json:"instructions,omitempty"`
}

// Cacheable says how a client of 2026-07-28 may reuse a result.
type Cacheable struct {
	// TTLMs is for how many milliseconds; 0: not at all.
	TTLMs int `json:"ttlMs"`
	// CacheScope is "public" when the result is the same for everyone, else
	// "private".
	CacheScope string `json:"cacheScope"`
}

// The values of Cacheable.CacheScope.
const (
	CacheScopePublic  = "public"
	CacheScopePrivate = "private"
)

func (*DiscoverParams) isParams() {}
func (*DiscoverResult) isResult() {}

// cacheable is for results made of the registry alone. Middleware may make
// them depend on who asks, and 2026-07-28, caching, demands that "cacheScope
// correctly reflects the intended visibility": then it is private unless the
// middleware says otherwise. So is a list with a filter, on all its pages:
// "Servers MUST apply the same cacheScope to all response pages". kinds stands
// for no list.
func (s *Server) cacheable(k kind) Cacheable {
	c := Cacheable{TTLMs: int(s.opts.ListTTL.Milliseconds()), CacheScope: CacheScopePublic}
	if s.receiving.Load() != nil || k < kinds && s.filtered(k) {
		c.CacheScope = CacheScopePrivate
	}
	return c
}

func (s *Server) discover() *DiscoverResult {
	return &DiscoverResult{
		Cacheable:         s.cacheable(kinds),
		SupportedVersions: SupportedVersions(),
		Capabilities:      s.capabilities(true),
		Instructions:      s.opts.Instructions,
	}
}

func handleDiscover(_ context.Context, _ string, req Request) (Result, error) {
	return req.(*DiscoverRequest).Session.server.discover(), nil
}

func fastDiscover(s *Server, _ *Call, dst []byte) ([]byte, *jsonrpc.Error) {
	out, err := s.snapshot().discover(s)
	if err != nil {
		return dst, &jsonrpc.Error{Code: jsonrpc.CodeInternal, Message: "server/discover cannot be encoded"}
	}
	return append(dst, out...), nil
}
