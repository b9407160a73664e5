package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// leeway is how far the clock of an issuer may differ from ours.
const leeway = time.Minute

// claims is what we read of a token, whether it came signed (RFC 7519, RFC 9068)
// or was told by introspection (RFC 7662): both are held to the same rules.
type claims struct {
	Issuer, Subject               string
	Audience                      oneOrMore
	Expires, NotBefore, IssuedAt  numericDate
	Scope                         string
	Scp                           scopeList // as some issuers name it
	active                        bool      // of introspection
	typ, tokenType                string    // as some issuers name the kind of a token
	hasCodeHash, hasAccessTokHash bool      // an ID token has them
	bound                         bool      // to a key that its holder must prove to have
}

// UnmarshalJSON implements json.Unmarshaler. Names are taken as they are: for
// encoding/json "Sub" and "\u017fub" would be sub too, and the last one of two would
// win. "The Claim Names within a JWT Claims Set MUST be unique" (RFC 7519, section
// 4).
func (c *claims) UnmarshalJSON(b []byte) error {
	into := map[string]any{
		"iss": &c.Issuer, "sub": &c.Subject, "aud": &c.Audience, "exp": &c.Expires, "nbf": &c.NotBefore, "iat": &c.IssuedAt,
		"scope": &c.Scope, "scp": &c.Scp, "active": &c.active, "typ": &c.typ, "token_type": &c.tokenType,
	}
	return eachMember(b, func(name string, value json.RawMessage) error {
		switch name {
		case "c_hash":
			c.hasCodeHash = true
		case "at_hash":
			c.hasAccessTokHash = true
		case "cnf":
			c.bound = string(value) != "null"
		}
		if to := into[name]; to != nil {
			return json.Unmarshal(value, to)
		}
		return nil
	})
}

// eachMember calls f for every member of an object, and refuses one that comes
// twice.
func eachMember(b []byte, f func(name string, value json.RawMessage) error) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("not an object")
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string)
		if seen[name] {
			return fmt.Errorf("a member comes twice")
		}
		seen[name] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		if err := f(name, value); err != nil {
			return err
		}
	}
	return nil
}

// audience is which tokens are for us.
type audience []string

// newAudience normalises what it is given, or says what is wrong with it.
func newAudience(values []string) (audience, error) {
	if len(values) == 0 {
		return nil, fmt.Errorf("no audience: without the public URL of this server tokens for other servers would pass")
	}
	a := make(audience, len(values))
	for i, v := range values {
		if v == "" {
			return nil, fmt.Errorf("an audience is empty")
		}
		a[i] = canonical(v)
	}
	return a, nil
}

func (a audience) accepts(values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool { return slices.Contains(a, canonical(v)) })
}

// canonical is the form in which two audiences are compared: "implementations
// SHOULD accept uppercase scheme and host components for robustness"
// (26:basic/authorization). An empty path is "/" (RFC 3986, section 6.2.3); any
// other difference is one.
func canonical(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil {
		return s
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if u.Path == "/" && u.RawQuery == "" && u.Fragment == "" {
		u.Path = ""
	}
	return u.String()
}

// principal judges the claims at now and says who holds the token. The subject is
// unique within its issuer only, so the issuer is part of the ID; an issuer has no
// fragment (RFC 8414, section 2), so "#" ends it.
func (c *claims) principal(issuer string, aud audience, now time.Time) (*Principal, error) {
	switch {
	case c.Issuer != issuer:
		return nil, invalid("it is of another issuer")
	case !aud.accepts(c.Audience):
		return nil, invalid("it is not for this server")
	case c.Expires.IsZero():
		return nil, invalid("it never expires")
	case !now.Before(c.Expires.Add(leeway)):
		return nil, invalid("it has expired")
	case !c.NotBefore.IsZero() && now.Add(leeway).Before(c.NotBefore.Time):
		return nil, invalid("it is not valid yet")
	case !c.IssuedAt.IsZero() && now.Add(leeway).Before(c.IssuedAt.Time):
		return nil, invalid("it was issued in the future")
	case isOtherToken(c.typ) || isOtherToken(c.tokenType):
		return nil, invalid("it is no access token")
	case c.bound:
		// Who has stolen it could show it as well: neither DPoP (RFC 9449) nor
		// certificates (RFC 8705) are asked for here.
		return nil, invalid("it is bound to a key, which a bearer token cannot prove")
	case c.hasCodeHash || c.hasAccessTokHash:
		return nil, invalid("it is an ID token")
	case c.Subject == "" || len(c.Subject) > maxSubject:
		return nil, invalid("it has no usable subject")
	}
	scopes := strings.Fields(c.Scope)
	for _, s := range c.Scp {
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	return &Principal{ID: issuer + "#" + c.Subject, Scopes: scopes, Expires: c.Expires.Add(leeway)}, nil
}

// isOtherToken knows the kinds that issuers name in a claim.
func isOtherToken(kind string) bool {
	switch strings.ToLower(kind) {
	case "refresh", "refresh_token", "offline", "id", "id_token", "logout":
		return true
	}
	return false
}

// maxSubject bounds the ID of a principal, which keys tables.
const maxSubject = 255

// invalid says what is wrong with a token, for the log.
func invalid(why string) error { return fmt.Errorf("%w: %s", ErrInvalidToken, why) }

// oneOrMore is a string or an array of strings (RFC 7519, section 4.1.3).
type oneOrMore []string

// UnmarshalJSON implements json.Unmarshaler.
func (o *oneOrMore) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(o))
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*o = oneOrMore{s}
	return nil
}

// scopeList is a list of scopes, as an array or with spaces between.
type scopeList []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *scopeList) UnmarshalJSON(b []byte) error {
	var o oneOrMore
	if err := o.UnmarshalJSON(b); err != nil {
		return err
	}
	for _, s := range o {
		*l = append(*l, strings.Fields(s)...)
	}
	return nil
}

// numericDate is "a JSON numeric value representing the number of seconds from
// 1970-01-01T00:00:00Z UTC" (RFC 7519, section 2).
type numericDate struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (d *numericDate) UnmarshalJSON(b []byte) error {
	var f float64
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	if f < 0 || f > 1<<40 { // the year 36812
		return fmt.Errorf("a date is out of range")
	}
	d.Time = time.Unix(int64(f), 0)
	return nil
}
