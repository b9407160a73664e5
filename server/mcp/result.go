package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
)

var errNoResult = errors.New("neither a result nor an error")

// resultHead is what every result of the stateless era begins with, up to and
// including the first member of _meta.
//
// 2026-07-28, basic: "Servers SHOULD include the following
// io.modelcontextprotocol/* field in every result's _meta": the name and
// version of the server. Icons may be long data: URIs, so that all but
// server/discover leave out what is not needed to identify the server.
func resultHead(resultType string, impl *Implementation) []byte {
	info, err := json.Marshal(impl)
	if err != nil {
		panic("mcp: the Implementation cannot be encoded: " + err.Error())
	}
	return append([]byte(`"resultType":"`+resultType+`","_meta":{"`+MetaKeyServerInfo+`":`), info...)
}

// appendResult appends res as a JSON object in the form of rev.
func (s *Server) appendResult(dst []byte, res Result, rev revision) ([]byte, error) {
	if res == nil {
		return dst, errNoResult
	}
	if r, ok := res.(*CustomResult); ok {
		return s.appendCustom(dst, r, rev)
	}
	dst, err := appendResultMeta(append(dst, '{'), s.headOf(res), res.GetMeta(), rev)
	if err != nil {
		return dst, err
	}
	switch r := res.(type) {
	case interactive:
		if requests, state := r.wants(); requests != nil || state != "" {
			dst, err = appendInputRequired(dst, requests, state, rev)
		} else {
			dst, err = r.appendMembers(dst, rev)
		}
	case *CompleteResult:
		dst, err = appendMembers(dst, struct {
			Completion CompletionResultDetails `json:"completion"`
		}{r.Completion})
	case *TaskResult:
		dst = r.appendMembers(dst)
	case *GetSkillResult:
		dst, err = r.appendMembers(dst)
	case *ReadResourceDirectoryResult:
		dst, err = r.appendMembers(dst, rev)
	case *InitializeResult:
		v := *r
		v.Meta = nil
		dst, err = appendMembers(dst, v)
	case *DiscoverResult:
		v := *r
		v.Meta = nil
		dst, err = appendMembers(dst, v)
	default:
		dst, _, err = s.appendListMembers(dst, r, rev)
	}
	return append(bytes.TrimSuffix(dst, []byte(",")), '}'), err
}

// headOf is what res begins with in the stateless era.
func (s *Server) headOf(res Result) []byte {
	switch r := res.(type) {
	case *DiscoverResult:
		return s.fullHead
	case *TaskResult:
		if r.handle {
			return s.taskHead
		}
	case interactive:
		if requests, state := r.wants(); requests != nil || state != "" {
			return s.inputHead
		}
	}
	return s.head
}

// appendResultMeta appends the members that all results have, each with a
// comma after it.
func appendResultMeta(dst, head []byte, meta Meta, rev revision) ([]byte, error) {
	if rev.modern() {
		dst = append(dst, head...)
		if _, ok := meta[MetaKeyServerInfo]; ok {
			meta = maps.Clone(meta)
			delete(meta, MetaKeyServerInfo)
		}
		if len(meta) > 0 {
			raw, err := json.Marshal(meta)
			if err != nil {
				return dst, err
			}
			dst = append(dst, ',')
			dst = append(dst, raw[1:len(raw)-1]...)
		}
		return append(dst, `},`...), nil
	}
	if len(meta) == 0 {
		return dst, nil
	}
	raw, err := json.Marshal(meta)
	dst = append(dst, `"_meta":`...)
	dst = append(dst, raw...)
	return append(dst, ','), err
}

// appendMembers appends the members of v, a struct.
func appendMembers(dst []byte, v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return dst, err
	}
	return append(dst, raw[1:len(raw)-1]...), nil
}

// appendMembers appends the members of r that are its own.
func (r *CallToolResult) appendMembers(dst []byte, rev revision) ([]byte, error) {
	dst = append(dst, `"content":[`...)
	var err error
	for _, c := range r.Content {
		if c == nil {
			continue
		}
		if dst, err = c.appendContent(dst, rev); err != nil {
			return dst, err
		}
		dst = append(dst, ',')
	}
	dst = append(bytes.TrimSuffix(dst, []byte(",")), ']')
	if r.StructuredContent != nil && rev >= rev20250618 {
		if dst, err = appendStructured(dst, r.StructuredContent, rev); err != nil {
			return dst, err
		}
	}
	if r.IsError {
		dst = append(dst, `,"isError":true`...)
	}
	return dst, nil
}

// appendStructured appends the member structuredContent. Before 2026-07-28 it
// "is returned as a JSON object", so that other values are left out.
func appendStructured(dst []byte, v any, rev revision) ([]byte, error) {
	const name = `,"structuredContent":`
	out, err := appendValue(append(dst, name...), v)
	if err != nil {
		return dst, err
	}
	if !rev.modern() && !isObject(out[len(dst)+len(name):]) {
		return dst, nil
	}
	return out, nil
}
