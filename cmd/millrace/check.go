package main

import (
	"fmt"
)

// checkCmd takes the flags of serve.
type checkCmd struct{ serveCmd }

// Run implements the check command. It reads every file that serve would, but not the
// data directory, which a running server has for itself.
func (c *checkCmd) Run(e *env) error {
	srv, _, err := c.server(e)
	if err != nil {
		return err
	}
	srv.MCP = c.tools(srv.Logger, nil)
	if _, err := c.authFlags.apply(srv, &c.tlsFlags, srv.Logger); err != nil {
		return err
	}
	if err := srv.Check(); err != nil {
		return err
	}
	for _, l := range srv.Listeners {
		kind := "plain"
		if l.TLS != nil {
			kind = "TLS"
		}
		fmt.Fprintf(e.stdout, "listen     %s (%s)\n", l.Addr, kind)
	}
	fmt.Fprintf(e.stdout, "access     %s\nok\n", c.describe(&c.tlsFlags))
	return nil
}
