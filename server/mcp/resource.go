package mcp

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/yosida95/uritemplate/v3"

	"millrace/codec/jsonrpc"
	"millrace/server/auth"
)

// maxURI bounds, in bytes, the URI of a resource and of what is matched against
// templates.
const maxURI = 8 << 10

// CodeResourceNotFound is the code of ResourceNotFoundError on 2026-07-28:
// "servers MUST return a JSON-RPC error with code -32602" (server/resources).
// Sessions of older revisions get -32002, which is theirs.
var CodeResourceNotFound = jsonrpc.CodeInvalidParams

const codeResourceNotFoundLegacy = -32002

// Resource describes something that clients can read.
type Resource struct {
	Meta        `json:"_meta,omitempty"`
	Annotations *Annotations `json:"annotations,omitempty"`
	Description string       `json:"description,omitempty"`
	MIMEType    string       `json:"mimeType,omitempty"`
	Name        string       `json:"name"`
	// Size is that of the content in bytes, before any encoding; 0: not known.
	Size int64 `json:"size,omitempty"`
	// Title is for people; from 2025-06-18 on.
	Title string `json:"title,omitempty"`
	// URI is unique in the server and absolute.
	URI string `json:"uri"`
	// Icons: from 2025-11-25 on.
	Icons []Icon `json:"icons,omitempty"`
}

// ResourceTemplate describes resources whose URIs match a template.
type ResourceTemplate struct {
	Meta        `json:"_meta,omitempty"`
	Annotations *Annotations `json:"annotations,omitempty"`
	Description string       `json:"description,omitempty"`
	// MIMEType is set when all resources that match have the same.
	MIMEType string `json:"mimeType,omitempty"`
	Name     string `json:"name"`
	// Title is for people; from 2025-06-18 on.
	Title string `json:"title,omitempty"`
	// URITemplate is a template of RFC 6570 that begins with a scheme.
	URITemplate string `json:"uriTemplate"`
	// Icons: from 2025-11-25 on.
	Icons []Icon `json:"icons,omitempty"`
}

// ReadResourceParams are the parameters of resources/read.
type ReadResourceParams struct {
	Meta `json:"_meta,omitempty"`
	URI  string `json:"uri"`

	// Variables are what the variables of the template stand for in URI, decoded;
	// nil for a resource that was not found by a template.
	Variables map[string]string `json:"-"`

	// InputResponses and RequestState are as in CallToolParamsRaw.
	InputResponses InputResponseMap `json:"-"`
	RequestState   string           `json:"-"`
}

// ReadResourceResult is the result of resources/read.
type ReadResourceResult struct {
	Meta `json:"_meta,omitempty"`
	// Cacheable is for clients of 2026-07-28. Left zero, the result may not be
	// reused, and only by the same caller.
	Cacheable
	// Contents must hold something: an empty one "is ambiguous".
	Contents []*ResourceContents `json:"contents"`

	// InputRequests and RequestState are as in CallToolResult.
	InputRequests InputRequestMap `json:"inputRequests,omitempty"`
	RequestState  string          `json:"requestState,omitempty"`
}

// ResourceHandler reads a resource. For one that does not exist it returns
// ResourceNotFoundError. What it does not set of the URI and MIME type of a
// content is filled in. Other errors, goroutine and ownership are as for a
// PromptHandler.
type ResourceHandler func(ctx context.Context, req *ReadResourceRequest) (*ReadResourceResult, error)

func (*ReadResourceParams) isParams() {}
func (*ReadResourceResult) isResult() {}

// GetProgressToken returns the client's token, a string or float64, or nil.
func (p *ReadResourceParams) GetProgressToken() any { return p.Meta[metaKeyProgressToken] }

// NeedsInput reports whether the result asks the client for input.
func (r *ReadResourceResult) NeedsInput() bool { return r.InputRequests != nil }

// ResourceNotFoundError is what a ResourceHandler returns for a resource that
// does not exist. It is answered in the code of the client's revision.
func ResourceNotFoundError(uri string) error {
	return &jsonrpc.Error{
		Code: CodeResourceNotFound, Message: "Resource not found",
		Data: notFoundData{URI: strings.ToValidUTF8(uri, "")},
	}
}

