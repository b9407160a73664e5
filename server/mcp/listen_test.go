package mcp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"millrace/server/auth"
)

// listen opens a subscription with a stream of its own.
func (c *client) listen(filter string) (*Subscription, *wire) {
	c.t.Helper()
	sub, stream, out, status := c.tryListen("1", filter)
	if sub == nil {
		c.t.Fatalf("listen %s: %d %s", filter, status, out)
	}
	return sub, stream
}

func (c *client) tryListen(id, filter string) (*Subscription, *wire, string, int) {
	c.t.Helper()
	call, err := c.parse(strings.Replace(c.message(MethodListen, `"notifications":`+filter), `"id":1`, `"id":`+id, 1))
	if err != nil {
		c.t.Fatal(err)
	}
	stream := &wire{}
	call.Host, call.Notifier = stream, stream
	c.s.Plan(call)
	sub, out, status := c.s.Listen(c.t.Context(), call, nil)
	return sub, stream, string(out), status
}

func listenServer(o *ServerOptions) *Server {
	if o == nil {
		o = quiet()
	}
	s := fixture(o)
	s.AddResource(&Resource{URI: "x:a", Name: "a"}, noResource)
	s.AddResource(&Resource{URI: "x:b", Name: "b"}, noResource)
	s.AddResourceTemplate(&ResourceTemplate{URITemplate: "y:{v}", Name: "y"}, noResource)
	s.AddPrompt(&Prompt{Name: "p"}, noPrompt)
	return s
}

func updated(t testing.TB, s *Server, uri string) {
	t.Helper()
	if err := s.ResourceUpdated(t.Context(), &ResourceUpdatedNotificationParams{URI: uri}); err != nil {
		t.Error(err)
	}
}

// acknowledged is the filter that was granted.
func acknowledged(t testing.TB, stream *wire) string {
	t.Helper()
	sent := stream.take()
	if len(sent) == 0 || !strings.Contains(sent[0], methodAcknowledged) {
		t.Fatalf("not acknowledged first: %v", sent)
	}
	_, granted, _ := strings.Cut(sent[0], `"notifications":`)
	return strings.TrimSuffix(granted, "}}")
}

func TestListenGrants(t *testing.T) {
	tests := []struct {
		name, asked, want string
		caps              *ServerCapabilities
	}{
		{"nothing", `{}`, `{}`, nil},
		{"no", `{"toolsListChanged":false,"resourceSubscriptions":[]}`, `{}`, nil},
		{"null", `{"toolsListChanged":null,"resourceSubscriptions":null}`, `{}`, nil},
		{"all", `{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":["x:a","y:1"]}`,
			`{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":["x:a","y:1"]}`, nil},
		{"unknown", `{"resourceSubscriptions":["x:nope","x:a",""],"more":true}`, `{"resourceSubscriptions":["x:a"]}`, nil},
		{"not declared", `{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":["x:a"]}`, `{"promptsListChanged":true}`,
			&ServerCapabilities{Tools: &ToolCapabilities{}, Resources: &ResourceCapabilities{}}},
	}
	for _, tt := range tests {
		o := quiet()
		o.Capabilities = tt.caps
		c := dial(t, listenServer(o), Version20260728)
		sub, stream := c.listen(tt.asked)
		if got := acknowledged(t, stream); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		sub.Close()
	}
}

// leftovers are what a hub holds of subscriptions.
func leftovers(s *Server) int {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return len(s.hub.watchers) + len(s.hub.held)
}

const listenToAll = `{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":["x:a","y:1"]}`

func TestListenDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := listenServer(nil)
		c := dial(t, s, Version20260728)
		all, allStream := c.listen(listenToAll)
		sub, out, _, _ := c.tryListen(`"s-1"`, `{"resourceSubscriptions":["x:b"]}`)
		acknowledged(t, allStream)
		acknowledged(t, out)
		expect := func(step string, stream *wire, want ...string) {
			t.Helper()
			synctest.Wait()
			if got := stream.take(); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %v, want %v", step, got, want)
			}
		}
		updated(t, s, "x:a")
		updated(t, s, "x:b")
		updated(t, s, "x:c")
		const about = `,"params":{"_meta":{"io.modelcontextprotocol/subscriptionId":`
		expect("x:a", allStream, `{"jsonrpc":"2.0","method":"notifications/resources/updated"`+about+`1},"uri":"x:a"}}`)
		expect("x:b", out, `{"jsonrpc":"2.0","method":"notifications/resources/updated"`+about+`"s-1"},"uri":"x:b"}}`)
		s.RemovePrompts("p", "nope")
		s.RemoveResources("x:b")
		s.RemoveResourceTemplates("y:{v}")
		s.RemoveResources("x:nope")
		time.Sleep(announceDelay)
		expect("lists", allStream,
			`{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"`+about+`1}}}`,
			`{"jsonrpc":"2.0","method":"notifications/resources/list_changed"`+about+`1}}}`)
		updated(t, s, "x:b") // "Subscriptions to them stay"
		expect("a removed resource", out, `{"jsonrpc":"2.0","method":"notifications/resources/updated"`+about+`"s-1"},"uri":"x:b"}}`)
		all.Close()
		all.Close()
		updated(t, s, "x:a")
		s.RemoveTools("echo")
		time.Sleep(time.Second)
		expect("closed", allStream)
		sub.Close()
		if n := leftovers(s); n != 0 {
			t.Errorf("%d things are left", n)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := empty(quiet()).ResourceUpdated(ctx, &ResourceUpdatedNotificationParams{URI: "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("ResourceUpdated after the end: %v", err)
	}
}

func TestListenLimit(t *testing.T) {
	o := quiet()
	o.MaxSubscriptions = 3
	s := listenServer(o)
	c := dial(t, s, Version20260728)
	alice, bob := c.as("alice"), c.as("bob")
	var open []*Subscription
	for range 3 {
		sub, _ := alice.listen(`{"toolsListChanged":true}`)
		open = append(open, sub)
	}
	for range 2 {
		if sub, stream, out, status := alice.tryListen("9", listenToAll); sub != nil || status != 200 || !strings.Contains(out, `"code":-31003,"message":"too many subscriptions: 3 are allowed at once"`) || stream.take() != nil {
			t.Errorf("one too many: %d %s", status, out)
		}
	}
	open[0].Close()
	open[0].Close() // counts once
	sub, _ := alice.listen(`{}`)
	open[0] = sub
	if sub, _, _, _ := alice.tryListen("9", `{}`); sub != nil {
		t.Error("closing twice counts twice")
	}
	for range 5 { // bob has his own, and anonymous callers are bounded elsewhere
		anonymous, _ := c.listen(`{}`)
		open = append(open, anonymous)
	}
	bobs, _ := bob.listen(`{}`)
	for _, sub := range append(open, bobs) {
		sub.Close()
	}
	if n := leftovers(s); n != 0 {
		t.Errorf("%d things are left", n)
	}
}

func TestListenBounds(t *testing.T) {
	c := dialWith(t, whole(nil), Version20260728, capsTasks)
	uris := func(n int) string { return `["` + strings.Repeat(`x","`, n-1) + `x"]` }
	for _, member := range []string{"resourceSubscriptions", "taskIds"} {
		if sub, _, out, status := c.tryListen("1", `{"`+member+`":`+uris(maxWatched+1)+`}`); sub != nil || status != 400 || !strings.Contains(out, "may name 1000 resources and 1000 tasks") {
			t.Errorf("%s: %d %s", member, status, out)
		}
		sub, _ := c.listen(`{"` + member + `":` + uris(maxWatched) + `}`)
		sub.Close()
	}
}

// Whatever comes in between, what is refused leaves nothing behind.
func TestListenRefused(t *testing.T) {
	middleware := map[string]Middleware{
		"refuses": func(MethodHandler) MethodHandler {
			return func(context.Context, string, Request) (Result, error) { return nil, errors.New("no") }
		},
		"refuses afterwards": func(h MethodHandler) MethodHandler {
			return func(ctx context.Context, method string, req Request) (Result, error) {
				if res, err := h(ctx, method, req); err != nil {
					return res, err
				}
				return nil, errors.New("no")
			}
		},
		"panics": func(MethodHandler) MethodHandler {
			return func(context.Context, string, Request) (Result, error) { panic("no") }
		},
		"panics afterwards": func(h MethodHandler) MethodHandler {
			return func(ctx context.Context, method string, req Request) (Result, error) {
				_, _ = h(ctx, method, req)
				panic("no")
			}
		},
	}
	for name, m := range middleware {
		s := listenServer(nil)
		s.AddReceivingMiddleware(m)
		c := dial(t, s, Version20260728).as("alice")
		sub, stream, out, status := c.tryListen("7", listenToAll)
		if sub != nil || status != 200 || !strings.HasPrefix(out, `{"jsonrpc":"2.0","id":7,"error":{"code":-32603`) {
			t.Errorf("%s: %d %s", name, status, out)
		}
		stream.take()
		updated(t, s, "x:a")
		if got := stream.take(); got != nil {
			t.Errorf("%s: sent %v", name, got)
		}
		if n := leftovers(s); n != 0 {
			t.Errorf("%s: %d things are left", name, n)
		}
	}
	s := listenServer(nil)
	c := dial(t, s, Version20260728).as("alice")
	call, _ := c.parse(c.message(MethodListen, `"notifications":`+listenToAll))
	call.Host = &wire{deaf: true}
	if sub, out, _ := s.Listen(t.Context(), call, nil); sub != nil || !strings.Contains(string(out), "text/event-stream") {
		t.Errorf("a client without event streams: %s", out)
	}
	call, _ = c.parse(c.message(MethodListen, `"notifications":`+listenToAll))
	call.Host = nil
	if sub, out, _ := s.Listen(t.Context(), call, nil); sub != nil || !strings.Contains(string(out), "internal error") {
		t.Errorf("without a host: %s", out)
	}
	legacy := dial(t, s, Version20251125)
	call, _ = legacy.parse(`{"id":1,"method":"subscriptions/listen","params":{"notifications":{}}}`)
	if sub, out, status := s.Listen(t.Context(), call, nil); sub != nil || status != 200 || !strings.Contains(string(out), "-32601") {
		t.Errorf("2025-11-25: %d %s", status, out)
	}
	if n := leftovers(s); n != 0 {
		t.Errorf("%d things are left", n)
	}
}

func TestListenMiddleware(t *testing.T) {
	s := listenServer(nil)
	answer := func(h MethodHandler) MethodHandler { return h }
	s.AddReceivingMiddleware(func(h MethodHandler) MethodHandler {
		return func(ctx context.Context, method string, req Request) (Result, error) {
			return answer(h)(ctx, method, req)
		}
	})
	c := dial(t, s, Version20260728).as("alice")
	answer = func(h MethodHandler) MethodHandler { // sees the request, and may change it
		return func(ctx context.Context, method string, req Request) (Result, error) {
			req.(*SubscriptionsListenRequest).Params.Notifications.PromptsListChanged = false
			res, err := h(ctx, method, req)
			if _, ok := res.(*SubscriptionsListenResult); !ok {
				t.Errorf("result %T", res)
			}
			return res, err
		}
	}
	sub, stream := c.listen(`{"toolsListChanged":true,"promptsListChanged":true}`)
	if got := acknowledged(t, stream); got != `{"toolsListChanged":true}` {
		t.Errorf("granted %s", got)
	}
	sub.Close()
	answer = func(MethodHandler) MethodHandler { // keeps it from being opened
		return func(context.Context, string, Request) (Result, error) { return &SubscriptionsListenResult{}, nil }
	}
	if sub, _, out, status := c.tryListen("8", `{}`); sub != nil || status != 200 || !strings.Contains(out, `"io.modelcontextprotocol/subscriptionId":8`) {
		t.Errorf("%d %s", status, out)
	}
	answer = func(h MethodHandler) MethodHandler { // tries again
		return func(ctx context.Context, method string, req Request) (Result, error) {
			_, _ = h(ctx, method, req)
			return h(ctx, method, req)
		}
	}
	sub, stream = c.listen(listenToAll)
	if got := stream.take(); len(got) != 1 {
		t.Errorf("acknowledged %d times", len(got))
	}
	sub.Close()
	if n := leftovers(s); n != 0 {
		t.Errorf("%d things are left", n)
	}
}

// The acknowledgement is the first message whatever happens meanwhile, and
// nothing comes after Close.
func TestListenOrder(t *testing.T) {
	s := listenServer(nil)
	c := dial(t, s, Version20260728)
	stop := make(chan struct{})
	var updates, clients sync.WaitGroup
	for range 2 {
		updates.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					updated(t, s, "x:a")
				}
			}
		})
	}
	for range 4 {
		clients.Go(func() {
			for range 50 {
				sub, stream := c.listen(listenToAll)
				sub.Close()
				sent := stream.take()
				if len(sent) == 0 || !strings.Contains(sent[0], methodAcknowledged) {
					t.Errorf("the first message is %v", sent)
				}
				for _, msg := range sent[1:] {
					if !strings.Contains(msg, methodResourceUpdated) {
						t.Errorf("sent %s", msg)
					}
				}
				if late := stream.take(); late != nil {
					t.Errorf("after Close: %v", late)
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	updates.Wait()
	if n := leftovers(s); n != 0 {
		t.Errorf("%d things are left", n)
	}
}

// A subscription may take as much work as templates want to match.
func TestPlanListen(t *testing.T) {
	few := fixture(nil)
	few.AddResource(&Resource{URI: "x:a", Name: "a"}, noResource)
	filtered := quiet()
	filtered.ResourceFilter = func(context.Context, *Caller, *Resource) bool { return true }
	for name, tt := range map[string]struct {
		s    *Server
		want Class
	}{
		"resources": {few, ClassInline}, "templates": {listenServer(nil), ClassBlocking},
		"tasks": {whole(nil), ClassBlocking}, "filter": {fixture(filtered), ClassBlocking},
	} {
		c := dial(t, tt.s, Version20260728)
		call, _ := c.parse(c.message(MethodListen, `"notifications":{}`))
		if got := tt.s.Plan(call).Class; got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestListenViews(t *testing.T) {
	o := quiet()
	o.ResourceFilter = func(_ context.Context, c *Caller, r *Resource) bool { return c.Principal.HasScope(r.Name) }
	o.ResourceTemplateFilter = func(_ context.Context, c *Caller, r *ResourceTemplate) bool { return c.Principal.HasScope(r.Name) }
	c := dial(t, listenServer(o), Version20260728)
	for scope, want := range map[string]string{"a": `["x:a"]`, "b": `["x:b"]`, "y": `["y:1"]`} {
		sub, stream := c.as("alice", scope).listen(`{"resourceSubscriptions":["x:a","x:b","y:1"]}`)
		if got := acknowledged(t, stream); got != `{"resourceSubscriptions":`+want+`}` {
			t.Errorf("scope %s: %s", scope, got)
		}
		sub.Close()
	}
	if got := (&client{t: t, s: c.s, principal: auth.Anonymous, notifier: &wire{}}).ask("resources/read", `"uri":"x:a"`); !strings.Contains(got, "not found") {
		t.Errorf("without scopes: %s", got)
	}
}

// A host that takes a subscriptions/listen for an ordinary request leaves nothing
// open: nobody could close it.
func TestServeListens(t *testing.T) {
	s := listenServer(nil)
	c := dial(t, s, Version20260728).as("alice")
	if out := c.ask(MethodListen, `"notifications":`+listenToAll); !strings.Contains(out, `"id":1`) {
		t.Errorf("got %s", out)
	}
	if n := leftovers(s); n != 0 {
		t.Errorf("%d things are left", n)
	}
}
