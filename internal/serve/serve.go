// Package serve is the HTTP listener of a running Damson: whether the process lives and can work, its metrics, and a page
// that says where things are. Its central type is Server.
//
// The package asks others for what it shows, through Check and Meter; it opens no store and no warehouse.
//
// Invariants:
//
//  1. Without users or tokens only this machine is served: Listen refuses any address that is not loopback.
//  2. A request whose Host is not a loopback name is refused. Otherwise a page on the internet could point its own name at
//     127.0.0.1 and read everything with the browser of whoever looks at it (DNS rebinding).
//  3. A request that changes something is refused when another site's page sent it.
//  4. Rows of the warehouse are given only to who has the token.
//  5. Serve returns when its context has ended and open requests are answered, or have had their time.
package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"damson/internal/diag"
)

// Options say what a Server shows.
type Options struct {
	Project     string // name
	Environment string
	Version     string // of Damson

	Checks []Check                  // what /readyz asks
	Meters []Meter                  // what /metrics shows beside the process itself
	Redact func(text string) string // removes secrets from what checks say; nil removes nothing
	Log    io.Writer                // for connections that go wrong; nil drops it
	Query  Querier                  // nil: statements are not answered
	Token  string                   // that Query asks for
}

// Check says whether one part can work: the store answers, the scheduler has beaten lately, a worker has its warehouse.
type Check struct {
	Name string
	Do   func(ctx context.Context) error // nil is well; ctx ends after two seconds
}

// Server answers HTTP requests.
type Server struct {
	opts    Options
	handler http.Handler
}

// New makes a Server.
func New(opts Options) *Server {
	if opts.Redact == nil {
		opts.Redact = func(text string) string { return text }
	}
	if opts.Log == nil {
		opts.Log = io.Discard
	}
	s := &Server{opts: opts}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", s.metrics())
	mux.HandleFunc("GET /{$}", s.page)
	if opts.Query != nil {
		mux.HandleFunc("POST "+QueryPath, s.query)
	}
	s.handler = headers(ownHost(http.NewCrossOriginProtection().Handler(mux)))
	return s
}

// Handler answers requests, with all checks of invariants 2 and 3.
func (s *Server) Handler() http.Handler { return s.handler }

// Listen opens the address, "127.0.0.1:8080" for example. The error is a diag.Finding.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, diag.Finding{Summary: "Bad address", Detail: fmt.Sprintf("%q is no address to listen on.", address),
			Fix: "Write host and port, such as 127.0.0.1:8080.", Cause: err}
	}
	if !isLoopback(host) {
		shown := host
		if shown == "" {
			shown = "every address of this machine"
		}
		return nil, diag.Finding{
			Summary: "Open to others",
			Detail:  fmt.Sprintf("Listening on %s lets other machines in, and this version of Damson has no users or tokens to tell them apart.", shown),
			Fix:     fmt.Sprintf("Listen on 127.0.0.1:%s, and let others in through an SSH tunnel or a proxy that asks who they are.", port),
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, diag.Finding{Summary: "Address in use", Detail: fmt.Sprintf("Another process listens on %s.", address),
			Fix: "Stop it, or choose another port with --listen.", Cause: err}
	case err != nil:
		return nil, diag.Finding{Summary: "Cannot listen", Detail: fmt.Sprintf("%s: %v.", address, err), Fix: "Choose another address with --listen.", Cause: err}
	}
	return l, nil
}

// grace is how long open requests have to end.
const grace = 10 * time.Second

// Serve answers on l until ctx ends, and closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(s.opts.Log, "", 0),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := server.Shutdown(ending)
	if err != nil {
		err = errors.Join(fmt.Errorf("requests on %s did not end within %s: %w", l.Addr(), grace, err), server.Close())
	}
	<-failed
	return err
}

// isLoopback takes an address or "localhost"; any other name may mean another machine tomorrow.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// ownHost holds invariant 2.
func ownHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ownName(r.Host) {
			http.Error(w, "This Damson answers on this machine only: use http://localhost or http://127.0.0.1 with its port.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ownName reports whether a Host header, with or without a port, is one of localhost, 127.0.0.1 and [::1].
func ownName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	return strings.EqualFold(host, "localhost") || host == "127.0.0.1" || host == "::1"
}

// headers keep other sites from framing what is served, and browsers from guessing what it is or keeping it.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
