package docs_test

import (
	"context"
	"log"
	"log/slog"
	"time"

	"millrace/server"
	"millrace/server/auth"
	"millrace/server/mcp"
	"millrace/server/reload"
)

var _ = authorized

func authorized(s *mcp.Server) *server.Server {
	keys, err := auth.LoadKeys("keys")
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := auth.NewJWT(auth.JWTConfig{
		Issuers:  []auth.Issuer{{URL: "https://auth.example.com/realms/main"}},
		Audience: []string{"https://mcp.example.com/mcp"},
	})
	if err != nil {
		log.Fatal(err)
	}
	srv := &server.Server{
		MCP:                  s,
		Auth:                 auth.NewBearer(keys, tokens),
		Policy:               auth.AllowAll(),
		PublicURL:            "https://mcp.example.com/mcp",
		AuthorizationServers: []string{"https://auth.example.com/realms/main"},
	}
	go reload.Watch(context.Background(), 2*time.Second, nil, slog.Default(), reload.Source{Name: "API keys", Reload: keys.Reload})
	return srv
}
