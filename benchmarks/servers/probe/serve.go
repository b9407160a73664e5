package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// grace is how long requests in flight may take after SIGTERM.
const grace = time.Second

// Flags defines the flags that every server under test has. The caller parses the command line, and may define more.
func Flags() (listen, probe *string) {
	return flag.String("listen", "127.0.0.1:8080", "`host:port` to listen on"),
		flag.String("probe", "", "`host:port` of /stats and /debug/pprof/; empty for none")
}

// Serve serves h on listen, and the probe, until SIGTERM or an interrupt. It is the rest of a main: an error is logged
// and ends the process.
//
// The http.Server has no timeouts, as in the quick start of each SDK. They are the option that a public server needs;
// here they would only set deadlines for clients that keep to the protocol.
func Serve(listen, probe string, h http.Handler) {
	if err := serve(listen, probe, h, nil); err != nil {
		log.Fatal(err)
	}
}

// ServeTLS is Serve with HTTP/1.1 on TLS, by a certificate that nobody has signed.
func ServeTLS(listen, probe string, h http.Handler) {
	cfg, err := SelfSigned()
	if err == nil {
		cfg.NextProtos = []string{"http/1.1"}
		err = serve(listen, probe, h, cfg)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// serve speaks TLS if cfg is not nil.
func serve(listen, probe string, h http.Handler, cfg *tls.Config) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	if cfg != nil {
		ln = tls.NewListener(ln, cfg)
	}
	if err := Start(probe); err != nil {
		return err
	}
	srv := &http.Server{Handler: h}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	return shutdown(srv)
}

// shutdown waits for the requests in flight, then cuts off what is left, such as an event stream that a client holds.
func shutdown(srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := srv.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return srv.Close()
	}
	return err
}
