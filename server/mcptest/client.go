package mcptest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/server/auth"
	"millrace/server/mcp"
)

// endTimeout is how long handlers may take to end after the test.
const endTimeout = 10 * time.Second

// Options say what kind of client calls. The zero value is an anonymous client
// of 2026-07-28 that cannot be asked anything.
//
// The functions are called on the goroutine that called the client, or, for
// what a server asks a session outside of calls, on the server's. They may be
// called by several goroutines at once when the client is.
type Options struct {
	// Version is the revision of the protocol. Default: mcp.Version20260728. With
	// an older one NewClient opens a session.
	Version string
	// Info is who the client says it is. Default: the name "mcptest".
	Info *mcp.Implementation
	// Principal is who calls. Default: auth.Anonymous.
	Principal *auth.Principal
	// Elicit, if set, plays the user, from 2025-06-18 on. Its params are as the
	// client gets them: RequestedSchema is decoded JSON. Nil stands for the action
	// "cancel".
	Elicit func(*mcp.ElicitParams) *mcp.ElicitResult
	// Sample, if set, plays the model. Nil stands for an error: the user rejected
	// the request.
	Sample func(*mcp.CreateMessageWithToolsParams) *mcp.CreateMessageWithToolsResult
	// Roots, if not nil, are the client's roots; see Client.SetRoots.
	Roots []*mcp.Root
	// Tasks declares the tasks extension, on 2026-07-28: calls that become tasks
	// are followed to their end.
	Tasks bool
	// Capabilities, if set, are declared instead of those that Elicit, Sample,
	// Roots and Tasks imply.
	Capabilities *mcp.ClientCapabilities
	// LogLevel is the least severe log message that the client wants. Default:
	// none at all.
	LogLevel mcp.LoggingLevel
	// Meta is added to the _meta object of every request.
	Meta mcp.Meta
	// OnNotification, if set, is called with everything that the server sends
	// outside of responses, before it is recorded. It runs on goroutines of the
	// server, possibly several, and must not call the client.
	OnNotification func(method string, params json.RawMessage)
}

// Client calls a server. All methods may be called by any goroutine, those that
// fail the test by the test's own only, as testing.TB.FailNow demands: others
// use the methods that begin with Try.
type Client struct {
	t       testing.TB
	server  *mcp.Server
	o       Options
	ctx     context.Context // ends with the test
	session *mcp.ServerSession
	opened  *mcp.InitializeResult // in a session
	lastID  atomic.Int64
	record  record

	running sync.WaitGroup // goroutines of calls

	mu     sync.Mutex
	roots  []*mcp.Root
	calls  map[*call]struct{} // whose handlers have not returned
	subs   map[*Subscription]struct{}
	closed bool
}

// NewClient returns a client of s for one test; options may be nil. It ends with
// the test.
func NewClient(t testing.TB, s *mcp.Server, options *Options) *Client {
	t.Helper()
	c := &Client{t: t, server: s, calls: make(map[*call]struct{}), subs: make(map[*Subscription]struct{})}
	if options != nil {
		c.o = *options
	}
	if c.o.Version == "" {
		c.o.Version = mcp.Version20260728
	}
	if !slices.Contains(mcp.SupportedVersions(), c.o.Version) {
		t.Fatalf("mcptest: %q is not a revision of the protocol; there are %v", c.o.Version, mcp.SupportedVersions())
	}
	if c.o.Info == nil {
		c.o.Info = &mcp.Implementation{Name: "mcptest", Version: "1.0.0"}
	}
	c.roots = c.o.Roots
	if c.o.Capabilities == nil {
		c.o.Capabilities = c.capabilities()
	}
	// The context of a test ends before its cleanup, in which tasks are cancelled.
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	c.ctx = ctx
	t.Cleanup(func() {
		t.Helper()
		c.close(cancel)
	})
	if !c.modern() {
		if err := c.open(); err != nil {
			t.Fatalf("mcptest: opening a session of %s: %v", c.o.Version, err)
		}
	}
	return c
}

func (c *Client) modern() bool { return mcp.IsModern(c.o.Version) }

