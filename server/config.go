package server

import (
	"millrace/codec/http1"
	"millrace/codec/websocket"
	"millrace/loop"
	"millrace/server/transport"
)

// configs are those of the engine and of the transports.
func (r *runState) configs() (lcfg loop.Config, tcfg transport.Config, err error) {
	s := r.cfg
	tcfg = transport.Config{
		Path: s.Path, AllowedHosts: s.AllowedHosts, AllowedOrigins: s.AllowedOrigins, TrustedProxies: s.TrustedProxies,
		TrustUnixProxies: s.TrustUnixProxies, LegacySSE: s.LegacySSE, SilentFor: s.silentFor,
		ConnectionsPerAddress: orDefault(s.Limits.ConnectionsPerAddress, defaultConnectionsPerAddress, 0),
		Metadata:              r.gate.resource.metadata,
		Full:                  r.memory.short.Load,
	}
	if err := s.checkLegacySSE(); err != nil {
		return lcfg, tcfg, err
	}
	lcfg = loop.Config{
		Loops: s.loops(), MaxConnections: s.MaxConnections, Logger: r.log,
		HTTP:         http1.Limits{BodyBytes: int64(s.MaxBody)},
		WebSocket:    websocket.Limits{MessageBytes: s.MaxBody},
		PingInterval: s.PingInterval, PongTimeout: s.PongTimeout,
		MaxPinned: r.memory.share(defaultPinned),
	}
	if lcfg.Listeners, tcfg.Listeners, err = s.loopListeners(); err != nil {
		return lcfg, tcfg, err
	}
	if s.Greeting {
		greeting, err := s.greeting()
		if err != nil {
			return lcfg, tcfg, err
		}
		tcfg.Greeting = func() []byte { return greeting }
	}
	return lcfg, tcfg, nil
}
