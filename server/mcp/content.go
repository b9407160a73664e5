package mcp

// Content is one item of what a tool returns: *TextContent, *ImageContent,
// *AudioContent, *ResourceLink or *EmbeddedResource. In messages of sampling it may
// be *ToolUseContent or *ToolResultContent too.
//
// What a client's revision does not define is not sent to it: an AudioContent
// before 2025-03-26 and a ResourceLink before 2025-06-18 become a text that
// says what they were.
type Content interface {
	// MarshalJSON encodes the content in the form of the newest revision.
	MarshalJSON() ([]byte, error)

	// appendContent appends the content in the form of rev.
	appendContent(dst []byte, rev revision) ([]byte, error)
}

// TextContent is text.
type TextContent struct {
	Text        string
	Meta        Meta
	Annotations *Annotations
}

// ImageContent is an image.
type ImageContent struct {
	Meta        Meta
	Annotations *Annotations
	Data        []byte // the image itself; it is sent in base64
	MIMEType    string
}

// AudioContent is a sound.
type AudioContent struct {
	Data        []byte // the sound itself; it is sent in base64
	MIMEType    string
	Meta        Meta
	Annotations *Annotations
}

// ResourceLink points at a resource.
type ResourceLink struct {
	URI         string
	Name        string
	Title       string
	Description string
	MIMEType    string
	Size        *int64 // in bytes, if known
	Meta        Meta
	Annotations *Annotations
	Icons       []Icon
}

// EmbeddedResource is a resource in full.
type EmbeddedResource struct {
	Resource    *ResourceContents // required
	Meta        Meta
	Annotations *Annotations
}

// ResourceContents is what a resource holds: Blob if that is not nil, else
// Text.
type ResourceContents struct {
	URI      string
	MIMEType string
	Text     string
	Blob     []byte // it is sent in base64
	Meta     Meta
}

// Annotations tell clients how to use a content.
type Annotations struct {
	// Audience is whom the content is for.
	Audience []Role `json:"audience,omitempty"`
	// LastModified is in ISO 8601, like "2025-01-12T15:00:58Z"; from 2025-06-18 on.
	LastModified string `json:"lastModified,omitempty"`
	// Priority is from 0, least, to 1, most important.
	Priority float64 `json:"priority,omitempty"`
}

// Role is a side of a conversation with a model.
type Role string

// The roles.
const (
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
)

// MarshalJSON implements Content.
func (c *TextContent) MarshalJSON() ([]byte, error) { return c.appendContent(nil, newest) }

// MarshalJSON implements Content.
func (c *ImageContent) MarshalJSON() ([]byte, error) { return c.appendContent(nil, newest) }

// MarshalJSON implements Content.
func (c *AudioContent) MarshalJSON() ([]byte, error) { return c.appendContent(nil, newest) }

// MarshalJSON implements Content.
func (c *ResourceLink) MarshalJSON() ([]byte, error) { return c.appendContent(nil, newest) }

// MarshalJSON implements Content.
func (c *EmbeddedResource) MarshalJSON() ([]byte, error) { return c.appendContent(nil, newest) }