// notFoundData marks a ResourceNotFoundError.
type notFoundData struct {
	URI string `json:"uri"`
}

// notFoundFor gives a ResourceNotFoundError the code of rev.
func notFoundFor(err error, rev revision) error {
	e, ok := errors.AsType[*jsonrpc.Error](err)
	if !ok || e == nil || rev.modern() {
		return err
	}
	if _, ok := e.Data.(notFoundData); !ok {
		return err
	}
	older := *e
	older.Code = codeResourceNotFoundLegacy
	return &older
}

// serverResource is a registered resource. It is immutable.
type serverResource struct {
	resource *Resource
	handler  ResourceHandler
	tail     entryTail
	bytes    int
}

// serverTemplate is a registered resource template. It is immutable.
type serverTemplate struct {
	template *ResourceTemplate
	handler  ResourceHandler
	parsed   *uritemplate.Template
	regexp   *regexp.Regexp // parsed as RE2, a hundred times as fast
	names    []string       // of the groups of regexp; nil: they are not the variables
	tail     entryTail
	bytes    int
}

// AddResource adds a resource, or replaces the one with the same URI. r must
// not be changed afterwards. It panics when the resource cannot be offered.
func (s *Server) AddResource(r *Resource, h ResourceHandler) {
	sr, err := newResource(r, h)
	if err == nil && h == nil {
		err = errors.New("the handler is nil")
	}
	if err != nil {
		panic(fmt.Sprintf("mcp: AddResource %q: %v", r.URI, err))
	}
	add(s, resourceKind, s.resources, sr)
}

// AddResourceTemplate adds a template, or replaces the one with the same
// URITemplate. Of several templates that match a URI the first in order of
// their text counts. t must not be changed afterwards. It panics when the
// template cannot be offered.
func (s *Server) AddResourceTemplate(t *ResourceTemplate, h ResourceHandler) {
	st, err := newTemplate(t, h)
	if err == nil && h == nil {
		err = errors.New("the handler is nil")
	}
	if err != nil {
		panic(fmt.Sprintf("mcp: AddResourceTemplate %q: %v", t.URITemplate, err))
	}
	add(s, templateKind, s.templates, st)
}

func newResource(r *Resource, h ResourceHandler) (*serverResource, error) {
	if r.Name == "" {
		return nil, errors.New("a resource needs a Name")
	}
	if err := checkURI(r.URI); err != nil {
		return nil, err
	}
	if r.Size < 0 {
		return nil, fmt.Errorf("Size is %d", r.Size)
	}
	sr := &serverResource{resource: r, handler: h}
	var err error
	if sr.tail, err = encodeTail(r.Annotations, r.Icons, r.Meta); err != nil {
		return nil, err
	}
	sr.bytes = len(sr.appendFeature(nil, newest))
	return sr, nil
}

// checkURI is for the URIs of registered resources.
func checkURI(uri string) error {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return fmt.Errorf("URI: %w", err)
	case u.Scheme == "":
		return errors.New(`URI must be absolute, such as "file:///readme.txt"`)
	case len(uri) > maxURI:
		return fmt.Errorf("URI has %d bytes; %d are allowed", len(uri), maxURI)
	}
	return nil
}

func newTemplate(t *ResourceTemplate, h ResourceHandler) (*serverTemplate, error) {
	if t.Name == "" {
		return nil, errors.New("a resource template needs a Name")
	}
	scheme, _, ok := strings.Cut(t.URITemplate, ":")
	if !ok || scheme == "" || strings.ContainsAny(scheme, "{}/") {
		return nil, errors.New(`URITemplate must begin with a scheme, such as "file:///{+path}"`)
	}
	if len(t.URITemplate) > maxURI {
		return nil, fmt.Errorf("URITemplate has %d bytes; %d are allowed", len(t.URITemplate), maxURI)
	}
	parsed, err := uritemplate.New(t.URITemplate)
	if err != nil {
		return nil, fmt.Errorf("URITemplate: %w", err)
	}
	st := &serverTemplate{template: t, handler: h, parsed: parsed, regexp: parsed.Regexp()}
	if names := parsed.Varnames(); !composite.MatchString(t.URITemplate) && len(names) == st.regexp.NumSubexp() {
		st.names = names
	}
	if st.tail, err = encodeTail(t.Annotations, t.Icons, t.Meta); err != nil {
		return nil, err
	}
	st.bytes = len(st.appendFeature(nil, newest))
	return st, nil
}

