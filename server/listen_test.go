package server

import (
	"context"
	"io"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/server/mcp"
)

func listenMessage(id, notifications string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"subscriptions/listen","params":{"notifications":{` + notifications + `},` + modernMeta + `}}`
}

var listenFields = modernFields("subscriptions/listen", "")

func acknowledged(id, granted string) string {
	return `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":` + id + `},"notifications":{` + granted + `}}}`
}

func toolsChanged(id string) string {
	return `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":` + id + `}}}`
}

const lists = `"toolsListChanged":true`

// A subscription that is being opened by user code when the input of stdio ends
// ends with it.
func TestListenOpensAtTheEnd(t *testing.T) {
	tl := newTools()
	opening, proceed := make(chan *connection), make(chan struct{})
	tl.mcp.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			if method == mcp.MethodListen {
				opening <- ctx.(*call).conn
				<-proceed
			}
			return next(ctx, method, req)
		}
	})
	p := serveStdio(t, &Server{MCP: tl.mcp})
	p.send(listenMessage("1", lists))
	cn := <-opening
	begun := time.Now()
	p.in.Close()
	await(t, "the end of the input is noticed", func() bool {
		cn.mu.Lock()
		defer cn.mu.Unlock()
		return cn.unheard
	})
	close(proceed)
	want(t, p, acknowledged("1", lists))
	if got := mustRead(t, p); !strings.Contains(got, `"notifications/cancelled","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":1},"requestId":1`) {
		t.Errorf("got %s", got)
	}
	if got := mustRead(t, p); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":1,"result":{`) {
		t.Errorf("got %s", got)
	}
	if _, err := p.read(); err != io.EOF {
		t.Errorf("read: %v", err)
	}
	if took := time.Since(begun); took > stdioGrace/2 {
		t.Errorf("ended after %v", took)
	}
}

// TestListen is the life of subscriptions on every transport: acknowledged first,
// several at once, told of what they asked for and nothing else, ended by the
// client.
func TestListen(t *testing.T) {
	add := func(tl *tools) { tl.add("more", 0, nothing) }
	remove := func(tl *tools) { tl.mcp.RemoveTools("more") }
	for name, open := range map[string]func(*tools) peer{
		"websocket": func(tl *tools) peer { return serve(t, &Server{MCP: tl.mcp, Workers: 1}).dial() },
		"stdio":     func(tl *tools) peer { return serveStdio(t, &Server{MCP: tl.mcp, Workers: 1}) },
	} {
		t.Run(name, func(t *testing.T) {
			tl := newTools()
			p := open(tl)
			p.send(listenMessage("1", lists))
			want(t, p, acknowledged("1", lists))
			p.send(listenMessage(`"two"`, lists+`,"promptsListChanged":true`)) // there are no prompts
			want(t, p, acknowledged(`"two"`, lists))
			p.send(listenMessage("3", ``))
			want(t, p, acknowledged("3", ``))
			p.send(listenMessage("1", lists))
			if got := mustRead(t, p); !strings.Contains(got, errDuplicate.Error()) {
				t.Errorf("second subscription with the same id: %s", got)
			}
			add(tl)
			both := mustRead(t, p) + mustRead(t, p)
			if !strings.Contains(both, toolsChanged("1")) || !strings.Contains(both, toolsChanged(`"two"`)) {
				t.Errorf("told: %s", both)
			}
			p.send(cancelMessage("1"))
			p.send(listenMessage("4", ``)) // when it is acknowledged, what came before was read
			want(t, p, acknowledged("4", ``))
			remove(tl)
			want(t, p, toolsChanged(`"two"`))
			p.send(cancelMessage(`"two"`))
			p.send(modernCall("5", "echo"))
			mustRead(t, p)
			add(tl)
			p.send(listenMessage("1", lists)) // an id is free again
			want(t, p, acknowledged("1", lists))
			p.close()
			await(t, "nobody watches", tl.unwatched)
		})
	}
	t.Run("http", func(t *testing.T) {
		tl := newTools()
		r := serve(t, &Server{MCP: tl.mcp, Workers: 1})
		one := r.stream("POST", listenMessage("1", lists), listenFields...)
		one.want(acknowledged("1", lists))
		two := r.stream("POST", listenMessage("1", lists), listenFields...)
		two.want(acknowledged("1", lists))
		add(tl)
		one.want(toolsChanged("1"))
		two.want(toolsChanged("1"))
		one.leave()
		await(t, "the connection is gone", func() bool { return r.Stats().Messages.Canceled == 1 })
		remove(tl)
		two.want(toolsChanged("1"))
		if rep := r.do("POST", cancelMessage("1"), "MCP-Protocol-Version: 2026-07-28"); rep.status != 202 {
			t.Errorf("cancelled: %d", rep.status)
		}
		add(tl)
		two.want(toolsChanged("1")) // over HTTP the stream is what is closed
		two.leave()
		await(t, "nobody watches", tl.unwatched)
		rep := r.do("POST", listenMessage("1", lists), append(listenFields, "Accept: application/json")...)
		if !strings.Contains(rep.body(), `"code":-32600,"message":"subscriptions/listen is answered with an event stream`) {
			t.Errorf("a client that takes no events: %d %s", rep.status, rep.body())
		}
		await(t, "nobody watches", tl.unwatched)
	})
}

