package mcp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"millrace/codec/jsonrpc"
)

var errNoResource = errors.New("an EmbeddedResource without Resource")

func (c *TextContent) appendContent(dst []byte, rev revision) ([]byte, error) {
	dst = append(dst, `{"type":"text","text":`...)
	dst = jsonrpc.AppendString(dst, c.Text)
	return appendTail(dst, c.Annotations, c.Meta, rev)
}

func (c *ImageContent) appendContent(dst []byte, rev revision) ([]byte, error) {
	dst = append(dst, `{"type":"image"`...)
	dst = appendData(dst, c.Data, c.MIMEType)
	return appendTail(dst, c.Annotations, c.Meta, rev)
}

func (c *AudioContent) appendContent(dst []byte, rev revision) ([]byte, error) {
	if rev < rev20250326 {
		return appendText(dst, fmt.Sprintf("[audio, %s, %d bytes: this client's protocol version has no audio]", c.MIMEType, len(c.Data))), nil
	}
	dst = append(dst, `{"type":"audio"`...)
	dst = appendData(dst, c.Data, c.MIMEType)
	return appendTail(dst, c.Annotations, c.Meta, rev)
}

func (c *ResourceLink) appendContent(dst []byte, rev revision) ([]byte, error) {
	if rev < rev20250618 {
		return appendText(dst, fmt.Sprintf("[resource %s: %s]", c.Name, c.URI)), nil
	}
	dst = append(dst, `{"type":"resource_link","uri":`...)
	dst = jsonrpc.AppendString(dst, c.URI)
	dst = append(dst, `,"name":`...)
	dst = jsonrpc.AppendString(dst, c.Name)
	dst = appendMember(dst, `,"title":`, c.Title)
	dst = appendMember(dst, `,"description":`, c.Description)
	dst = appendMember(dst, `,"mimeType":`, c.MIMEType)
	if c.Size != nil {
		dst = append(dst, `,"size":`...)
		dst = strconv.AppendInt(dst, *c.Size, 10)
	}
	if len(c.Icons) > 0 && rev >= rev20251125 {
		icons, err := json.Marshal(c.Icons)
		if err != nil {
			return dst, err
		}
		dst = append(dst, `,"icons":`...)
		dst = append(dst, icons...)
	}
	return appendTail(dst, c.Annotations, c.Meta, rev)
}

func (c *EmbeddedResource) appendContent(dst []byte, rev revision) ([]byte, error) {
	r := c.Resource
	if r == nil {
		return dst, errNoResource
	}
	dst, err := r.appendContents(append(dst, `{"type":"resource","resource":`...), rev)
	if err != nil {
		return dst, err
	}
	return appendTail(dst, c.Annotations, c.Meta, rev)
}

// appendText appends the content that stands for one that rev does not have.
func appendText(dst []byte, text string) []byte {
	dst = append(dst, `{"type":"text","text":`...)
	return append(jsonrpc.AppendString(dst, text), '}')
}

func appendData(dst, data []byte, mimeType string) []byte {
	dst = append(dst, `,"data":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, data)
	dst = append(dst, `","mimeType":`...)
	return jsonrpc.AppendString(dst, mimeType)
}

// appendMember appends a member with a string value unless that is empty.
// head is its comma, name and colon.
func appendMember(dst []byte, head, value string) []byte {
	if value == "" {
		return dst
	}
	return jsonrpc.AppendString(append(dst, head...), value)
}

// appendTail appends what all contents may have, and the closing brace.
func appendTail(dst []byte, a *Annotations, m Meta, rev revision) ([]byte, error) {
	if a != nil {
		v := *a
		if rev < rev20250618 {
			v.LastModified = ""
		}
		raw, err := json.Marshal(v)
		if err != nil {
			return dst, err
		}
		dst = append(dst, `,"annotations":`...)
		dst = append(dst, raw...)
	}
	if len(m) > 0 && rev >= rev20250618 {
		raw, err := json.Marshal(m)
		if err != nil {
			return dst, err
		}
		dst = append(dst, `,"_meta":`...)
		dst = append(dst, raw...)
	}
	return append(dst, '}'), nil
}

// appendValue appends any value as JSON on one line.
func appendValue(dst []byte, v any) ([]byte, error) {
	raw, ok := v.(json.RawMessage)
	if !ok {
		encoded, err := json.Marshal(v)
		return append(dst, encoded...), err
	}
	if !valid(raw) {
		return dst, errors.New("a json.RawMessage that is not JSON")
	}
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0 {
		return append(dst, raw...), nil
	}
	var line bytes.Buffer
	err := json.Compact(&line, raw)
	return append(dst, line.Bytes()...), err
}