func (r *serverResource) key() string { return r.resource.URI }
func (r *serverResource) size() int   { return r.bytes }
func (t *serverTemplate) key() string { return t.template.URITemplate }
func (t *serverTemplate) size() int   { return t.bytes }

func (r *serverResource) appendFeature(dst []byte, rev revision) []byte {
	f := r.resource
	dst = append(dst, `{"uri":`...)
	dst = jsonrpc.AppendString(dst, f.URI)
	dst = appendNames(dst, f.Name, f.Title, f.Description, f.MIMEType, rev)
	if f.Size > 0 {
		dst = append(dst, `,"size":`...)
		dst = strconv.AppendInt(dst, f.Size, 10)
	}
	return r.tail.append(dst, rev)
}

func (t *serverTemplate) appendFeature(dst []byte, rev revision) []byte {
	f := t.template
	dst = append(dst, `{"uriTemplate":`...)
	dst = jsonrpc.AppendString(dst, f.URITemplate)
	dst = appendNames(dst, f.Name, f.Title, f.Description, f.MIMEType, rev)
	return t.tail.append(dst, rev)
}

func appendNames(dst []byte, name, title, description, mimeType string, rev revision) []byte {
	dst = append(dst, `,"name":`...)
	dst = jsonrpc.AppendString(dst, name)
	if rev >= rev20250618 {
		dst = appendMember(dst, `,"title":`, title)
	}
	dst = appendMember(dst, `,"description":`, description)
	return appendMember(dst, `,"mimeType":`, mimeType)
}

// composite finds expressions of RFC 6570 whose values are more than a piece of
// the URI: named (section 3.2.7 on), exploded or cut (section 2.4), or next to
// each other, where it is the library that says which gets what.
var composite = regexp.MustCompile(`\{[?&;]|\{[^}]*[*:]|\}\{`)

// maxComposite bounds the URIs that are matched against composite templates: the
// library takes 2.6 µs a byte to say what their variables are, where a regular
// expression of RE2 takes 20 ns to find that they match. Neither backtracks.
const maxComposite = 2 << 10

// matches reports whether the template stands for uri.
func (t *serverTemplate) matches(uri string) bool {
	if t.names != nil {
		return t.regexp.MatchString(uri)
	}
	return len(uri) <= maxComposite && t.regexp.MatchString(uri) && t.parsed.Match(uri) != nil
}

// variables are what the variables of the template stand for in a uri that it
// matches, decoded.
func (t *serverTemplate) variables(uri string) map[string]string {
	vars := make(map[string]string)
	if t.names != nil {
		at := t.regexp.FindStringSubmatchIndex(uri)
		for i, name := range t.names {
			if from, to := at[2*i+2], at[2*i+3]; from >= 0 {
				vars[name], _ = url.PathUnescape(uri[from:to]) // the expression lets only good escapes through
			}
		}
		return vars
	}
	for name, v := range t.parsed.Match(uri) {
		vars[name] = valueOf(v)
	}
	return vars
}

// valueOf is a value of the library as a string.
func valueOf(v uritemplate.Value) string {
	if v.T == uritemplate.ValueTypeList || v.T == uritemplate.ValueTypeKV {
		return strings.Join(v.List(), ",")
	}
	return v.String()
}

// lookup is how a caller's URI is served: by a handler, which makes contents of
// a MIME type, with the variables of a template. It is false when nothing that
// the caller can see has that URI.
type lookup struct {
	handler  ResourceHandler
	mimeType string
	vars     map[string]string
}

// exists reports whether there is a resource with that URI for the caller.
func (s *Server) exists(ctx context.Context, c *Caller, uri string) bool {
	_, t, ok := s.find(ctx, c, uri)
	return ok || t != nil
}

func (s *Server) lookup(ctx context.Context, c *Caller, uri string) (lookup, bool) {
	l, t, ok := s.find(ctx, c, uri)
	if t != nil {
		return lookup{t.handler, t.template.MIMEType, t.variables(uri)}, true
	}
	return l, ok
}

