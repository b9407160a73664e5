package auth

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// clientCert is a certificate with names of every kind that is wanted.
func clientCert(t *testing.T, subject pkix.Name, uri, dns, email string) *x509.Certificate {
	t.Helper()
	raw, err := asn1.Marshal(subject.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{RawSubject: raw, NotAfter: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}
	if uri != "" {
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		c.URIs = []*url.URL{u}
	}
	if dns != "" {
		c.DNSNames = strings.Fields(dns)
	}
	if email != "" {
		c.EmailAddresses = []string{email}
	}
	return c
}

var agent = pkix.Name{CommonName: "agent 7", Organization: []string{"Example, Inc."}}

func TestCertificates(t *testing.T) {
	c := NewCertificates(nil)
	for _, tt := range []struct {
		cert *x509.Certificate
		want string
	}{
		{clientCert(t, agent, "spiffe://example.com/a", "a.example.com", "a@example.com"), "cert:uri:spiffe://example.com/a"},
		{clientCert(t, agent, "", "a.example.com b.example.com", "a@example.com"), "cert:dns:a.example.com"},
		{clientCert(t, agent, "", "", "a@example.com"), "cert:email:a@example.com"},
		{clientCert(t, agent, "", "", ""), `cert:subject:CN=agent 7,O=Example\, Inc.`},
		{clientCert(t, pkix.Name{}, "", "", ""), ""},
		{nil, ""},
	} {
		p, err := c.Authenticate(t.Context(), Credentials{Certificate: tt.cert})
		if tt.want == "" {
			if !errors.Is(err, ErrUnauthenticated) {
				t.Errorf("without a name: %+v, %v", p, err)
			}
			continue
		}
		if err != nil || p.ID != tt.want || !p.Expires.Equal(tt.cert.NotAfter) || len(p.Scopes) > 0 {
			t.Errorf("%+v, %v; want %s", p, err, tt.want)
			continue
		}
		r, err := c.Recall(nil, tt.cert)
		if err != nil || r.ID != p.ID || c.Revoked(p) {
			t.Errorf("recalled as %+v, %v", r, err)
		}
	}
	if _, err := c.Recall(nil, nil); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("nothing at all is recalled: %v", err)
	}
}

