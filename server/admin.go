package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"
	"time"
)

// adminServer answers operators and probes. It is a net/http server of its own,
// because it must answer when the loops do not.
type adminServer struct {
	ln   net.Listener
	http *http.Server
	done chan struct{}
}

// checkAdmin finds settings of the admin listener that mean nothing, or too much.
func (r *runState) checkAdmin() error {
	addr := r.cfg.Admin
	if addr == "" {
		if r.cfg.Pprof {
			return errors.New("pprof needs the admin listener: set --admin (Server.Admin)")
		}
		if r.cfg.AdminToken != "" {
			return errors.New("the admin token needs the admin listener: set --admin (Server.Admin)")
		}
		return nil
	}
	if n := len(r.cfg.AdminToken); n > 0 && n < minAdminToken {
		return fmt.Errorf("admin: a token of %d characters can be guessed: want at least %d", n, minAdminToken)
	}
	loopback, err := isLoopback(addr)
	if err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	if !loopback {
		return fmt.Errorf("admin: refusing to listen on %s: everybody can read it, so it must stay on a loopback address", addr)
	}
	return nil
}

// startAdmin opens the admin listener, if one is wanted.
func (r *runState) startAdmin() error {
	addr := r.cfg.Admin
	if err := r.checkAdmin(); err != nil || addr == "" {
		return err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("admin: %w (choose another address with --admin, or turn it off with --admin=)", err)
	}
	a := &adminServer{ln: ln, done: make(chan struct{})}
	a.http = &http.Server{Handler: r.adminHandler(), ReadHeaderTimeout: 5 * time.Second}
	r.admin = a
	go func() {
		defer close(a.done)
		if err := a.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			r.log.Error("admin listener failed", "err", err)
		}
	}()
	return nil
}

func (a *adminServer) addr() string { return a.ln.Addr().String() }

func (a *adminServer) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if a.http.Shutdown(ctx) != nil {
		_ = a.http.Close()
	}
	<-a.done
}

// adminHandler serves the admin endpoints. Host and Origin are checked as on the
// data endpoint: a page in a browser must not read them.
func (r *runState) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if r.draining.Load() || r.cfg.running.Load() != r {
			http.Error(w, "draining", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ready\n")
	})
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		_ = enc.Encode(struct {
			Info Info `json:"info"`
			Stats
		}{r.cfg.Info(), r.cfg.Stats()})
	})
	mux.HandleFunc("POST /drain", r.changing(func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "draining\n")
		r.quitOnce.Do(func() { close(r.quit) })
	}))
	mux.HandleFunc("POST /reload", r.changing(func(w http.ResponseWriter) {
		if r.cfg.Reload == nil {
			http.Error(w, "there is nothing to reload", http.StatusNotFound)
			return
		}
		go r.gate.hooks.guard(r.cfg.Reload)
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "reloading: the log says what has changed\n")
	}))
	if r.cfg.Pprof {
		// Not cmdline: what stands in arguments is nobody's business.
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return guardAdmin(mux)
}

// minAdminToken keeps a token from being guessed.
const minAdminToken = 16

// changing lets f run for who brings the admin token.
func (r *runState) changing(f func(http.ResponseWriter)) http.HandlerFunc {
	want := sha256.Sum256([]byte("Bearer " + r.cfg.AdminToken))
	return func(w http.ResponseWriter, req *http.Request) {
		got := sha256.Sum256([]byte(req.Header.Get("Authorization")))
		switch {
		case r.cfg.AdminToken == "":
			http.Error(w, "nothing can be changed here: set --admin-token-file (Server.AdminToken)", http.StatusForbidden)
		case subtle.ConstantTimeCompare(got[:], want[:]) != 1:
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "the admin token is wrong or missing", http.StatusUnauthorized)
		default:
			f(w)
		}
	}
}

// guardAdmin lets only loopback names through as Host, and no foreign Origin.
func guardAdmin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		host := req.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if !strings.EqualFold(host, "localhost") && (err != nil || !ip.Unmap().IsLoopback()) {
			http.Error(w, "Host is not a loopback name", http.StatusForbidden)
			return
		}
		if o := req.Header.Get("Origin"); o != "" && o != "http://"+req.Host {
			http.Error(w, "Origin is not allowed", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, req)
	})
}
