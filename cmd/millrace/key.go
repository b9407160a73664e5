package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"millrace/server/auth"
)

type keyCmd struct {
	New newKeyCmd `cmd:"" help:"Make an API key, show it once, and add its hash to a file."`
}

type newKeyCmd struct {
	File    string   `required:"" placeholder:"FILE" help:"File of API keys to add it to, for serve --api-keys; it is made when it does not exist."`
	Name    string   `required:"" help:"Who gets the key; the principal is key:NAME."`
	Scope   []string `placeholder:"SCOPE" help:"Scope of the key (repeatable)."`
	Expires string   `placeholder:"DATE" help:"Last day on which it is good, or an RFC 3339 time. Default: it does not expire."`
}

// Run implements the key new command.
func (c *newKeyCmd) Run(e *env) error {
	var expires time.Time
	if c.Expires != "" {
		t, err := auth.ParseExpiry(c.Expires)
		if err != nil {
			return usageError{err}
		}
		if !t.After(time.Now()) {
			return usageError{fmt.Errorf("expiry %s is over", c.Expires)}
		}
		expires = t
	}
	key, line, err := auth.NewKey(c.Name, c.Scope, expires)
	if err != nil {
		return usageError{err}
	}
	if err := appendLine(c.File, line); err != nil {
		return err
	}
	fmt.Fprintf(e.stderr, "added to %s: %s\nthe key is shown only now:\n", c.File, line)
	_, err = fmt.Fprintln(e.stdout, key)
	return err
}

// appendLine adds a line to a file of keys, unless the file would not load with it.
func appendLine(path, line string) (err error) {
	if _, err := auth.LoadKeys(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := f.WriteString(line + "\n"); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if _, err := auth.LoadKeys(path); err != nil {
		return errors.Join(err, f.Truncate(info.Size()))
	}
	return nil
}
