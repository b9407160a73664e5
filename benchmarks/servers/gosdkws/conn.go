package main

import (
	"context"
	"fmt"
	"io"

	"github.com/coder/websocket"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// transport hands one WebSocket to the SDK.
type transport struct{ ws *websocket.Conn }

var _ mcp.Transport = transport{}

func (t transport) Connect(context.Context) (mcp.Connection, error) { return conn(t), nil }

// conn carries one JSON-RPC message in each text message. coder/websocket locks writes itself.
type conn struct{ ws *websocket.Conn }

var _ mcp.Connection = conn{}

// Read returns io.EOF when the client has closed the connection.
func (c conn) Read(ctx context.Context) (jsonrpc.Message, error) {
	kind, data, err := c.ws.Read(ctx)
	if err != nil {
		if websocket.CloseStatus(err) != -1 {
			return nil, io.EOF
		}
		return nil, err
	}
	if kind != websocket.MessageText {
		return nil, fmt.Errorf("websocket: %v, want text", kind)
	}
	return jsonrpc.DecodeMessage(data)
}

func (c conn) Write(ctx context.Context, m jsonrpc.Message) error {
	data, err := jsonrpc.EncodeMessage(m)
	if err != nil {
		return err
	}
	return c.ws.Write(ctx, websocket.MessageText, data)
}

// Close says goodbye unless the client has done so: then the connection is closed already.
func (c conn) Close() error { return c.ws.Close(websocket.StatusNormalClosure, "") }

func (c conn) SessionID() string { return "" }
