package auth

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

const (
	fetchTimeout = 5 * time.Second
	fetchLimit   = 1 << 20
)

// fetcher asks one issuer. What the issuer's own documents point at may not lead
// into a private network unless the operator has named that host: an issuer that
// was broken into must not make this server its door (SSRF).
type fetcher struct {
	client  *http.Client
	trusted map[string]bool // hosts that the operator has named
}

func newFetcher(named ...string) *fetcher {
	f := &fetcher{trusted: map[string]bool{}}
	for _, s := range named {
		if u, err := url.Parse(s); err == nil && u.Host != "" {
			f.trusted[strings.ToLower(u.Hostname())] = true
		}
	}
	f.client = &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			DialContext:         f.dial,
			TLSHandshakeTimeout: fetchTimeout,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
			MaxIdleConns:        4, MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("redirects are not followed") },
	}
	return f
}

// dial judges the address after the name was resolved, so that no name can change
// its meaning in between.
func (f *fetcher) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	named := f.trusted[strings.ToLower(host)]
	d := net.Dialer{Timeout: fetchTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return judgeAddr(ap.Addr(), named)
	}}
	return d.DialContext(ctx, network, addr)
}

// judgeAddr refuses addresses that no issuer has: link-local ones hold the
// metadata services of clouds. Those of a private network are for hosts that the
// operator has named.
func judgeAddr(a netip.Addr, named bool) error {
	a = a.Unmap()
	switch {
	case a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast():
	case named:
		return nil
	case a.IsLoopback() || a.IsPrivate() || !a.IsGlobalUnicast():
	case within(a, notPublic):
	default:
		return nil
	}
	return fmt.Errorf("address %s is not allowed here", a)
}

// notPublic are ranges that look public and lead elsewhere: shared address space
// (RFC 6598), NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056), Teredo (RFC 4380), and
// site-local addresses (RFC 3879).
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("fec0::/10"), netip.MustParsePrefix("::/96"),
}

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// checkURL allows https, and http to loopback for tests and for a proxy beside us.
func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a URL", s)
	case u.User != nil:
		return errors.New("a URL must not hold a password")
	case u.Host == "":
		return fmt.Errorf("%q has no host", s)
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && isLoopbackHost(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%q must begin with https://", s)
}

func isLoopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// do sends req and decodes the JSON of its answer, 1 MiB at most, into v.
func (f *fetcher) do(req *http.Request, v any) error {
	if err := checkURL(req.URL.String()); err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	res, err := f.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, fetchLimit+1))
	switch {
	case err != nil:
		return err
	case len(body) > fetchLimit:
		return fmt.Errorf("%s answered more than %d bytes", req.URL.Redacted(), fetchLimit)
	case res.StatusCode != http.StatusOK:
		return &statusError{req.URL.Redacted(), res.StatusCode}
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%s answered something else than the JSON that was expected", req.URL.Redacted())
	}
	return nil
}

func (f *fetcher) get(ctx context.Context, url string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	return f.do(req, v)
}

// statusError is an answer with another status than 200.
type statusError struct {
	url    string
	status int
}

func (e *statusError) Error() string { return fmt.Sprintf("%s answered %d", e.url, e.status) }