// capabilities are what the options imply, as the revision has them.
func (c *Client) capabilities() *mcp.ClientCapabilities {
	caps := &mcp.ClientCapabilities{}
	if c.o.Elicit != nil && c.o.Version >= mcp.Version20250618 {
		caps.Elicitation = &mcp.ElicitationCapabilities{}
		if c.o.Version >= mcp.Version20251125 {
			caps.Elicitation.Form = &mcp.FormElicitationCapabilities{}
			caps.Elicitation.URL = &mcp.URLElicitationCapabilities{}
		}
	}
	if c.o.Sample != nil {
		caps.Sampling = &mcp.SamplingCapabilities{}
		if c.o.Version >= mcp.Version20251125 {
			caps.Sampling.Tools = &mcp.SamplingToolsCapabilities{}
			caps.Sampling.Context = &mcp.SamplingContextCapabilities{}
		}
	}
	if c.o.Roots != nil {
		caps.RootsV2 = &mcp.RootCapabilities{ListChanged: !c.modern()}
	}
	if c.o.Tasks && c.modern() {
		caps.Extensions = map[string]any{mcp.TasksExtension: struct{}{}}
	}
	return caps
}

// open opens the session of the legacy era.
func (c *Client) open() error {
	c.session = c.server.NewSession(rand.Text(), peer{c})
	raw, err := c.TryRequest(c.ctx, "initialize", &mcp.InitializeParams{
		ProtocolVersion: c.o.Version, Capabilities: c.o.Capabilities, ClientInfo: c.o.Info,
	})
	if err != nil {
		return err
	}
	c.opened = &mcp.InitializeResult{}
	if err := json.Unmarshal(raw, c.opened); err != nil {
		return err
	}
	if c.opened.ProtocolVersion != c.o.Version {
		return fmt.Errorf("the server answers with version %s", c.opened.ProtocolVersion)
	}
	c.server.Attach(c.session)
	if err := c.notify("notifications/initialized", nil); err != nil {
		return err
	}
	if c.o.LogLevel != "" && c.opened.Capabilities.Logging != nil {
		_, err = c.TryRequest(c.ctx, "logging/setLevel", &mcp.SetLoggingLevelParams{Level: c.o.LogLevel})
	}
	return err
}

// close ends everything that the client has begun, and waits for it.
func (c *Client) close(cancel context.CancelFunc) {
	c.t.Helper()
	c.mu.Lock()
	c.closed = true
	calls, subs := slices.Collect(maps.Keys(c.calls)), slices.Collect(maps.Keys(c.subs))
	c.mu.Unlock()
	for _, sub := range subs {
		sub.Close()
	}
	for _, running := range calls {
		if id := running.task(); id != "" {
			c.cancelTask(id)
		}
	}
	cancel()
	if c.session != nil {
		c.server.Detach(c.session)
	}
	ended := make(chan struct{})
	go func() {
		c.running.Wait()
		close(ended)
	}()
	timeout := time.NewTimer(endTimeout)
	defer timeout.Stop()
	select {
	case <-ended:
	case <-timeout.C:
		c.t.Errorf("mcptest: %s did not end within %v after the test: does the handler heed its context?", c.stillRunning(), endTimeout)
	}
}

// stillRunning lists the calls whose handlers have not returned.
func (c *Client) stillRunning() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for running := range c.calls {
		names = append(names, running.name)
	}
	slices.Sort(names)
	return names
}

// Session returns the client's session as the server sees it, nil on 2026-07-28:
// for what happens outside of calls.
func (c *Client) Session() *mcp.ServerSession { return c.session }

// SetRoots replaces the client's roots, and tells the server of a session.
func (c *Client) SetRoots(roots ...*mcp.Root) {
	c.t.Helper()
	c.mu.Lock()
	c.roots = roots
	c.mu.Unlock()
	if !c.modern() {
		c.Notify("notifications/roots/list_changed", nil)
	}
}

// Notify sends a notification. params is nil or encodes as a JSON object. The
// server has dealt with it when Notify returns.
func (c *Client) Notify(method string, params any) {
	c.t.Helper()
	if err := c.notify(method, params); err != nil {
		c.t.Fatalf("mcptest: %s: %v", method, err)
	}
}

func (c *Client) notify(method string, params any) error {
	msg, err := c.message("", method, params)
	if err != nil {
		return err
	}
	m, failed := c.parse(msg)
	if failed != nil {
		return failed
	}
	c.server.Plan(m)
	c.server.Notified(c.ctx, m)
	return nil
}

