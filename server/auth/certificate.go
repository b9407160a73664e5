package auth

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"millrace/server/reload"
)

const (
	maxNamesFile = 4 << 20
	maxNames     = 10_000
)

// Certificates is an Authenticator of clients that have shown a certificate, which
// TLS has verified. A request with an Authorization field is judged by that alone.
//
// A certificate has names: the URIs, DNS names and email addresses of its subject
// alternative name, and its subject. They are compared as a whole and byte by byte,
// never by their parts. The principal ends with the certificate. Any goroutine.
type Certificates struct {
	path string // "": every certificate counts
	set  atomic.Pointer[nameTable]
	next Authenticator
}

// A certName is one name of a certificate. Its kind is part of it, so that a DNS name
// never passes for a subject.
type certName struct{ kind, value string }

type nameTable struct {
	lines map[certName]*namedCert
	sum   reload.Sum
}

type namedCert struct {
	name certName
	line int // in the file: the first counts
	who  *Principal
}

// NewCertificates returns an Authenticator to which every verified certificate is a
// principal, whose ID is "cert:" and the first of its names, such as
// "cert:uri:spiffe://example.com/agent". next judges requests without a certificate
// and those with an Authorization field; nil refuses them.
func NewCertificates(next Authenticator) *Certificates { return &Certificates{next: next} }

// LoadCertificates is NewCertificates for certificates that a file names, a line for
// each; the first line that has a name of the certificate counts:
//
//	principal uri:<URI>|dns:<name>|email:<address>|subject:<distinguished name> [scope=<scope>]...
//
// A distinguished name is written as RFC 2253 has it (openssl x509 -noout -subject
// -nameopt RFC2253). What holds white space stands in double quotes, all of it:
// "subject:CN=agent 7,O=Example". The ID of the principal is "cert:" and the first
// word. Blank lines and lines that begin with '#' are skipped. A file that its group
// or others may write is refused, and one whose last line has no line break.
func LoadCertificates(path string, next Authenticator) (*Certificates, error) {
	c := &Certificates{path: path, next: next}
	if _, err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Reload reads the file again, and reports whether it has changed. On an error the old
// names stay. See reload.Watch.
func (c *Certificates) Reload() (changed bool, err error) {
	if c.path == "" {
		return false, nil
	}
	text, sum, err := reload.File{What: "names of certificates", Path: c.path, Max: maxNamesFile, Forbidden: 0o022}.ReadLines()
	if err != nil {
		return false, err
	}
	old := c.set.Load()
	if old != nil && old.sum == sum {
		return false, nil
	}
	table, err := parseNames(text)
	if err != nil {
		return false, fmt.Errorf("names of certificates: %s: %w", c.path, err)
	}
	table.sum = sum
	c.set.Store(table)
	return true, nil
}

// Authenticate implements Authenticator.
func (c *Certificates) Authenticate(ctx context.Context, cred Credentials) (*Principal, error) {
	if cred.Certificate == nil || cred.Authorization != "" {
		if c.next == nil {
			return nil, errNoCertificate
		}
		return c.next.Authenticate(ctx, cred)
	}
	return c.find(cred.Certificate)
}

// Recall implements Recaller. What a certificate is good for needs no waiting.
func (c *Certificates) Recall(authorization []byte, cert *x509.Certificate) (*Principal, error) {
	if cert != nil && len(authorization) == 0 {
		return c.find(cert)
	}
	if r, ok := c.next.(Recaller); ok {
		return r.Recall(authorization, cert)
	}
	if c.next == nil {
		return nil, errNoCertificate
	}
	return nil, nil
}

var (
	errNoCertificate  = fmt.Errorf("%w: a client certificate, and nothing else, is accepted here", ErrUnauthenticated)
	errUnknownName    = fmt.Errorf("%w: nothing names the certificate", ErrUnauthenticated)
	errNoName         = fmt.Errorf("%w: the certificate has no name", ErrUnauthenticated)
	errQuote          = errors.New("a quote stands inside of a word, or is not closed")
	errBadCertificate = errors.New(`want: principal uri:|dns:|email:|subject:<name> [scope=<scope>]...`)
)

// find maps a certificate to a principal.
func (c *Certificates) find(cert *x509.Certificate) (*Principal, error) {
	table := c.set.Load()
	if table == nil {
		for n := range names(cert) {
			return &Principal{ID: "cert:" + n.kind + ":" + n.value, Expires: cert.NotAfter}, nil
		}
		return nil, errNoName
	}
	line := table.find(cert)
	if line == nil {
		return nil, errUnknownName
	}
	who := *line.who
	who.Expires, who.from = cert.NotAfter, heldBy{c, cert}
	return &who, nil
}

// heldBy says what a principal has come with.
type heldBy struct {
	in   *Certificates
	cert *x509.Certificate
}

// Revoked implements Revoker: the file does not name the certificate any more, or
// otherwise than before.
func (c *Certificates) Revoked(p *Principal) bool {
	if h, ok := p.from.(heldBy); ok && h.in == c {
		now, err := c.find(h.cert)
		return err != nil || now.ID != p.ID || !slices.Equal(now.Scopes, p.Scopes)
	}
	r, ok := c.next.(Revoker)
	return ok && r.Revoked(p)
}

// find is the first line that has one of the names of cert.
func (t *nameTable) find(cert *x509.Certificate) (first *namedCert) {
	for n := range names(cert) {
		if l := t.lines[n]; l != nil && (first == nil || l.line < first.line) {
			first = l
		}
	}
	return first
}

// names yields the names of a certificate, the most telling first.
func names(cert *x509.Certificate) func(yield func(certName) bool) {
	return func(yield func(certName) bool) {
		for _, u := range cert.URIs {
			if !yield(certName{"uri", u.String()}) {
				return
			}
		}
		for _, d := range cert.DNSNames {
			if !yield(certName{"dns", d}) {
				return
			}
		}
		for _, m := range cert.EmailAddresses {
			if !yield(certName{"email", m}) {
				return
			}
		}
		if s := subjectName(cert); s != "" {
			yield(certName{"subject", s})
		}
	}
}

func parseNames(text []byte) (*nameTable, error) {
	t := &nameTable{lines: map[certName]*namedCert{}}
	scan := bufio.NewScanner(bytes.NewReader(text))
	for n, line := range lines(scan) {
		c, err := parseNameLine(line)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", n, err)
		case t.lines[c.name] != nil:
			return nil, fmt.Errorf("line %d: %s:%s was there before", n, c.name.kind, c.name.value)
		case len(t.lines) == maxNames:
			return nil, fmt.Errorf("more than %d names", maxNames)
		}
		c.line = n
		t.lines[c.name] = c
	}
	return t, scan.Err()
}

