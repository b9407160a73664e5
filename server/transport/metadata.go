package transport

import (
	"strings"

	"millrace/codec/http1"
	"millrace/pool/buffer"
)

// MetadataPath is where the metadata of a protected resource is, alone or in front
// of the resource's own path (RFC 9728, section 3.1).
const MetadataPath = "/.well-known/oauth-protected-resource"

func isMetadataPath(path string) bool {
	rest, ok := strings.CutPrefix(path, MetadataPath)
	return ok && (rest == "" || rest[0] == '/')
}

// metadata answers who asks how to get a token. It is for everybody, as nobody has
// one yet; Host and Origin have been looked at.
func (h *Handler) metadata(s *httpStream, r *http1.Request) {
	s.allow = "GET, HEAD, OPTIONS"
	switch r.Method() {
	case http1.MethodGet, http1.MethodHead:
		b := buffer.Get()
		b.B = append(b.B, h.cfg.Metadata...)
		s.Respond(Response{Status: 200, Body: b})
	case http1.MethodOptions:
		s.preflight(r)
	default:
		s.refuse(405, "method not allowed: use GET")
	}
}
