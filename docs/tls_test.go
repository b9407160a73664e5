package docs_test

import (
	"context"
	"log"
	"log/slog"
	"time"

	"millrace/server"
	"millrace/server/cert"
	"millrace/server/mcp"
	"millrace/server/reload"
)

var _ = onTLS

func onTLS(s *mcp.Server) *server.Server {
	files, err := cert.Load(cert.Config{Pairs: []cert.Pair{{Cert: "server.crt", Key: "server.key"}}})
	if err != nil {
		log.Fatal(err)
	}
	go reload.Watch(context.Background(), 2*time.Second, nil, slog.Default(), reload.Source{Name: "certificates", Reload: files.Reload})
	srv := &server.Server{MCP: s, Listeners: []server.Listener{{Addr: "127.0.0.1:8443", TLS: files.TLS()}}}
	return srv
}
