package mcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"millrace/codec/jsonrpc"
)

// Defaults of Directory.
const (
	DefaultMaxFileSize  = 4 << 20
	DefaultMaxDirectory = 1000
)

const mimeURIList = "text/uri-list"

// Directory are the files under a directory, as resources.
type Directory struct {
	Meta        Meta
	Annotations *Annotations
	// URI is what the URIs of the files begin with, such as "file:///project/": it
	// ends with a slash.
	URI string
	// Root is where the files are. Nothing outside of it can be reached, through
	// links neither. It must stay open.
	Root        *os.Root
	Name        string
	Title       string
	Description string
	Icons       []Icon

	// MaxFileSize is how many bytes a file may have to be read. Default:
	// DefaultMaxFileSize.
	MaxFileSize int
	// MaxEntries is how many names of a directory are shown. Default:
	// DefaultMaxDirectory.
	MaxEntries int
	// Hidden serves names that begin with a dot, too, such as .git and .env.
	Hidden bool
	// List puts the files that are directly in Root into resources/list: those that
	// are there when AddDirectory is called, which may be called again.
	List bool
}

// AddDirectory serves the regular files under a directory by the template
// URI{+path}, or replaces the directory with the same URI. A file is text when it
// is valid UTF-8, else a blob; a directory is the list of the URIs of its files
// and directories (text/uri-list), those of directories ending with a slash.
// What is no file, such as a device, does not exist; nor do names that could
// mean something else, such as "..".
//
// d must not be changed afterwards. ServerOptions.ResourceTemplateFilter decides
// whether the directory exists for a caller. AddDirectory panics when d cannot
// be offered; the error is that of reading Root for List.
func (s *Server) AddDirectory(d *Directory) error {
	served, err := newServedDirectory(s, d)
	if err != nil {
		panic(fmt.Sprintf("mcp: AddDirectory %q: %v", d.URI, err))
	}
	t, err := newTemplate(&ResourceTemplate{
		URITemplate: served.template(), Name: d.Name, Title: d.Title, Description: d.Description,
		Annotations: d.Annotations, Icons: d.Icons, Meta: d.Meta,
	}, served.read)
	if err != nil {
		panic(fmt.Sprintf("mcp: AddDirectory %q: %v", d.URI, err))
	}
	var files []*serverResource
	if d.List {
		if files, err = served.list(); err != nil {
			return fmt.Errorf("mcp: AddDirectory %q: %w", d.URI, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlist(t.key())
	s.templates[t.key()] = t
	for _, f := range files {
		if s.resources[f.key()] == nil { // what was added by itself counts
			s.resources[f.key()] = f
			s.listed[t.key()] = append(s.listed[t.key()], f.key())
		}
	}
	s.changed(resourceKind)
	return nil
}

// RemoveDirectories removes the directories that were added with the given
// URIs; unknown ones are ignored.
func (s *Server) RemoveDirectories(uris ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.templates)
	for _, uri := range uris {
		key := uri + pathVariable
		s.unlist(key)
		delete(s.templates, key)
	}
	if len(s.templates) != before {
		s.changed(resourceKind)
	}
}

// unlist removes the resources that a directory has listed. s.mu is held.
func (s *Server) unlist(template string) {
	for _, uri := range s.listed[template] {
		delete(s.resources, uri)
	}
	delete(s.listed, template)
}

// pathVariable ends the template of a directory.
const pathVariable = "{+path}"

// servedDirectory reads files for clients.
type servedDirectory struct {
	Directory
	log *slog.Logger
}

func newServedDirectory(s *Server, d *Directory) (*servedDirectory, error) {
	v := &servedDirectory{Directory: *d, log: s.log}
	v.MaxFileSize = cmp.Or(v.MaxFileSize, DefaultMaxFileSize)
	v.MaxEntries = cmp.Or(v.MaxEntries, DefaultMaxDirectory)
	switch {
	case d.Root == nil:
		return nil, errors.New("Root is nil: open one with os.OpenRoot")
	case d.MaxFileSize < 0 || d.MaxEntries < 0:
		return nil, fmt.Errorf("MaxFileSize %d and MaxEntries %d must not be negative", d.MaxFileSize, d.MaxEntries)
	case !strings.HasSuffix(d.URI, "/") || strings.ContainsAny(d.URI, "{}?#"):
		return nil, errors.New(`URI must end with a slash and have no query or braces, such as "file:///project/"`)
	}
	return v, checkURI(d.URI)
}

func (d *servedDirectory) template() string { return d.URI + pathVariable }

// read is a ResourceHandler.
func (d *servedDirectory) read(ctx context.Context, req *ReadResourceRequest) (*ReadResourceResult, error) {
	uri := req.Params.URI
	name, ok := d.path(uri)
	if !ok {
		return nil, ResourceNotFoundError(uri)
	}
	c, err := d.contents(uri, name)
	switch {
	case err == nil:
		return &ReadResourceResult{Contents: []*ResourceContents{c}}, nil
	case isMissing(err):
		return nil, ResourceNotFoundError(uri)
	}
	if e, ok := errors.AsType[*jsonrpc.Error](err); ok {
		return nil, e
	}
	d.log.LogAttrs(ctx, slog.LevelWarn, "mcp: a file of a directory cannot be read",
		slog.String("directory", d.URI), slog.String("err", err.Error()))
	return nil, errors.New("the file cannot be read")
}

// errMissing is for what clients are told does not exist.
var errMissing = errors.New("no file that is served")

// isMissing reports whether an error means that there is no such file for
// clients. os.Root has no error of its own for a link that leads out of it, so
// that every error of a path is one; what is left is trouble of the machine.
func isMissing(err error) bool {
	for _, trouble := range [...]error{syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ESTALE, os.ErrClosed} {
		if errors.Is(err, trouble) {
			return false
		}
	}
	_, ok := errors.AsType[*fs.PathError](err)
	return ok || errors.Is(err, errMissing)
}

// path is where in Root a URI leads: "." or clean names with slashes between
// them. It is false for what is no such path. A slash at the end stays.
func (d *servedDirectory) path(uri string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(uri, d.URI)
	if !ok || strings.ContainsAny(rest, "?#") {
		return "", false
	}
	if rest == "" {
		return "./", true
	}
	trimmed, isDir := strings.CutSuffix(rest, "/")
	segments := strings.Split(trimmed, "/")
	for i, escaped := range segments {
		segment, err := url.PathUnescape(escaped)
		if err != nil || !d.shows(segment) {
			return "", false
		}
		segments[i] = segment
	}
	name = strings.Join(segments, "/")
	if isDir {
		name += "/"
	}
	return name, true
}

// shows reports whether a name, one segment of a path, can be served.
func (d *servedDirectory) shows(segment string) bool {
	return segment != "" && segment != "." && segment != ".." && utf8.ValidString(segment) &&
		!strings.ContainsAny(segment, "/\\\x00") && (d.Hidden || !hidden(segment))
}

// contents reads what is at name, which ends with a slash if it must be a
// directory. Its mode counts before it is opened, because opening a device does
// something, and afterwards, because it may have been replaced; a named pipe is
// not waited for.
func (d *servedDirectory) contents(uri, name string) (*ResourceContents, error) {
	name, mustBeDir := strings.CutSuffix(name, "/")
	info, err := d.Root.Stat(name)
	if err == nil {
		err = served(info, mustBeDir)
	}
	if err != nil {
		return nil, err
	}
	f, err := d.Root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err == nil {
		err = served(info, mustBeDir)
	}
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return d.directory(uri, name, f)
	}
	content, ok, err := readAtMost(f, info.Size(), int64(d.MaxFileSize))
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, &jsonrpc.Error{
			Code:    jsonrpc.CodeInvalidParams,
			Message: fmt.Sprintf("the file has %d bytes or more; %d can be read", max(info.Size(), int64(d.MaxFileSize)+1), d.MaxFileSize),
		}
	}
	return fileContents(uri, name, content), nil
}