// unwatched reports whether the hub of the server, which is its own, is empty.
func (tl *tools) unwatched() bool {
	hub := reflect.ValueOf(tl.mcp).Elem().FieldByName("hub")
	mu := (*sync.Mutex)(hub.FieldByName("mu").Addr().UnsafePointer())
	mu.Lock()
	defer mu.Unlock()
	return hub.FieldByName("watchers").Len() == 0 && hub.FieldByName("held").Len() == 0
}

// A drain ends subscriptions: with a word on a connection that carries more, and
// with the result as the last event over HTTP.
func TestListenDrain(t *testing.T) {
	tl := newTools()
	r := serve(t, &Server{MCP: tl.mcp})
	p := r.dial()
	p.send(listenMessage("1", lists))
	want(t, p, acknowledged("1", lists))
	s := r.stream("POST", listenMessage("2", lists), listenFields...)
	s.want(acknowledged("2", lists))
	done := make(chan error, 1)
	go func() { done <- r.stop() }()
	end := func(id string) string {
		return `{"jsonrpc":"2.0","id":` + id + `,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"test","version":"1"},"io.modelcontextprotocol/subscriptionId":` + id + `}}}`
	}
	want(t, p, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":1},"requestId":1,"reason":"server is shutting down"}}`)
	want(t, p, end("1"))
	s.want(end("2"))
	s.wantEnd()
	if _, err := p.read(); err != closeError(1001) {
		t.Errorf("WebSocket: %v, want 1001", err)
	}
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if !tl.unwatched() {
		t.Error("somebody still watches")
	}
}

// Subscriptions hold no worker, but count as requests in flight.
func TestListenBound(t *testing.T) {
	tl := newTools()
	r := serve(t, &Server{MCP: tl.mcp, Workers: 1})
	p := r.dial()
	for i := range 64 {
		id := strconv.Itoa(i)
		p.send(listenMessage(id, lists))
		want(t, p, acknowledged(id, lists))
		if i == 49 {
			p.send(modernCall(`"c"`, "headers"))
			if got := mustRead(t, p); !strings.Contains(got, `"result"`) {
				t.Errorf("call beside 50 subscriptions: %s", got)
			}
		}
	}
	p.send(listenMessage("64", lists))
	if got := mustRead(t, p); !strings.Contains(got, errBusy.Error()) {
		t.Errorf("one too many: %s", got)
	}
	p.send(cancelMessage("0"))
	p.send(listenMessage("64", lists))
	want(t, p, acknowledged("64", lists))
	streams := make([]*eventReader, 50)
	for i := range streams {
		streams[i] = r.stream("POST", listenMessage("1", lists), listenFields...)
		streams[i].want(acknowledged("1", lists))
	}
	if rep := r.do("POST", modernCall("1", "headers"), modernFields("tools/call", "headers")...); rep.status != 200 {
		t.Errorf("call beside 50 event streams: %d %s", rep.status, rep.body())
	}
	if busy := r.Stats().Pool.Blocking.Busy; busy > 1 {
		t.Errorf("%d workers busy", busy)
	}
	tl.add("more", 0, nothing)
	for _, s := range streams {
		s.want(toolsChanged("1"))
		s.leave()
	}
	p.close()
	await(t, "nobody watches", tl.unwatched)
}

// A subscription that is asked for while the server drains is ended at once, or
// refused: nobody waits for a client that only listens.
func TestListenWhileDraining(t *testing.T) {
	tl := newTools()
	r := serve(t, &Server{MCP: tl.mcp})
	p := r.dial()
	p.send(modernCall("1", "hold"))
	<-tl.running
	done := make(chan error, 1)
	go func() { done <- r.stop() }()
	cn := r.running.Load()
	await(t, "draining", cn.draining.Load)
	for i := 0; ; i++ { // until the connection has heard of it
		id := strconv.Itoa(10 + i)
		p.send(listenMessage(id, lists))
		got := mustRead(t, p)
		if strings.Contains(got, errDraining.Error()) {
			break
		}
		if got != acknowledged(id, lists) && !strings.Contains(got, "notifications/cancelled") && !strings.Contains(got, `"result"`) {
			t.Fatalf("got %s", got)
		}
		p.send(cancelMessage(id))
	}
	close(tl.gate)
	for {
		if _, err := p.read(); err != nil {
			break
		}
	}
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if !tl.unwatched() {
		t.Error("somebody still watches")
	}
}
