// Package cert holds the certificates that a server shows on TLS, and the authorities
// whose clients it lets in, as files have them. They may be renewed while it runs.
package cert

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"millrace/server/reload"
)

const (
	maxFile  = 1 << 20
	maxPairs = 256
)

// Pair names two PEM files: a certificate with the chain that leads to its authority,
// and its key. Both may be one file.
type Pair struct{ Cert, Key string }

// Config says which files there are.
type Config struct {
	// Pairs are the certificates; at least one. A client gets the first that is good
	// for the name it asks for (SNI) and for its algorithms, or else the first of all.
	Pairs []Pair
	// ClientCA is a PEM file of the authorities of clients. "": no client is asked for
	// a certificate.
	ClientCA string
	// ClientOptional lets clients in that show none. Those of other authorities are
	// never let in.
	ClientOptional bool
}

// Files is what is in the files of a Config. Any goroutine.
type Files struct {
	cfg Config
	set atomic.Pointer[set]
}

type set struct {
	tls *tls.Config
	sum reload.Sum
}

// Load reads the files. A key that every user may read, or others may change, is
// refused, as is one that does not belong to its certificate.
func Load(cfg Config) (*Files, error) {
	switch n := len(cfg.Pairs); {
	case n == 0:
		return nil, errors.New("TLS needs a certificate and its key")
	case n > maxPairs:
		return nil, fmt.Errorf("%d certificates: more than %d", n, maxPairs)
	}
	f := &Files{cfg: cfg}
	if _, err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// TLS is a configuration that always uses what was read last. Connections that are
// open keep what they have begun with. A session of TLS that began before a change is
// resumed only if the certificate of its client is still good.
func (f *Files) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return f.set.Load().tls, nil },
	}
}

// Expires is when the first of the certificates ends.
func (f *Files) Expires() time.Time {
	var first time.Time
	for _, c := range f.set.Load().tls.Certificates {
		if first.IsZero() || c.Leaf.NotAfter.Before(first) {
			first = c.Leaf.NotAfter
		}
	}
	return first
}

// Reload reads the files again, and reports whether anything has changed. On an error,
// which a certificate makes whose new key has yet to be written, all stays as it was.
// See reload.Watch.
func (f *Files) Reload() (changed bool, err error) {
	t, err := f.cfg.read()
	if err != nil {
		return false, err
	}
	if old := f.set.Load(); old != nil && old.sum == t.sum {
		return false, nil
	}
	cfg, err := t.parse(&f.cfg)
	if err != nil {
		return false, err
	}
	f.set.Store(&set{cfg, t.sum})
	return true, nil
}

// texts is what stands in the files of a Config.
type texts struct {
	pairs       []pairText
	authorities []byte
	sum         reload.Sum // of all
}

type pairText struct{ chain, key []byte }

func (c *Config) read() (t texts, err error) {
	all := sha256.New()
	read := func(what, path string, forbidden fs.FileMode) (text []byte) {
		if err != nil {
			return nil
		}
		var sum reload.Sum
		text, sum, err = reload.File{What: what, Path: path, Max: maxFile, Forbidden: forbidden}.Read()
		all.Write(sum[:])
		return text
	}
	for _, p := range c.Pairs {
		chain := read("certificate", p.Cert, 0o022)
		t.pairs = append(t.pairs, pairText{chain, read("key of a certificate", p.Key, 0o027)})
	}
	if c.ClientCA != "" {
		t.authorities = read("authorities of clients", c.ClientCA, 0o022)
	}
	t.sum = reload.Sum(all.Sum(nil))
	return t, err
}

func (t *texts) parse(c *Config) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	for i, text := range t.pairs {
		pair, err := parsePair(text.chain, text.key)
		if err != nil {
			return nil, fmt.Errorf("certificate %s with key %s: %w", c.Pairs[i].Cert, c.Pairs[i].Key, err)
		}
		cfg.Certificates = append(cfg.Certificates, pair)
	}
	if c.ClientCA == "" {
		return cfg, nil
	}
	cfg.ClientCAs = x509.NewCertPool()
	if !cfg.ClientCAs.AppendCertsFromPEM(t.authorities) {
		return nil, fmt.Errorf("authorities of clients: %s holds no certificate in PEM", c.ClientCA)
	}
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	if c.ClientOptional {
		cfg.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return cfg, nil
}

// parsePair reads a certificate and its key. Neither is quoted in an error.
func parsePair(chain, key []byte) (tls.Certificate, error) {
	if !bytes.Contains(chain, []byte("-----BEGIN CERTIFICATE-----")) {
		return tls.Certificate{}, errors.New("no certificate in PEM")
	}
	if bytes.Contains(key, []byte("ENCRYPTED")) {
		return tls.Certificate{}, errors.New("the key is encrypted: nobody is there to ask for its password")
	}
	return tls.X509KeyPair(chain, key)
}
