package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"millrace/server"
	"millrace/server/cert"
)

// tlsFlags are about TLS.
type tlsFlags struct {
	TLSListen      []string `name:"tls-listen" placeholder:"HOST:PORT" help:"Address for HTTP and WebSocket on TLS (repeatable)."`
	TLSCert        []string `name:"tls-cert" placeholder:"FILE" help:"Certificate in PEM, with the chain to its authority (repeatable: a client gets the one for the name it asks for). Read again when it changes, and on SIGHUP."`
	TLSKey         []string `name:"tls-key" placeholder:"FILE" help:"Key of each certificate, in the same order. Default: in the same file."`
	TLSClientCA    string   `name:"tls-client-ca" placeholder:"FILE" help:"Authorities of client certificates, in PEM. Who shows one is known by it."`
	TLSClientAuth  string   `name:"tls-client-auth" default:"require" enum:"require,optional" help:"Whether clients need a certificate: ${enum}. Default: ${default}."`
	TLSClientNames string   `name:"tls-client-names" placeholder:"FILE" help:"Who the holders of certificates are, one on a line: PRINCIPAL uri:|dns:|email:|subject:NAME [scope=SCOPE]... Default: every certificate counts, by its first name."`
}

// renewSoon is when an operator wants to hear about a certificate that ends.
const renewSoon = 7 * 24 * time.Hour

// listen adds the listeners of TLS to srv. The files are nil when there is none.
func (f *tlsFlags) listen(srv *server.Server, log logger) (*cert.Files, error) {
	if err := f.check(); err != nil || len(f.TLSListen) == 0 {
		return nil, err
	}
	cfg := cert.Config{ClientCA: f.TLSClientCA, ClientOptional: f.TLSClientAuth == "optional"}
	for i, path := range f.TLSCert {
		p := cert.Pair{Cert: path, Key: path}
		if len(f.TLSKey) > 0 {
			p.Key = f.TLSKey[i]
		}
		cfg.Pairs = append(cfg.Pairs, p)
	}
	files, err := cert.Load(cfg)
	if err != nil {
		return nil, err
	}
	for _, a := range f.TLSListen {
		srv.Listeners = append(srv.Listeners, server.Listener{Addr: a, TLS: files.TLS()})
	}
	return files, nil
}

// renewed reads the files again, and says once a day when a certificate ends soon.
func renewed(files *cert.Files, log logger) func() (bool, error) {
	var told time.Time
	return func() (bool, error) {
		changed, err := files.Reload()
		if end := files.Expires(); time.Until(end) < renewSoon && time.Since(told) > 24*time.Hour {
			told = time.Now()
			log.Warn("a certificate ends soon, or has ended", "expires", end)
		}
		return changed, err
	}
}

func (f *tlsFlags) check() error {
	tls := len(f.TLSListen) > 0
	if err := unmet([]need{
		{"tls-listen", tls, len(f.TLSCert) > 0, "--tls-cert"},
		{"tls-cert", len(f.TLSCert) > 0, tls, "--tls-listen"},
		{"tls-key", len(f.TLSKey) > 0, len(f.TLSCert) > 0, "--tls-cert"},
		{"tls-client-ca", f.TLSClientCA != "", tls, "--tls-listen"},
		{"tls-client-auth", f.TLSClientAuth == "optional", f.TLSClientCA != "", "--tls-client-ca"},
		{"tls-client-names", f.TLSClientNames != "", f.TLSClientCA != "", "--tls-client-ca"},
	}); err != nil {
		return err
	}
	if n := len(f.TLSKey); n > 0 && n != len(f.TLSCert) {
		return usageError{fmt.Errorf("%d --tls-key for %d --tls-cert: want one for each, in the same order", n, len(f.TLSCert))}
	}
	return nil
}

// proxyFlags say whose word about clients counts.
type proxyFlags struct {
	TrustedProxies []string `placeholder:"CIDR|unix" help:"Proxies whose X-Forwarded-For is believed; unix for those that connect to a unix socket."`
	ProxyProtocol  []string `placeholder:"CIDR|unix" help:"Proxies that begin each connection with a PROXY header, of version 1 or 2, which names the client; unix for those that connect to a unix socket. Without the header their connections are closed."`
}

// apply adds what the flags say to srv and its listeners.
func (f *proxyFlags) apply(srv *server.Server) (err error) {
	if srv.TrustedProxies, srv.TrustUnixProxies, err = parsePrefixes("trusted-proxies", f.TrustedProxies); err != nil {
		return err
	}
	from, unix, err := parsePrefixes("proxy-protocol", f.ProxyProtocol)
	if err != nil {
		return err
	}
	sockets, others := 0, 0
	for i := range srv.Listeners {
		l := &srv.Listeners[i]
		if strings.HasPrefix(l.Addr, "unix:") {
			sockets++
			l.ProxyProtocol = unix
			continue
		}
		others++
		if len(from) > 0 {
			l.ProxyProtocol, l.ProxyFrom = true, from
		}
	}
	switch {
	case (unix || srv.TrustUnixProxies) && sockets == 0:
		return usageError{errors.New("a proxy on a unix socket means nothing without one: --listen unix:/path")}
	case len(from) > 0 && others == 0:
		return usageError{errors.New("--proxy-protocol with addresses means nothing when there are only unix sockets: say unix")}
	}
	return nil
}

// parsePrefixes reads addresses, prefixes, and the word unix.
func parsePrefixes(flag string, list []string) (prefixes []netip.Prefix, unix bool, err error) {
	for _, s := range list {
		if s == "unix" {
			unix = true
			continue
		}
		p, err := netip.ParsePrefix(s)
		if a, aerr := netip.ParseAddr(s); aerr == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if cmp.Or(err, notMapped(p)) != nil {
			return nil, false, usageError{fmt.Errorf("--%s: %q is neither an address, nor a prefix such as 10.0.0.0/8, nor unix", flag, s)}
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, unix, nil
}

// notMapped refuses IPv4 written as IPv6: addresses are compared as what they are.
func notMapped(p netip.Prefix) error {
	if p.Addr().Is4In6() {
		return errors.New("mapped")
	}
	return nil
}
