package mcp

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"
)

// mimeTypes are those of files, by extension. The table of package mime differs
// from machine to machine.
var mimeTypes = map[string]string{
	".bash": "application/x-sh", ".bmp": "image/bmp", ".c": "text/x-c", ".cfg": "text/plain", ".conf": "text/plain",
	".css": "text/css", ".csv": "text/csv", ".cpp": "text/x-c++", ".diff": "text/x-diff",
	".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".gif":  "image/gif", ".go": "text/x-go", ".gz": "application/gzip", ".h": "text/x-c",
	".htm": "text/html", ".html": "text/html", ".ico": "image/x-icon", ".java": "text/x-java",
	".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".js": "text/javascript", ".json": "application/json",
	".jsonl": "application/jsonl", ".log": "text/plain", ".markdown": "text/markdown", ".md": "text/markdown",
	".mjs": "text/javascript", ".mp3": "audio/mpeg", ".mp4": "video/mp4", ".ogg": "audio/ogg",
	".otf": "font/otf", ".patch": "text/x-diff", ".pdf": "application/pdf", ".png": "image/png",
	".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	".py":   "text/x-python", ".rb": "text/x-ruby", ".rs": "text/x-rust", ".sh": "application/x-sh",
	".sql": "application/sql", ".svg": "image/svg+xml", ".tar": "application/x-tar", ".toml": "application/toml",
	".ts": "text/x-typescript", ".tsv": "text/tab-separated-values", ".ttf": "font/ttf", ".txt": "text/plain",
	".wasm": "application/wasm", ".wav": "audio/wav", ".webm": "video/webm", ".webp": "image/webp",
	".woff": "font/woff", ".woff2": "font/woff2",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	".xml":  "application/xml", ".yaml": "application/yaml", ".yml": "application/yaml", ".zip": "application/zip",
}

// mimeType is the type of a file with the given name and content.
func mimeType(name string, content []byte) string {
	if t, ok := mimeTypes[strings.ToLower(path.Ext(name))]; ok {
		return t
	}
	if isText(content) {
		return "text/plain"
	}
	return "application/octet-stream"
}

// isText reports whether content can be sent as text, byte for byte.
func isText(content []byte) bool {
	return utf8.Valid(content) && bytes.IndexByte(content, 0) < 0
}

// fileContents is what a file holds: text when it is, else a blob.
func fileContents(uri, name string, content []byte) *ResourceContents {
	c := &ResourceContents{URI: uri, MIMEType: mimeType(name, content)}
	if isText(content) {
		c.Text = string(content)
	} else {
		c.Blob = content
	}
	return c
}

// hidden reports whether a name in a directory is one of those that begin with a
// dot, such as .git and .env.
func hidden(name string) bool { return strings.HasPrefix(name, ".") }

// kindOf names the kind of what is no regular file, for people.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "no regular file"
}

// readAtMost reads r to its end; ok is false when that is behind most bytes.
// size is how many there should be.
func readAtMost(r io.Reader, size, most int64) (content []byte, ok bool, err error) {
	buf := bytes.NewBuffer(make([]byte, 0, max(min(size, most), 0)+bytes.MinRead))
	n, err := buf.ReadFrom(io.LimitReader(r, most+1))
	return buf.Bytes(), n <= most, err
}
