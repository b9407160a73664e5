package mcp

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"millrace/codec/jsonrpc"
)

// Methods of a client, and the notifications around them.
const (
	methodElicit              = "elicitation/create"
	methodElicitationComplete = "notifications/elicitation/complete"
	methodCreateMessage       = "sampling/createMessage"
	methodListRoots           = "roots/list"
)

// CodeURLElicitationRequired is the code of the error that
// URLElicitationRequiredError makes. It exists in 2025-11-25 only; from
// 2026-07-28 on a server asks with an InputRequestMap instead.
const CodeURLElicitationRequired = -32042

var errNilInput = errors.New("the request is nil; set it to an *ElicitParams, *CreateMessageParams, *CreateMessageWithToolsParams or *ListRootsParams")

// InputRequest is something that a server asks a client for: *ElicitParams,
// *CreateMessageParams, *CreateMessageWithToolsParams or *ListRootsParams.
//
// Clients of 2026-07-28 get it inside of a result and retry the request
// (basic/patterns/mrtr); older ones get a request of its own.
type InputRequest interface{ isInputRequest() }

// InputRequestMap is what a server asks for, by names that the server chooses.
// The answers come back under the same names.
type InputRequestMap map[string]InputRequest

// InputResponse is a client's answer to an InputRequest: *ElicitResult to
// *ElicitParams, *ListRootsResult to *ListRootsParams, and
// *CreateMessageWithToolsResult to both kinds of sampling.
type InputResponse interface{ isInputResponse() }

// InputResponseMap is the answers to an InputRequestMap, by the same names.
type InputResponseMap map[string]InputResponse

// MarshalJSON encodes m in the form of the newest revision, sorted by name. It
// is an error for m to hold what a server must not send; the error says why.
func (m InputRequestMap) MarshalJSON() ([]byte, error) {
	if m == nil {
		return []byte("null"), nil
	}
	dst := []byte{'{'}
	for i, key := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(jsonrpc.AppendString(dst, key), ':')
		err := checkInputRequest(m[key])
		if err == nil {
			dst, err = appendInputRequest(dst, m[key], newest)
		}
		if err != nil {
			return nil, fmt.Errorf("input request %q: %w", key, err)
		}
	}
	return append(dst, '}'), nil
}

// MissingRequiredClientCapabilityData is the data of an error with the code
// CodeMissingClientCapability; from 2026-07-28 on.
type MissingRequiredClientCapabilityData struct {
	// RequiredCapabilities are those that the client lacks.
	RequiredCapabilities *ClientCapabilities `json:"requiredCapabilities"`
}

// UnsupportedProtocolVersionData is the data of an error with the code
// CodeUnsupportedProtocolVersion; from 2026-07-28 on.
type UnsupportedProtocolVersionData struct {
	// Supported are the revisions that the server serves.
	Supported []string `json:"supported"`
	// Requested is the revision that the client named.
	Requested string `json:"requested"`
}

// inputMethod is the method of r, "" for nil.
func inputMethod(r InputRequest) string {
	switch r.(type) {
	case *ElicitParams:
		return methodElicit
	case *CreateMessageParams, *CreateMessageWithToolsParams:
		return methodCreateMessage
	case *ListRootsParams:
		return methodListRoots
	}
	return ""
}

// appendInputRequest appends r as a member of inputRequests has it, in the form
// of rev. params is there even when it is empty, as go-sdk's client needs it.
func appendInputRequest(dst []byte, r InputRequest, rev revision) ([]byte, error) {
	dst = append(dst, `{"method":`...)
	dst = jsonrpc.AppendString(dst, inputMethod(r))
	dst = append(dst, `,"params":`...)
	dst, err := appendInputParams(dst, r, rev)
	return append(dst, '}'), err
}

// appendInputParams appends the params of r, an object, in the form of rev. The
// error says what the client's revision lacks, or what cannot be encoded. r
// passed checkInputRequest.
func appendInputParams(dst []byte, r InputRequest, rev revision) ([]byte, error) {
	if isNilInput(r) {
		return dst, errNilInput
	}
	switch p := r.(type) {
	case *ElicitParams:
		return p.appendParams(dst, rev)
	case *CreateMessageParams:
		return p.withTools().appendParams(dst, rev)
	case *CreateMessageWithToolsParams:
		return p.appendParams(dst, rev)
	}
	return appendMeta(append(dst, '{'), r.(*ListRootsParams).Meta)
}

