package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// metadata is what an authorization server says of itself (RFC 8414, OpenID
// Connect Discovery 1.0), as far as we want to know.
type metadata struct {
	Issuer        string `json:"issuer"`
	JWKSURI       string `json:"jwks_uri"`
	Introspection string `json:"introspection_endpoint"`
}

// discover asks an issuer for its metadata, at all places where the two
// specifications put it.
func discover(ctx context.Context, f *fetcher, issuer string) (*metadata, error) {
	urls, err := metadataURLs(issuer)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, u := range urls {
		var m metadata
		err := f.get(ctx, u, &m)
		var status *statusError
		switch {
		case errors.As(err, &status) && status.status == http.StatusNotFound:
			errs = append(errs, err)
			continue
		case err != nil:
			return nil, err
		case m.Issuer != issuer:
			// "The issuer value returned MUST be identical" (RFC 8414, section 3.3).
			return nil, fmt.Errorf("%s is the metadata of %q, not of %q", u, m.Issuer, issuer)
		}
		return &m, nil
	}
	return nil, fmt.Errorf("no metadata: %w", errors.Join(errs...))
}

// metadataURLs are the well-known URLs of an issuer: RFC 8414 puts its suffix
// before the path, OpenID Connect behind it.
func metadataURLs(issuer string) ([]string, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, err
	}
	at := func(path string) string {
		v := *u
		v.Path, v.RawPath = path, ""
		return v.String()
	}
	path := strings.TrimSuffix(u.Path, "/")
	urls := []string{at("/.well-known/oauth-authorization-server" + path)}
	if path != "" {
		urls = append(urls, at("/.well-known/openid-configuration"+path))
	}
	return append(urls, at(path+"/.well-known/openid-configuration")), nil
}

// checkIssuer says what is wrong with the name of an issuer: "a URL that uses the
// https scheme and has no query or fragment components" (RFC 8414, section 2).
func checkIssuer(issuer string) error {
	if err := checkURL(issuer); err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	if strings.ContainsAny(issuer, "?# ") {
		return fmt.Errorf("issuer %q: it must have no query, fragment or space", issuer)
	}
	return nil
}