// find finds what serves a URI: a resource, or a template.
func (s *Server) find(ctx context.Context, c *Caller, uri string) (lookup, *serverTemplate, bool) {
	reg := s.snapshot()
	if len(uri) > maxURI || !s.may(c.Principal, auth.Resource, uri) {
		return lookup{}, nil, false
	}
	resources := s.visibleResources(ctx, c)
	if f, ok := reg.skillFile(uri, resources); f != nil {
		return lookup{handler: f.handler, mimeType: f.resource.MIMEType}, nil, true
	} else if ok {
		return lookup{}, nil, false
	}
	if r := reg.resources.byKey[uri]; r != nil && sees(resources, r) {
		return lookup{handler: r.handler, mimeType: r.resource.MIMEType}, nil, true
	}
	filter := s.opts.ResourceTemplateFilter // the guard has judged the URI itself
	for _, t := range reg.templates.sorted {
		if t.matches(uri) && (filter == nil || filter(ctx, c, t.template)) {
			return lookup{}, t, true
		}
	}
	return lookup{}, nil, false
}

func decodeReadResource(s *Server, c *Call) (Request, *jsonrpc.Error) {
	f := newFrame[ReadResourceParams](s, c)
	if err := f.decode(c); err != nil {
		return nil, err
	}
	p := &f.params
	if p.URI == "" {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "resources/read needs params.uri, a string"}
	}
	f.call.subject = p.URI
	return f.interactive(c, &p.InputResponses, &p.RequestState)
}

// handleReadResource finds a resource and runs its handler.
func handleReadResource(ctx context.Context, _ string, request Request) (Result, error) {
	req := request.(*ReadResourceRequest)
	s := req.Session.server
	found, ok := s.lookup(ctx, req.caller(), req.Params.URI)
	if !ok {
		return nil, notFoundFor(ResourceNotFoundError(req.Params.URI), req.Session.call.rev)
	}
	req.Params.Variables = found.vars
	res, err := converse(ctx, req, func() (*ReadResourceResult, error) { return found.handler(ctx, req) })
	if err != nil {
		return nil, notFoundFor(err, req.Session.call.rev)
	}
	r, ok := res.(*ReadResourceResult)
	if !ok || r.NeedsInput() || r.RequestState != "" {
		return res, nil
	}
	if r = r.complete(req.Params.URI, found.mimeType); len(r.Contents) == 0 {
		return nil, errNoContents
	}
	return r, nil
}

var errNoContents = errors.New("the resource has no contents")

// complete fills in what the handler left out, in a copy: the handler may share
// its result between calls.
func (r *ReadResourceResult) complete(uri, mimeType string) *ReadResourceResult {
	v := *r
	v.Contents = make([]*ResourceContents, 0, len(r.Contents))
	for _, c := range r.Contents {
		if c == nil {
			continue
		}
		full := *c
		if full.URI == "" {
			full.URI = uri
		}
		if full.MIMEType == "" && full.URI == uri {
			full.MIMEType = mimeType
		}
		v.Contents = append(v.Contents, &full)
	}
	return &v
}

// appendMembers appends the members of r that are its own.
func (r *ReadResourceResult) appendMembers(dst []byte, rev revision) ([]byte, error) {
	dst = append(dst, `"contents":[`...)
	var err error
	for i, c := range r.Contents {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = c.appendContents(dst, rev); err != nil {
			return dst, err
		}
	}
	dst = append(dst, ']')
	if rev.modern() {
		dst = r.Cacheable.appendMembers(append(dst, ','))
	}
	return dst, nil
}

// appendContents appends r as a JSON object.
func (r *ResourceContents) appendContents(dst []byte, rev revision) ([]byte, error) {
	dst = append(dst, `{"uri":`...)
	dst = jsonrpc.AppendString(dst, r.URI)
	dst = appendMember(dst, `,"mimeType":`, r.MIMEType)
	if r.Blob != nil {
		dst = append(dst, `,"blob":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, r.Blob)
		dst = append(dst, '"')
	} else {
		dst = append(dst, `,"text":`...)
		dst = jsonrpc.AppendString(dst, r.Text)
	}
	return appendTail(dst, nil, r.Meta, rev)
}