// appendMeta appends _meta unless it is empty, after a comma unless it is the
// first member, and the closing brace.
//
// 2026-07-28, basic, "_meta": it "is used by MCP to allow clients and servers
// to attach additional metadata to their interactions". The schema of that
// revision does not list it for every input request, nor does it exclude it.
func appendMeta(dst []byte, m Meta) ([]byte, error) {
	if len(m) > 0 {
		head := `,"_meta":`
		if dst[len(dst)-1] == '{' {
			head = head[1:]
		}
		var err error
		if dst, err = appendPart(dst, head, "_meta", m); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// appendPart appends a member with the JSON of v.
func appendPart(dst []byte, head, name string, v any) ([]byte, error) {
	dst, err := appendValue(append(dst, head...), v)
	if err != nil {
		err = fmt.Errorf("%s cannot be encoded as JSON: %w", name, err)
	}
	return dst, err
}

// newerOnly is the error for what rev does not have. what is in the plural.
func newerOnly(what string, since, rev revision) error {
	return fmt.Errorf("%s exist from protocol version %s on, and this client's is %s", what, since.version(), rev.version())
}

// checkInputRequest reports what a server must not send whatever the client's
// revision. The error is for the author of the tool: it names the field and
// says what to do.
func checkInputRequest(r InputRequest) error {
	if isNilInput(r) {
		return errNilInput
	}
	switch p := r.(type) {
	case *ElicitParams:
		return p.check()
	case *CreateMessageParams:
		return p.withTools().check()
	case *CreateMessageWithToolsParams:
		return p.check()
	}
	return nil
}

// isNilInput reports whether r is nil or holds a nil pointer.
func isNilInput(r InputRequest) bool {
	switch p := r.(type) {
	case *ElicitParams:
		return p == nil
	case *CreateMessageParams:
		return p == nil
	case *CreateMessageWithToolsParams:
		return p == nil
	case *ListRootsParams:
		return p == nil
	}
	return true
}

// with is what a client needs that needs c, which may be nil, and more.
func (c *ClientCapabilities) with(more *ClientCapabilities) *ClientCapabilities {
	if c == nil {
		return more
	}
	v := *c
	if e := more.Elicitation; e != nil {
		all := *e
		if v.Elicitation != nil && all.URL == nil {
			all.URL = v.Elicitation.URL
		}
		v.Elicitation = &all
	}
	if s := more.Sampling; s != nil {
		all := *s
		if had := v.Sampling; had != nil {
			if all.Tools == nil {
				all.Tools = had.Tools
			}
			if all.Context == nil {
				all.Context = had.Context
			}
		}
		v.Sampling = &all
	}
	if more.RootsV2 != nil {
		v.RootsV2 = more.RootsV2
	}
	return &v
}

// neededCapability is what a client must have declared to be asked r; nil when
// r is nil.
func neededCapability(r InputRequest) *ClientCapabilities {
	if isNilInput(r) {
		return nil
	}
	switch p := r.(type) {
	case *ElicitParams:
		return &ClientCapabilities{Elicitation: p.needed()}
	case *CreateMessageParams:
		return &ClientCapabilities{Sampling: p.withTools().needed()}
	case *CreateMessageWithToolsParams:
		return &ClientCapabilities{Sampling: p.needed()}
	}
	return &ClientCapabilities{RootsV2: &RootCapabilities{}}
}

// declares reports whether a client with the capabilities have may be asked r.
//
// 2026-07-28, elicitation, "Capabilities": "an empty capabilities object is
// equivalent to declaring support for form mode only".
func declares(have *ClientCapabilities, r InputRequest) bool {
	need := neededCapability(r)
	if have == nil || need == nil {
		return false
	}
	if e := need.Elicitation; e != nil {
		h := have.Elicitation
		if h == nil || e.URL != nil {
			return h != nil && h.URL != nil
		}
		return h.Form != nil || h.URL == nil
	}
	if s := need.Sampling; s != nil {
		h := have.Sampling
		return h != nil && (s.Tools == nil || h.Tools != nil) && (s.Context == nil || h.Context != nil)
	}
	return have.RootsV2 != nil
}

// parseInputResponse decodes a client's answer to r, which passed
// checkInputRequest. raw may be anything; what is returned shares no memory
// with it. The error is for the client: it names fields, not values.
func parseInputResponse(r InputRequest, raw []byte) (InputResponse, error) {
	if isNilInput(r) {
		return nil, errNilInput
	}
	if err := checkJSON(raw); err != nil {
		return nil, err
	}
	var res InputResponse
	var err error
	switch p := r.(type) {
	case *ElicitParams:
		res, err = p.parseResult(raw)
	case *CreateMessageParams:
		res, err = p.withTools().parseResult(raw)
	case *CreateMessageWithToolsParams:
		res, err = p.parseResult(raw)
	default:
		res, err = parseRoots(raw)
	}
	if err != nil {
		return nil, err
	}
	return res, nil
}