func TestCertificatesFile(t *testing.T) {
	path := keyFile(t, `# agents
first  uri:spiffe://example.com/a scope=read scope=write
second dns:b.example.com
third  "subject:CN=agent 7,O=Example\, Inc." scope=read
`)
	c, err := LoadCertificates(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	both := clientCert(t, agent, "spiffe://example.com/a", "b.example.com", "")
	named := clientCert(t, agent, "", "", "")
	for _, tt := range []struct {
		cert *x509.Certificate
		want string
	}{
		{both, "cert:first [read write]"},
		{clientCert(t, agent, "spiffe://example.com/z", "b.example.com", ""), "cert:second []"}, // above the third line
		{named, "cert:third [read]"},
		{clientCert(t, pkix.Name{CommonName: "agent 7"}, "", "", ""), ""},                     // a part of a subject
		{clientCert(t, pkix.Name{CommonName: "b.example.com"}, "", "", ""), ""},               // a subject is no DNS name
		{clientCert(t, pkix.Name{}, "", "B.example.com b.example.com.", "b.example.com"), ""}, // nor are these
		{clientCert(t, pkix.Name{CommonName: `agent 7,O=Example\, Inc.`}, "", "", ""), ""},    // escaped
		{clientCert(t, pkix.Name{}, "spiffe://example.com/a/b", "x.b.example.com", "a@b.c"), ""},
	} {
		p, err := c.Authenticate(t.Context(), Credentials{Certificate: tt.cert})
		got := ""
		if err == nil {
			got = fmt.Sprint(p.ID, " ", p.Scopes)
		} else if !errors.Is(err, ErrUnauthenticated) {
			t.Error(err)
		}
		if got != tt.want {
			t.Errorf("%v %v %v: %q, want %q", tt.cert.URIs, tt.cert.DNSNames, subjectName(tt.cert), got, tt.want)
		}
	}
	first, _ := c.Recall(nil, both)
	third, _ := c.Recall(nil, named)
	if err := os.WriteFile(path, []byte("first uri:spiffe://example.com/a scope=read scope=write\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := c.Reload(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if changed, err := c.Reload(); changed || err != nil {
		t.Errorf("the same file again: %v, %v", changed, err)
	}
	if c.Revoked(first) || !c.Revoked(third) || c.Revoked(&Principal{ID: "cert:third"}) {
		t.Errorf("revoked: first %v, third %v; want the third alone", c.Revoked(first), c.Revoked(third))
	}
	if err := os.WriteFile(path, []byte("first uri:spiffe://example.com/a scope=read\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Reload(); err != nil || !c.Revoked(first) {
		t.Errorf("a principal keeps scopes that were taken away: %v", err)
	}
	if err := os.WriteFile(path, []byte("first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := c.Reload(); changed || err == nil || c.set.Load().find(both) == nil {
		t.Errorf("a broken file: %v, %v", changed, err)
	}
}

func TestCertificatesFileErrors(t *testing.T) {
	for text, want := range map[string]string{
		"a":                         "line 1: want: principal uri:",
		"a b.example.com":           "line 1: want: principal",
		"a ip:192.0.2.1":            "line 1: want: principal",
		"a dns:":                    "line 1: want: principal",
		"a/b dns:c":                 `line 1: principal "a/b"`,
		"a dns:c role=x":            `line 1: unknown setting "role=x"`,
		"a dns:c scope=":            "line 1: a scope is empty",
		"a dns:c\n\nb dns:c":        "line 3: dns:c was there before",
		`a "subject:CN=a b`:         "line 1: a quote stands inside",
		`a dns:b"c`:                 "line 1: a quote stands inside",
		`a "subject:CN=a"b scope=c`: "line 1: a quote stands inside",
		`"" dns:c`:                  `line 1: principal ""`,
	} {
		if _, err := LoadCertificates(keyFile(t, text), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	var b strings.Builder
	for i := range maxNames + 1 {
		fmt.Fprintf(&b, "a dns:n%d\n", i)
	}
	all := b.String()
	last := strings.LastIndexByte(strings.TrimSpace(all), '\n')
	if _, err := LoadCertificates(keyFile(t, all[:last+1]), nil); err != nil {
		t.Errorf("%d names: %v", maxNames, err)
	}
	if _, err := LoadCertificates(keyFile(t, all), nil); err == nil || !strings.Contains(err.Error(), "more than 10000 names") {
		t.Errorf("one more: %v", err)
	}
	if _, err := LoadCertificates(rawFile(t, "a dns:c.example"), nil); err == nil || !strings.Contains(err.Error(), "no line break") {
		t.Errorf("half a line: %v", err)
	}
	path := keyFile(t, "a dns:c\n")
	if err := os.Chmod(path, 0o620); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadCertificates(path, nil); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others may write: %v", err)
	}
}

// TestSubjectName: two subjects have one name only if they are the same, and it is the
// one that openssl x509 -nameopt RFC2253,-esc_msb,utf8 prints.
func TestSubjectName(t *testing.T) {
	oid := func(s string) asn1.ObjectIdentifier {
		var id asn1.ObjectIdentifier
		for _, n := range strings.Split(s, ".") {
			i, err := strconv.Atoi(n)
			if err != nil {
				t.Fatal(err)
			}
			id = append(id, i)
		}
		return id
	}
	cn, o, mail, dc := oid("2.5.4.3"), oid("2.5.4.10"), oid("1.2.840.113549.1.9.1"), oid("0.9.2342.19200300.100.1.25")
	for _, tt := range []struct {
		rdns pkix.RDNSequence
		want string
	}{
		{nil, ""},
		{pkix.RDNSequence{{{Type: o, Value: "Example"}}, {{Type: cn, Value: "admin"}}}, "CN=admin,O=Example"},
		{pkix.RDNSequence{{{Type: cn, Value: "admin"}}, {{Type: o, Value: "Example"}}}, "O=Example,CN=admin"},
		{pkix.RDNSequence{{{Type: o, Value: "Example"}}, {{Type: cn, Value: "mallory"}}, {{Type: cn, Value: "admin"}}}, "CN=admin,CN=mallory,O=Example"},
		{pkix.RDNSequence{{{Type: cn, Value: "admin"}, {Type: o, Value: "Example"}}}, "CN=admin+O=Example"},
		{pkix.RDNSequence{{{Type: cn, Value: "admin,O=Example"}}}, `CN=admin\,O=Example`},
		{pkix.RDNSequence{{{Type: cn, Value: "# a\\\"+;<> "}}}, `CN=\# a\\\"\+\;\<\>\ `},
		{pkix.RDNSequence{{{Type: cn, Value: "a\nb\x7f"}}}, `CN=a\0Ab\7F`},
		{pkix.RDNSequence{{{Type: cn, Value: "Grüße"}}}, "CN=Grüße"},
		{pkix.RDNSequence{{{Type: dc, Value: "com"}}, {{Type: dc, Value: "example"}}, {{Type: mail, Value: "a@b.c"}}}, "emailAddress=a@b.c,DC=example,DC=com"},
		{pkix.RDNSequence{{{Type: oid("1.2.3"), Value: "x"}}}, "1.2.3=#130178"},
	} {
		raw, err := asn1.Marshal(tt.rdns)
		if err != nil {
			t.Fatal(err)
		}
		if got := subjectName(&x509.Certificate{RawSubject: raw}); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.rdns, got, tt.want)
		}
	}
	if got := subjectName(&x509.Certificate{RawSubject: []byte("junk")}); got != "" {
		t.Errorf("junk: %q", got)
	}
}

// TestCertificatesAndTokens: a token beats a certificate, for better or worse.
func TestCertificatesAndTokens(t *testing.T) {
	key, line := newKey(t, "ops")
	keys, err := LoadKeys(keyFile(t, line))
	if err != nil {
		t.Fatal(err)
	}
	c := NewCertificates(NewBearer(keys))
	cert := clientCert(t, agent, "", "a.example.com", "")
	ask := func(authorization string, cert *x509.Certificate) string {
		p, err := c.Authenticate(t.Context(), Credentials{Authorization: authorization, Certificate: cert})
		if err != nil {
			return err.Error()
		}
		var field []byte
		if authorization != "" {
			field = []byte(authorization)
		}
		if r, err := c.Recall(field, cert); err != nil || r == nil || r.ID != p.ID {
			t.Errorf("%s is recalled as %+v, %v", p.ID, r, err)
		}
		if c.Revoked(p) {
			t.Errorf("%s is revoked", p.ID)
		}
		return p.ID
	}
	for _, tt := range []struct {
		authorization string
		cert          *x509.Certificate
		want          string
	}{
		{"", cert, "cert:dns:a.example.com"},
		{"Bearer " + key, cert, "key:ops"},
		{"Bearer " + key, nil, "key:ops"},
		{"Bearer mrk_bad", cert, "no such API key"},
		{"Basic abc", cert, "no bearer token"},
		{"", nil, ErrUnauthenticated.Error()},
	} {
		if got := ask(tt.authorization, tt.cert); !strings.Contains(got, tt.want) {
			t.Errorf("%q with %v: %s, want %s", tt.authorization, tt.cert != nil, got, tt.want)
		}
	}
	// An empty field is none.
	if p, err := c.Recall([]byte{}, cert); err != nil || p.ID != "cert:dns:a.example.com" {
		t.Errorf("an empty field: %+v, %v", p, err)
	}
}

// FuzzCertificateNames: what is read from the file comes back when it is written again.
func FuzzCertificateNames(f *testing.F) {
	f.Add("a dns:b scope=c")
	f.Add(`a "subject:CN=a b,O=c" scope=d`)
	f.Add("# nothing\n\na uri:x://y\nb email:a@b")
	f.Fuzz(func(t *testing.T, text string) {
		table, err := parseNames([]byte(text))
		if err != nil {
			return
		}
		var b strings.Builder
		for _, l := range table.lines {
			fmt.Fprintf(&b, "%s \"%s:%s\"", strings.TrimPrefix(l.who.ID, "cert:"), l.name.kind, l.name.value)
			for _, s := range l.who.Scopes {
				b.WriteString(" scope=" + s)
			}
			b.WriteString("\n")
		}
		again, err := parseNames([]byte(b.String()))
		if err != nil || len(again.lines) != len(table.lines) {
			t.Fatalf("%q becomes %q: %v", text, b.String(), err)
		}
	})
}
