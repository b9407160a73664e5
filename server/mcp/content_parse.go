package mcp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"millrace/codec/jsonrpc"
)

// maxContents is how many contents a list may hold.
const maxContents = 1000

// Types of content on the wire.
const (
	typeText         = "text"
	typeImage        = "image"
	typeAudio        = "audio"
	typeResourceLink = "resource_link"
	typeResource     = "resource"
	typeToolUse      = "tool_use"
	typeToolResult   = "tool_result"
)

var (
	// mediaTypes are what models read and write.
	mediaTypes = []string{typeText, typeImage, typeAudio}
	// answerTypes are what a model that has tools may answer.
	answerTypes = []string{typeText, typeImage, typeAudio, typeToolUse}
	// messageTypes are what a message of a sampling may hold.
	messageTypes = []string{typeText, typeImage, typeAudio, typeToolUse, typeToolResult}
	// resultTypes are what a tool may return.
	resultTypes = []string{typeText, typeImage, typeAudio, typeResourceLink, typeResource}
)

var errNotObject = errors.New("must be an object")

// wantDouble is why encoding/json cannot decode a valid value.
const wantDouble = "without numbers beyond the range of a double"

// checkJSON reports whether raw may be read with an objectReader.
func checkJSON(raw []byte) error {
	if err := jsonrpc.Validate(raw, nil); err != nil {
		return errors.New(err.Message)
	}
	if !isObject(raw) {
		return errNotObject
	}
	return nil
}

// objectReader reads the members of one object out of JSON that jsonrpc has
// validated. A member that is null counts as absent, as some clients write
// what they leave out. The first error is kept, and names the member; what is
// returned shares no memory with the object.
type objectReader struct {
	obj []byte
	err error
}

func (r *objectReader) fail(name, want string) {
	if r.err == nil {
		r.err = errors.New(name + " must be " + want)
	}
}

// raw returns a member, a view; nil when it is absent.
func (r *objectReader) raw(name string) []byte {
	value := jsonrpc.Member(r.obj, name)
	if string(value) == "null" {
		return nil
	}
	return value
}

// required is raw for a member that must be there.
func (r *objectReader) required(name string) []byte {
	value := r.raw(name)
	if value == nil && r.err == nil {
		r.err = errors.New(name + " is missing")
	}
	return value
}

// text returns a string that must be there.
func (r *objectReader) text(name string) string {
	return r.unquote(name, r.required(name))
}

// optionalText returns a string, "" when it is absent.
func (r *objectReader) optionalText(name string) string {
	return r.unquote(name, r.raw(name))
}

func (r *objectReader) unquote(name string, value []byte) string {
	if value == nil {
		return ""
	}
	text, ok := jsonrpc.Unquote(value)
	if !ok {
		r.fail(name, "a string")
	}
	return text
}

// array returns an array that must be there, a view.
func (r *objectReader) array(name string) []byte {
	value := r.required(name)
	if value != nil && value[0] != '[' {
		r.fail(name, "an array")
	}
	return value
}

// object returns an object as encoding/json decodes it, nil when it is absent.
func (r *objectReader) object(name string) map[string]any {
	value := r.raw(name)
	if value == nil {
		return nil
	}
	var m map[string]any
	if !isObject(value) {
		r.fail(name, "an object")
	} else if json.Unmarshal(value, &m) != nil {
		r.fail(name, wantDouble)
	}
	return m
}

func (r *objectReader) meta() Meta { return r.object("_meta") }

// decode decodes a member into v, which stays as it is when the member is
// absent.
func (r *objectReader) decode(name, want string, v any) {
	if value := r.raw(name); value != nil && json.Unmarshal(value, v) != nil {
		r.fail(name, want)
	}
}

// bytes returns what a string in base64 that must be there stands for.
func (r *objectReader) bytes(name string) []byte {
	text := r.text(name)
	// Line breaks are skipped by encoding/base64 and allowed by nobody.
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		r.fail(name, "base64")
	}
	return data
}

// role returns the member role, which must be there.
func (r *objectReader) role() Role {
	role := Role(r.text("role"))
	if !role.known() {
		r.fail("role", `"user" or "assistant"`)
	}
	return role
}

func (r Role) known() bool { return r == RoleUser || r == RoleAssistant }

// annotations returns the member annotations, nil when it is absent.
func (r *objectReader) annotations() *Annotations {
	value := r.raw("annotations")
	if value == nil {
		return nil
	}
	in := objectReader{obj: value}
	a := &Annotations{LastModified: in.optionalText("lastModified")}
	in.decode("audience", "an array of roles", &a.Audience)
	in.decode("priority", "a number", &a.Priority)
	for _, role := range a.Audience {
		if !role.known() {
			in.fail("audience", `of "user" and "assistant"`)
		}
	}
	if a.Priority < 0 || a.Priority > 1 {
		in.fail("priority", "from 0 to 1")
	}
	r.nest("annotations", value, in.err)
	return a
}