// served is an error for what is neither a directory nor, unless it must be one,
// a regular file.
func served(info fs.FileInfo, mustBeDir bool) error {
	if info.IsDir() || info.Mode().IsRegular() && !mustBeDir {
		return nil
	}
	return errMissing
}

// directory lists the children of an open directory.
func (d *servedDirectory) directory(uri, name string, f *os.File) (*ResourceContents, error) {
	children, more, err := d.children(name, f)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	if more {
		fmt.Fprintf(&b, "# There is more: only %d names were looked at.\r\n", d.MaxEntries)
	}
	base := strings.TrimSuffix(uri, "/")
	for _, c := range children {
		b.WriteString(base + escapePath(c.Name()))
		if c.IsDir() {
			b.WriteByte('/')
		}
		b.WriteString("\r\n")
	}
	return &ResourceContents{URI: uri, MIMEType: mimeURIList, Text: b.String()}, nil
}

// children are the regular files and directories in a directory, sorted. At most
// MaxEntries names are looked at; more tells whether there are others.
func (d *servedDirectory) children(name string, f *os.File) (found []fs.FileInfo, more bool, err error) {
	entries, err := f.ReadDir(d.MaxEntries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	if more = len(entries) > d.MaxEntries; more {
		entries = entries[:d.MaxEntries]
	}
	for _, e := range entries {
		if !d.shows(e.Name()) {
			continue
		}
		// Stat follows links, inside of the root.
		if info, err := d.Root.Stat(path.Join(name, e.Name())); err == nil && served(info, false) == nil {
			found = append(found, child{info, e.Name()})
		}
	}
	slices.SortFunc(found, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	return found, more, nil
}

// child is a FileInfo with the name of the link that led to it.
type child struct {
	fs.FileInfo
	name string
}

func (c child) Name() string { return c.name }

// list makes resources of the files directly in Root.
func (d *servedDirectory) list() ([]*serverResource, error) {
	f, err := d.Root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	children, _, err := d.children(".", f)
	if err != nil {
		return nil, err
	}
	var files []*serverResource
	for _, c := range children {
		if c.IsDir() {
			continue
		}
		name := c.Name()
		r, err := newResource(&Resource{
			URI: strings.TrimSuffix(d.URI, "/") + escapePath(name), Name: name, Size: c.Size(),
			MIMEType: mimeTypes[strings.ToLower(path.Ext(name))],
		}, d.read)
		if err != nil {
			return nil, err
		}
		files = append(files, r)
	}
	return files, nil
}
