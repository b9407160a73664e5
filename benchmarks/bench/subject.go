package main

import (
	"crypto/tls"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"millrace/benchmarks/generator"
	"millrace/benchmarks/report"
)

// subject is a server as one scenario sees it: which program, and how its tools are called.
type subject struct {
	name    string
	kind    report.Kind
	program string   // folder under servers
	args    []string // beside --listen and --probe
	// tool is the name of the echo tool; empty means "echo".
	tool string
	// fixed and mirror say what a floor answers.
	fixed, mirror bool
	// blind servers have no probe.
	blind bool
	// tls servers speak TLS; guarded ones ask for a token.
	tls, guarded bool
	// warmup is how long the server needs at least to be at its best.
	warmup time.Duration
	// long is for scenarios that a subject makes too long for the short suite.
	long bool
	// base is a checkout to build against, instead of this one.
	base string
}

// The subjects. Their names are those of package report's targets.
var (
	millrace       = subject{name: "millrace", kind: report.Ours, program: "millrace"}
	millraceInline = subject{name: "millrace inline", kind: report.Ours, program: "millrace", tool: "echo-inline"}
	millraceFew    = subject{name: "millrace", kind: report.Ours, program: "millrace", args: []string{"--few"}} // the tools of the peers
	millraceTLS    = subject{name: "millrace tls", kind: report.Ours, program: "millrace", args: []string{"--tls"}, tls: true}
	millraceGuard  = subject{name: "millrace guarded", kind: report.Ours, program: "millrace", args: []string{"--guarded"}, guarded: true}
	netHTTPTLS     = subject{name: "net/http tls", kind: report.Floor, program: "nethttp", args: []string{"--tls"}, fixed: true, tls: true}
	goSDK          = subject{name: "go-sdk", kind: report.Peer, program: "gosdk"}
	goSDKStateful  = subject{name: "go-sdk stateful", kind: report.Peer, program: "gosdk", args: []string{"--stateful"}}
	goSDKWebSocket = subject{name: "go-sdk websocket", kind: report.Peer, program: "gosdkws"}
	mcpGo          = subject{name: "mcp-go", kind: report.Peer, program: "mcpgo"}
	typeScript     = subject{name: "typescript", kind: report.Peer, program: "typescript", blind: true, warmup: 3 * time.Second} // V8 compiles what is hot
	netHTTP        = subject{name: "net/http", kind: report.Floor, program: "nethttp", fixed: true}
	floorHTTP      = subject{name: "floor", kind: report.Floor, program: "floor", args: []string{"--mode", "http"}, fixed: true}
	floorWebSocket = subject{name: "floor", kind: report.Floor, program: "floor", args: []string{"--mode", "websocket"}, mirror: true}
	floorBytes     = subject{name: "floor bytes", kind: report.Floor, program: "floor", args: []string{"--mode", "bytes"}, mirror: true}
)

// inFull is s for the full suite only.
func (s subject) inFull() subject {
	s.long = true
	return s
}

// echo is the echo call as s is asked it.
func (s *subject) echo(size int) generator.Ask {
	tool := s.tool
	if tool == "" {
		tool = "echo"
	}
	return s.adapt(generator.Echo(tool, size))
}

// adapt makes a what a floor answers.
func (s *subject) adapt(a generator.Ask) generator.Ask {
	if s.fixed {
		return a.ToFixed()
	}
	if s.mirror {
		return a.ToMirror()
	}
	return a
}

// dress gives the connections of a group what s wants of them.
func (s *subject) dress(g *generator.Group) *generator.Group {
	if s.tls {
		// Nobody has signed the certificate of a server that lives for a minute.
		g.TLS = &tls.Config{InsecureSkipVerify: true}
	}
	if s.guarded {
		g.Fields = "Authorization: Bearer mrk_bench\r\nOrigin: https://app.example.com\r\n"
	}
	return g
}

// protocol is p, or bare bytes for the floor that speaks nothing else.
func (s *subject) protocol(p generator.Protocol) generator.Protocol {
	if s.name == floorBytes.name {
		return generator.Bytes
	}
	return p
}

// runnable reports why s cannot run here, if it cannot.
func (s *subject) runnable(module string) (why string) {
	if s.program != typeScript.program {
		return ""
	}
	if _, err := exec.LookPath("node"); err != nil {
		return "node is not installed"
	}
	if _, err := os.Stat(filepath.Join(module, "servers", s.program, "node_modules")); err != nil {
		return "not installed: npm ci in benchmarks/servers/typescript"
	}
	return ""
}