// Request sends a request and returns its result, raw. params is nil or encodes
// as a JSON object, to which is added what the revision needs. Nothing is done
// about the result: one that asks for input, or a task, is returned as it is. A
// JSON-RPC error fails the test.
func (c *Client) Request(method string, params any) json.RawMessage {
	c.t.Helper()
	raw, err := c.TryRequest(c.ctx, method, params)
	if err != nil {
		c.t.Fatalf("mcptest: %s: %v", method, err)
	}
	return raw
}

// TryRequest is Request with an error: a *jsonrpc.Error is the server's, with
// Data as json.RawMessage. When ctx ends the request is cancelled.
func (c *Client) TryRequest(ctx context.Context, method string, params any) (json.RawMessage, error) {
	raw, _, err := c.exchange(ctx, method, method, params)
	return raw, err
}

var errClosed = errors.New("the test of the client is over")

// exchange sends one request, and runs it as a host would. name is for people.
func (c *Client) exchange(ctx context.Context, name, method string, params any) (json.RawMessage, *call, error) {
	if method == mcp.MethodListen {
		return nil, nil, errors.New("it has no result to wait for; use Subscribe")
	}
	running, err := c.newCall(name, method, params)
	if err != nil {
		return nil, nil, err
	}
	out, err := running.serve(ctx)
	if err != nil {
		return nil, running, err
	}
	raw, err := running.result(out)
	return raw, running, err
}

// newCall makes the call that a host would make of a request.
func (c *Client) newCall(name, method string, params any) (*call, error) {
	id := strconv.FormatInt(c.lastID.Add(1), 10)
	msg, err := c.message(id, method, params)
	if err != nil {
		return nil, err
	}
	m, failed := c.parse(msg)
	if failed != nil {
		return nil, failed
	}
	running := &call{
		client: c, name: name, mcp: m,
		answer: make(chan []byte, 1), questions: make(chan question), returned: make(chan struct{}),
	}
	running.ctx = &handlerContext{}
	running.ctx.Context, running.cancel = context.WithCancel(c.ctx)
	return running, nil
}

// message encodes a request, or without an id a notification.
func (c *Client) message(id, method string, params any) ([]byte, error) {
	raw, err := c.params(params)
	if err != nil {
		return nil, fmt.Errorf("params: %w", err)
	}
	if id == "" {
		return jsonrpc.AppendNotification(nil, method, raw), nil
	}
	return jsonrpc.AppendRequest(nil, []byte(id), method, raw), nil
}

// params encodes params with what every request of the client carries. What
// they hold already stays.
func (c *Client) params(params any) ([]byte, error) {
	raw, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	if all == nil {
		all = make(map[string]json.RawMessage)
	}
	meta := make(map[string]any)
	maps.Copy(meta, c.o.Meta)
	if c.modern() {
		meta[mcp.MetaKeyProtocolVersion] = c.o.Version
		meta[mcp.MetaKeyClientInfo] = c.o.Info
		meta[mcp.MetaKeyClientCapabilities] = c.o.Capabilities
		if c.o.LogLevel != "" {
			meta[mcp.MetaKeyLogLevel] = c.o.LogLevel
		}
	}
	if own := all["_meta"]; own != nil {
		if err := json.Unmarshal(own, &meta); err != nil {
			return nil, err
		}
	}
	if len(meta) > 0 {
		if all["_meta"], err = json.Marshal(meta); err != nil {
			return nil, err
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	return json.Marshal(all)
}

// parse does what the gate of a host does with a message.
func (c *Client) parse(msg []byte) (*mcp.Call, *jsonrpc.Error) {
	m, err := jsonrpc.Parse(msg, nil)
	if err != nil {
		return nil, err
	}
	meta, err := mcp.ParseMeta(m.Params)
	if err == nil && c.modern() && m.Kind == jsonrpc.KindRequest {
		if err = mcp.CheckModern(&meta); err == nil {
			err = c.server.CheckVersion(meta.ProtocolVersion)
		}
	}
	if err != nil {
		return nil, err
	}
	who := c.o.Principal
	if who == nil {
		who = auth.Anonymous
	}
	return &mcp.Call{
		Method: string(m.Method), ID: m.ID, Params: m.Params, Meta: meta,
		Version: c.o.Version, Modern: c.modern(), Session: c.session, Principal: who,
	}, nil
}
