package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"

	"millrace/benchmarks/daemon"
)

// haproxyConfig is a plain setup; benchmarks/README.md says why each of these is as it is.
//
// A call that a server has perhaps read must not be sent again: it may have run. So a POST is tried again only when its
// connection could not be made, and nothing else is said to HAProxy that could hide a fault of a drain. A GET opens a
// WebSocket and runs nothing.
var haproxyConfig = template.Must(template.New("haproxy").Parse(`global
    log stdout format raw local0
    maxconn 1000

defaults
    mode http
    log global
    option httplog
    option dontlog-normal
    timeout connect 250ms
    timeout check 1s
    timeout client 90s
    timeout server 90s
    timeout http-keep-alive 90s
    timeout tunnel 1h

listen stats
    bind {{.Stats}}
    stats enable
    stats uri /

listen millrace
    bind {{.Addr}}
    balance roundrobin
    option redispatch 1
    retries 3
    retry-on conn-failure empty-response 503
    http-request disable-l7-retry unless METH_GET
    http-reuse always
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host localhost
    http-check expect status 200
    default-server check inter 100ms fall 1 rise 1
{{range .Servers}}    server {{.Name}} {{.Addr}} port {{.AdminPort}}{{if .Proxied}} send-proxy-v2{{end}}
{{end}}`))

// haproxyServer is a line of it.
type haproxyServer struct {
	Name, Addr string
	admin      string
	Proxied    bool // connections begin with a PROXY header
}

// AdminPort is where HAProxy asks whether the server is ready.
func (s haproxyServer) AdminPort() string {
	_, port, _ := net.SplitHostPort(s.admin)
	return port
}

// haproxy is one running HAProxy.
type haproxy struct {
	*daemon.Process
	stats string
	log   *os.File
	http  http.Client
}

// startHAProxy starts bin in front of the servers and waits until it sees all of them.
func (b *bench) startHAProxy(ctx context.Context, bin string, servers []haproxyServer) (*haproxy, error) {
	addrs, err := daemon.FreeAddrs(2)
	if err != nil {
		return nil, err
	}
	h := &haproxy{stats: addrs[1], http: http.Client{Timeout: time.Second}}
	config := filepath.Join(b.dir, "haproxy.cfg")
	if err := writeHAProxyConfig(config, addrs[0], addrs[1], servers); err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(ctx, bin, "-c", "-f", config).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("haproxy does not take its configuration: %w\n%s", err, out)
	}
	if h.log, err = os.Create(filepath.Join(b.dir, "haproxy.log")); err != nil {
		return nil, err
	}
	if h.Process, err = daemon.Start(daemon.Command{Bin: bin, Args: []string{"-db", "-f", config}, Log: h.log, Addr: addrs[0]}); err != nil {
		return nil, errors.Join(err, h.log.Close())
	}
	for _, s := range servers {
		if err := h.waitUp(ctx, s.Name); err != nil {
			h.stop()
			return nil, fmt.Errorf("%w\n%s", err, h.logTail())
		}
	}
	return h, nil
}

func writeHAProxyConfig(file, addr, stats string, servers []haproxyServer) error {
	var text strings.Builder
	if err := haproxyConfig.Execute(&text, struct {
		Addr, Stats string
		Servers     []haproxyServer
	}{addr, stats, servers}); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text.String()), 0o600)
}

func (h *haproxy) stop() {
	h.Stop(time.Second)
	_ = h.log.Close()
}

// logTail is what HAProxy has said: with dontlog-normal that is about errors and about servers that come and go.
func (h *haproxy) logTail() string {
	text, err := os.ReadFile(h.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// waitUp waits until HAProxy takes the server for one that is up.
func (h *haproxy) waitUp(ctx context.Context, server string) error {
	start := time.Now()
	for {
		rows, err := h.rows(ctx)
		if err == nil && strings.HasPrefix(rows[server]["status"], "UP") {
			return nil
		}
		if !h.Alive() || time.Since(start) > answerTime {
			return fmt.Errorf("haproxy does not see %s up: %w, status %q", server, errors.Join(err), rows[server]["status"])
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// rows is what HAProxy counts for each of its servers, and for all of them under BACKEND.
func (h *haproxy) rows(ctx context.Context) (map[string]map[string]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.stats+"/;csv", nil)
	if err != nil {
		return nil, err
	}
	res, err := h.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	lines, err := csv.NewReader(res.Body).ReadAll()
	if err != nil || len(lines) < 2 {
		return nil, fmt.Errorf("statistics of haproxy: %d lines, %w", len(lines), errors.Join(err))
	}
	return byServer(lines), nil
}

// byServer reads the table; its first column is the proxy, its second the server.
func byServer(lines [][]string) map[string]map[string]string {
	rows := make(map[string]map[string]string)
	for _, line := range lines[1:] {
		if line[0] != "millrace" {
			continue
		}
		row := make(map[string]string, len(line))
		for i, name := range lines[0] {
			row[name] = line[i]
		}
		rows[line[1]] = row
	}
	return rows
}

// number is a count of a row; what HAProxy leaves empty is 0.
func number(row map[string]string, name string) int64 {
	n, _ := strconv.ParseInt(row[name], 10, 64)
	return n
}
