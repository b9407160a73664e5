package mcp

import (
	"fmt"
	"net/url"
	"strings"

	"millrace/codec/jsonrpc"
)

// Bounds of a client's list of roots.
const (
	maxRoots   = 1000
	maxRootURI = 8 << 10 // bytes
)

// ListRootsParams asks a client for its roots (client/roots). Roots exist in
// all revisions; as of 2026-07-28 the protocol discourages new uses of them.
type ListRootsParams struct {
	Meta `json:"_meta,omitempty"`
}

// ListRootsResult is a client's answer to ListRootsParams.
type ListRootsResult struct {
	Meta `json:"_meta,omitempty"`
	// Roots are at most 1,000; empty when the client has none.
	Roots []*Root `json:"roots"`
}

// Root is a directory or file that a client wants its servers to work on. It is
// guidance, not a permission.
type Root struct {
	// Meta: from 2025-06-18 on.
	Meta `json:"_meta,omitempty"`
	// Name is for people; may be empty.
	Name string `json:"name,omitempty"`
	// URI begins with "file://". What the client may reach by it is for the
	// server to decide.
	URI string `json:"uri"`
}

// RootsListChangedParams are the parameters of the notification that a client's
// roots have changed. It exists up to 2025-11-25.
type RootsListChangedParams struct {
	Meta `json:"_meta,omitempty"`
}

func (*ListRootsParams) isParams()        {}
func (*ListRootsParams) isInputRequest()  {}
func (*ListRootsResult) isResult()        {}
func (*ListRootsResult) isInputResponse() {}
func (*RootsListChangedParams) isParams() {}

// GetProgressToken returns the token, or nil.
func (p *ListRootsParams) GetProgressToken() any { return p.Meta[metaKeyProgressToken] }

// GetProgressToken returns the token, or nil.
func (p *RootsListChangedParams) GetProgressToken() any { return p.Meta[metaKeyProgressToken] }

// parseRoots decodes a ListRootsResult.
func parseRoots(raw []byte) (*ListRootsResult, error) {
	r := objectReader{obj: raw}
	list := r.array("roots")
	res := &ListRootsResult{Meta: r.meta(), Roots: []*Root{}}
	if r.err != nil {
		return nil, r.err
	}
	for item := range jsonrpc.Elements(list) {
		i := len(res.Roots)
		if i == maxRoots {
			return nil, fmt.Errorf("roots must have at most %d items", maxRoots)
		}
		root, err := parseRoot(item)
		if err != nil {
			return nil, fmt.Errorf("roots[%d]: %w", i, err)
		}
		res.Roots = append(res.Roots, root)
	}
	return res, nil
}

func parseRoot(raw []byte) (*Root, error) {
	if !isObject(raw) {
		return nil, errNotObject
	}
	r := objectReader{obj: raw}
	root := &Root{URI: r.text("uri"), Name: r.optionalText("name"), Meta: r.meta()}
	if r.err != nil {
		return nil, r.err
	}
	// 2026-07-28, roots, "Root": the uri "MUST be a file:// URI in the current
	// specification".
	if _, err := url.Parse(root.URI); err != nil || !strings.HasPrefix(root.URI, "file://") || len(root.URI) > maxRootURI {
		return nil, fmt.Errorf("uri must be a file:// URI of at most %d bytes", maxRootURI)
	}
	return root, nil
}
