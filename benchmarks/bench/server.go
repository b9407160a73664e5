package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"millrace/benchmarks/daemon"
)

// builder builds the programs under test, each once.
type builder struct {
	module string // folder of this module
	dir    string // for binaries and logs
	built  map[string]string
}

func newBuilder(ctx context.Context) (*builder, error) {
	module, err := daemon.Module(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "millrace-bench-")
	return &builder{module: module, dir: dir, built: map[string]string{}}, err
}

func (b *builder) close() { _ = os.RemoveAll(b.dir) }

// command returns what starts s, built.
func (b *builder) command(ctx context.Context, s *subject) (bin string, args []string, err error) {
	if s.program == typeScript.program {
		node, err := exec.LookPath("node")
		return node, append([]string{filepath.Join(b.module, "servers", s.program, "server.mjs")}, s.args...), err
	}
	key := s.base + " " + s.program
	if bin = b.built[key]; bin != "" {
		return bin, s.args, nil
	}
	if s.base != "" {
		bin, err = b.buildBase(ctx, s.program, s.base)
	} else {
		bin, err = daemon.Build(ctx, b.module, "./servers/"+s.program, b.dir)
	}
	if err == nil {
		b.built[key] = bin
	}
	return bin, s.args, err
}

// server is a started subject.
type server struct {
	*daemon.Process
	probe string
	log   *os.File
}

// start starts s on the given cores and waits until it accepts connections.
func (b *builder) start(ctx context.Context, s *subject, cores []int) (*server, error) {
	bin, args, err := b.command(ctx, s)
	if err != nil {
		return nil, err
	}
	srv := &server{}
	addrs, err := daemon.FreeAddrs(2)
	if err != nil {
		return nil, err
	}
	addr := addrs[0]
	args = append(args[:len(args):len(args)], "--listen", addr)
	if !s.blind {
		srv.probe = addrs[1]
		args = append(args, "--probe", srv.probe)
	}
	if srv.log, err = os.Create(filepath.Join(b.dir, "server.log")); err != nil {
		return nil, err
	}
	srv.Process, err = daemon.Start(daemon.Command{Bin: bin, Args: args, Cores: cores, Log: srv.log, Addr: addr})
	if err != nil {
		return nil, errors.Join(err, srv.log.Close())
	}
	if err := srv.Ready(ctx); err != nil {
		return nil, errors.Join(err, srv.end())
	}
	return srv, nil
}

// end stops the server, and tells what it has complained of.
func (s *server) end() error {
	s.Stop(3 * time.Second)
	_ = s.log.Close()
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		return err
	}
	if t := string(text); strings.Contains(t, "panic") || strings.Contains(t, "fatal error") {
		return fmt.Errorf("the server broke down: %.2000s", t)
	}
	return nil
}

// probed is what the probe of a server tells.
type probed struct {
	Goroutines int    `json:"goroutines"`
	Mallocs    uint64 `json:"mallocs"`
}

var probeClient = http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// stats asks the probe.
func (s *server) stats(ctx context.Context) (p probed, err error) {
	body, err := s.ask(ctx, http.MethodGet, "/stats", nil)
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(body, &p)
}

func (s *server) ask(ctx context.Context, method, path string, query url.Values) ([]byte, error) {
	u := url.URL{Scheme: "http", Host: s.probe, Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	res, err := probeClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %.200s", method, &u, res.Status, body)
	}
	return body, err
}