func parseNameLine(line string) (*namedCert, error) {
	words, err := splitWords(line)
	if err != nil {
		return nil, err
	}
	if err := checkWord("principal", words[0]); err != nil {
		return nil, err
	}
	if len(words) < 2 {
		return nil, errBadCertificate
	}
	kind, value, ok := strings.Cut(words[1], ":")
	if !ok || value == "" || !slices.Contains([]string{"uri", "dns", "email", "subject"}, kind) {
		return nil, errBadCertificate
	}
	c := &namedCert{name: certName{kind, value}, who: &Principal{ID: "cert:" + words[0]}}
	for _, w := range words[2:] {
		scope, ok := strings.CutPrefix(w, "scope=")
		if !ok {
			return nil, fmt.Errorf("unknown setting %q: there is scope=", w)
		}
		if err := checkScope(scope); err != nil {
			return nil, err
		}
		c.who.Scopes = append(c.who.Scopes, scope)
	}
	return c, nil
}

// splitWords splits a line at white space outside of double quotes, which stand
// around whole words.
func splitWords(line string) (words []string, err error) {
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimLeft(line, " \t") {
		if line[0] != '"' {
			n := strings.IndexAny(line, " \t")
			if n < 0 {
				n = len(line)
			}
			if strings.Contains(line[:n], `"`) {
				return nil, errQuote
			}
			words, line = append(words, line[:n]), line[n:]
			continue
		}
		word, rest, ok := strings.Cut(line[1:], `"`)
		if !ok || rest != "" && rest[0] != ' ' && rest[0] != '\t' {
			return nil, errQuote
		}
		words, line = append(words, word), rest
	}
	return words, nil
}
