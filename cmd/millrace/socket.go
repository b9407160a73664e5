package main

import (
	"fmt"
	"io/fs"
	"os/user"
	"strconv"
	"strings"

	"millrace/server"
)

// socketFlags are about unix sockets.
type socketFlags struct {
	SocketMode  string `default:"0600" placeholder:"MODE" help:"Mode of unix sockets, in octal: who may write to one may connect. Default: ${default}."`
	SocketOwner string `placeholder:"USER[:GROUP]" help:"Owner of unix sockets, by name or number."`
}

// apply gives l the mode and the owner of the flags.
func (f *socketFlags) apply(l *server.Listener) error {
	mode, err := strconv.ParseUint(f.SocketMode, 8, 32)
	if err != nil || mode == 0 || mode > 0o777 {
		return usageError{fmt.Errorf("--socket-mode: %q is no octal mode such as 0660", f.SocketMode)}
	}
	l.Mode = fs.FileMode(mode)
	if f.SocketOwner == "" {
		return nil
	}
	owner := server.Owner{UID: -1, GID: -1}
	name, group, hasGroup := strings.Cut(f.SocketOwner, ":")
	if name != "" {
		if owner.UID, err = idOf(name, func(s string) (string, error) {
			u, err := user.Lookup(s)
			if err != nil {
				return "", err
			}
			return u.Uid, nil
		}); err != nil {
			return usageError{fmt.Errorf("--socket-owner: %w", err)}
		}
	}
	if hasGroup {
		if owner.GID, err = idOf(group, func(s string) (string, error) {
			g, err := user.LookupGroup(s)
			if err != nil {
				return "", err
			}
			return g.Gid, nil
		}); err != nil {
			return usageError{fmt.Errorf("--socket-owner: %w", err)}
		}
	}
	l.Owner = &owner
	return nil
}

// idOf reads a number, or looks a name up.
func idOf(s string, lookup func(string) (string, error)) (int, error) {
	if n, err := strconv.Atoi(s); err == nil && n >= 0 {
		return n, nil
	}
	id, err := lookup(s)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(id)
}