// nest keeps an error out of a member that must be an object.
func (r *objectReader) nest(name string, value []byte, err error) {
	if !isObject(value) {
		r.fail(name, "an object")
	}
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%s: %w", name, err)
	}
}

// parseContent decodes one content of one of the allowed types. raw is a value
// out of JSON that jsonrpc has validated; what is returned shares no memory
// with it.
func parseContent(raw []byte, allowed ...string) (Content, error) {
	if !isObject(raw) {
		return nil, errNotObject
	}
	r := &objectReader{obj: raw}
	kind := r.text("type")
	if r.err == nil && !slices.Contains(allowed, kind) {
		r.fail("type", "one of "+strings.Join(allowed, ", ")+" here")
	}
	if r.err != nil {
		return nil, r.err
	}
	c := r.content(kind)
	if r.err != nil {
		return nil, r.err
	}
	return c, nil
}

// content decodes the content of the given type.
func (r *objectReader) content(kind string) Content {
	switch kind {
	case typeText:
		return &TextContent{Text: r.text("text"), Annotations: r.annotations(), Meta: r.meta()}
	case typeImage:
		return &ImageContent{Data: r.bytes("data"), MIMEType: r.text("mimeType"), Annotations: r.annotations(), Meta: r.meta()}
	case typeAudio:
		return &AudioContent{Data: r.bytes("data"), MIMEType: r.text("mimeType"), Annotations: r.annotations(), Meta: r.meta()}
	case typeResourceLink:
		return r.link()
	case typeResource:
		return &EmbeddedResource{Resource: r.resource(), Annotations: r.annotations(), Meta: r.meta()}
	case typeToolUse:
		return r.toolUse()
	}
	return r.toolResult()
}

func (r *objectReader) link() *ResourceLink {
	c := &ResourceLink{
		URI: r.text("uri"), Name: r.text("name"), Title: r.optionalText("title"),
		Description: r.optionalText("description"), MIMEType: r.optionalText("mimeType"),
		Annotations: r.annotations(), Meta: r.meta(),
	}
	r.decode("size", "a whole number", &c.Size)
	r.decode("icons", "an array of icons", &c.Icons)
	return c
}

// resource returns the member resource.
func (r *objectReader) resource() *ResourceContents {
	value := r.required("resource")
	in := objectReader{obj: value}
	c := in.resourceContents()
	r.nest("resource", value, in.err)
	return c
}

// resourceContents returns the whole object: "text" or "blob" tells what it is.
func (r *objectReader) resourceContents() *ResourceContents {
	c := &ResourceContents{URI: r.text("uri"), MIMEType: r.optionalText("mimeType"), Meta: r.meta()}
	switch text, blob := r.raw("text") != nil, r.raw("blob") != nil; {
	case text == blob:
		r.fail("text or blob", "there, and not both")
	case blob:
		c.Blob = r.bytes("blob")
	default:
		c.Text = r.text("text")
	}
	return c
}

func (r *objectReader) toolUse() *ToolUseContent {
	r.required("input")
	c := &ToolUseContent{ID: r.text("id"), Name: r.text("name"), Input: r.object("input"), Meta: r.meta()}
	if c.ID == "" || c.Name == "" {
		r.fail("id and name", "not empty")
	}
	return c
}

func (r *objectReader) toolResult() *ToolResultContent {
	c := &ToolResultContent{ToolUseID: r.text("toolUseId"), Meta: r.meta()}
	if c.ToolUseID == "" {
		r.fail("toolUseId", "not empty")
	}
	r.decode("structuredContent", wantDouble, &c.StructuredContent)
	r.decode("isError", "a boolean", &c.IsError)
	var err error
	if list := r.array("content"); r.err == nil {
		if c.Content, err = parseContents(list, resultTypes...); err != nil {
			r.err = fmt.Errorf("content%w", err)
		}
	}
	return c
}

// parseContents decodes an array of contents. The error begins with the index
// in brackets or a space.
func parseContents(list []byte, allowed ...string) ([]Content, error) {
	contents := []Content{}
	for raw := range jsonrpc.Elements(list) {
		if len(contents) == maxContents {
			return nil, fmt.Errorf(" must have at most %d items", maxContents)
		}
		c, err := parseContent(raw, allowed...)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", len(contents), err)
		}
		contents = append(contents, c)
	}
	return contents, nil
}

// contents returns the member content, which must be there and is one content
// or an array of them.
func (r *objectReader) contents(allowed ...string) []Content {
	value := r.required("content")
	if r.err != nil {
		return nil
	}
	if bytes.HasPrefix(value, []byte("[")) {
		list, err := parseContents(value, allowed...)
		if err != nil {
			r.err = fmt.Errorf("content%w", err)
		}
		return list
	}
	return []Content{r.single(allowed...)}
}

// single returns the member content, which must be there and is one content.
func (r *objectReader) single(allowed ...string) Content {
	value := r.required("content")
	if r.err != nil {
		return nil
	}
	c, err := parseContent(value, allowed...)
	if err != nil {
		r.err = fmt.Errorf("content: %w", err)
	}
	return c
}
