package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

const (
	// MaxCapabilities is the size in bytes of the largest capabilities object
	// that Create takes.
	MaxCapabilities = 64 << 10
	// MaxSealedCapabilities is the size in bytes of the largest capabilities
	// object that is kept as JSON and put into the session id.
	MaxSealedCapabilities = 2 << 10

	// Names repeat those of the objects around them, so what a client declares
	// could grow with the square of its size: what goes beyond is not recorded,
	// which only means that the server does not use it.
	maxNames     = 128
	maxName      = 128
	maxNameBytes = 4 << 10
	maxNameDepth = 8
)

// Capabilities is what the client of a session can do, by name: "sampling" for
// a member of the capabilities object, "roots.listChanged" for a member of a
// member, and so on. A member counts unless its value is false or null. All
// methods are safe for any goroutine.
type Capabilities struct {
	json string // immutable

	mu    sync.Mutex
	names []string
	size  int // of names, in bytes
}

// JSON returns the capabilities object as the client sent it, or "" if it sent
// none or more than MaxSealedCapabilities. Add and Remove do not change it.
func (c *Capabilities) JSON() string { return c.json }

// Has reports whether the client has the capability.
func (c *Capabilities) Has(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.names, name)
}

// Add gives the client exactly this capability. It returns false if there is
// no room: 128 names of at most 128 bytes, 4 KiB together.
func (c *Capabilities) Add(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.add(name)
}

// Remove takes the capability away, and with it every one inside: "roots" takes
// "roots.listChanged" too.
func (c *Capabilities) Remove(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names = slices.DeleteFunc(c.names, func(n string) bool {
		inside, ok := strings.CutPrefix(n, name)
		gone := ok && (inside == "" || inside[0] == '.')
		if gone {
			c.size -= len(n)
		}
		return gone
	})
}

func (c *Capabilities) add(name string) bool {
	if slices.Contains(c.names, name) {
		return true
	}
	if len(name) > maxName || len(c.names) >= maxNames || c.size+len(name) > maxNameBytes {
		return false
	}
	c.names = append(c.names, name)
	c.size += len(name)
	return true
}

// load records what raw declares. No other goroutine may see c yet.
func (c *Capabilities) load(raw []byte) error {
	if len(raw) > MaxCapabilities {
		return fmt.Errorf("%w: capabilities of %d bytes, the limit is %d", ErrParams, len(raw), MaxCapabilities)
	}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	if err := c.parse(raw); err != nil {
		return fmt.Errorf("%w: capabilities: %w", ErrParams, err)
	}
	c.names = slices.Clip(c.names)
	if len(raw) <= MaxSealedCapabilities {
		c.json = string(raw)
	}
	return nil
}

func (c *Capabilities) parse(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil {
		return err
	} else if t != json.Delim('{') {
		return errors.New("not an object")
	}
	if err := c.object(dec, "", 1); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("more than one value")
	}
	return nil
}

// object reads the members of an object whose brace has been read.
func (c *Capabilities) object(dec *json.Decoder, prefix string, depth int) error {
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		value, err := dec.Token()
		if err != nil {
			return err
		}
		name := ""
		fits := len(prefix)+len(key.(string)) <= maxName
		if fits {
			name = prefix + key.(string)
			fits = value == nil || value == false || c.add(name)
		}
		switch {
		case value == json.Delim('{') && fits && depth < maxNameDepth:
			err = c.object(dec, name+".", depth+1)
		case value == json.Delim('{') || value == json.Delim('['):
			err = skip(dec)
		}
		if err != nil {
			return err
		}
	}
	_, err := dec.Token() // the closing brace
	return err
}

// skip reads the rest of an object or array whose opening was read, without
// recursion.
func skip(dec *json.Decoder) error {
	for open := 1; open > 0; {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			open++
		case json.Delim('}'), json.Delim(']'):
			open--
		}
	}
	return nil
}
