package main

import (
	"context"
	"fmt"

	"millrace/server"
	"millrace/server/auth"
	"millrace/server/limit"
)

// token is what the suite calls with.
const token = "mrk_bench"

// caller is who has it. It has no limit of sessions and calls in flight but the usual ones.
var caller = &auth.Principal{ID: "bench", Scopes: []string{"use"}}

// verifier knows one token. Bearer remembers it, as it does with tokens whose signature was checked.
type verifier struct{}

func (verifier) Verify(_ context.Context, t string) (*auth.Principal, error) {
	if t != token {
		return nil, fmt.Errorf("%w: not %s", auth.ErrInvalidToken, token)
	}
	return caller, nil
}

// guard turns everything on that an operator may want: a token, a policy of ten rules, rates for callers and for a
// tool, none of which is ever used up, and bounds of what one principal has in flight. The suite sends an Origin too.
func guard(srv *server.Server) error {
	srv.Auth, srv.Policy, srv.AllowedOrigins = auth.NewBearer(verifier{}), &auth.Policy{}, []string{"https://app.example.com"}
	for i := range 9 {
		r, err := auth.ParseRule(fmt.Sprintf("tool:other-%d-* needs admin", i))
		if err != nil {
			return err
		}
		srv.Policy.Allow = append(srv.Policy.Allow, r)
	}
	r, err := auth.ParseRule("tool:* needs use")
	if err != nil {
		return err
	}
	srv.Policy.Allow = append(srv.Policy.Allow, r)
	rate, err := limit.ParseRate("100000000/s:1000000")
	if err != nil {
		return err
	}
	srv.Limits = server.Limits{
		Requests: rate, Tools: []server.ToolLimit{{Pattern: "echo*", Rate: rate, Concurrent: 100_000}}, InFlightPerPrincipal: 100_000,
	}
	return nil
}
