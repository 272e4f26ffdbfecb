package serve_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"damson/internal/diag"
	"damson/internal/serve"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ask(h http.Handler, method, path, host string, head ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Host = host
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHealthAndPage(t *testing.T) {
	t.Parallel()
	h := serve.New(serve.Options{Project: "<geo>life", Environment: "dev", Version: "v1.2.3"}).Handler()
	if w := ask(h, "GET", "/healthz", "localhost:8080"); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("/healthz gives %d %q", w.Code, w.Body)
	}
	w := ask(h, "GET", "/", "127.0.0.1:8080")
	for _, want := range []string{"&lt;geo&gt;life", "v1.2.3", "environment dev", `href="/readyz"`, "damson why"} {
		if w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("the page (%d) has no %q:\n%s", w.Code, want, w.Body)
		}
	}
	if got := w.Header().Get("Content-Security-Policy"); !strings.Contains(got, "frame-ancestors 'none'") {
		t.Errorf("the page may be framed: %q", got)
	}
	if w := ask(h, "GET", "/nothing", "localhost"); w.Code != 404 {
		t.Errorf("/nothing gives %d", w.Code)
	}
	if w := ask(h, "POST", "/healthz", "localhost"); w.Code != 405 {
		t.Errorf("POST gives %d", w.Code)
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	well := serve.Check{Name: "store", Do: func(context.Context) error { return nil }}
	bad := serve.Check{Name: "warehouse", Do: func(context.Context) error { return errors.New("no route to s3cret@host") }}
	gone := serve.Check{Name: "worker", Do: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	redact := func(text string) string { return strings.ReplaceAll(text, "s3cret", "******") }
	h := func(checks ...serve.Check) http.Handler {
		return serve.New(serve.Options{Checks: checks, Redact: redact}).Handler()
	}
	type body struct {
		Ready bool
		Parts []struct {
			Name, Detail string
			OK           bool
		}
	}
	read := func(w *httptest.ResponseRecorder) (b body) {
		if err := json.Unmarshal(w.Body.Bytes(), &b); err != nil {
			t.Fatalf("%v in %s", err, w.Body)
		}
		return b
	}
	w := ask(h(well), "GET", "/readyz", "localhost")
	if b := read(w); w.Code != 200 || !b.Ready || len(b.Parts) != 1 || !b.Parts[0].OK {
		t.Errorf("a ready server gives %d %s", w.Code, w.Body)
	}
	w = ask(h(well, bad), "GET", "/readyz", "localhost")
	if b := read(w); w.Code != 503 || b.Ready || !b.Parts[0].OK || b.Parts[1].OK || b.Parts[1].Detail != "no route to ******@host" {
		t.Errorf("a server without warehouse gives %d %s", w.Code, w.Body)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // as if the two seconds were over
	r := httptest.NewRequestWithContext(ctx, "GET", "/readyz", nil)
	r.Host = "localhost"
	late := httptest.NewRecorder()
	h(gone).ServeHTTP(late, r)
	if late.Code != 503 {
		t.Errorf("a part that does not answer gives %d %s", late.Code, late.Body)
	}
	if w := ask(h(), "GET", "/readyz", "localhost"); w.Code != 200 || !strings.Contains(w.Body.String(), `"parts": []`) {
		t.Errorf("without parts /readyz gives %d %s", w.Code, w.Body)
	}
}

type meter func() ([]serve.Metric, error)

func (m meter) Measure(context.Context) ([]serve.Metric, error) { return m() }

func TestMetrics(t *testing.T) {
	t.Parallel()
	runs := meter(func() ([]serve.Metric, error) {
		return []serve.Metric{
			{Name: "damson_runs_active", Help: "Runs that are not over.", Values: []serve.Value{{Value: 3}}},
			{Name: "damson_task_runs_total", Help: "Task runs that ended.", Counter: true, Labels: []string{"pipeline", "state"},
				Values: []serve.Value{{Labels: []string{"geo\"life", "success"}, Value: 7}, {Labels: []string{"bad\xff", "failed"}, Value: 1}}},
		}, nil
	})
	away := meter(func() ([]serve.Metric, error) { return nil, errors.New("the store is away") })
	odd := meter(func() ([]serve.Metric, error) {
		return []serve.Metric{{Name: "damson_odd", Labels: []string{"a"}, Values: []serve.Value{{Labels: []string{"x", "y"}, Value: 1}}}}, nil
	})
	h := serve.New(serve.Options{Version: "v1.2.3", Meters: []serve.Meter{runs, away, odd}}).Handler()
	w := ask(h, "GET", "/metrics", "localhost")
	for _, want := range []string{
		"# TYPE damson_runs_active gauge\ndamson_runs_active 3\n", "# TYPE damson_task_runs_total counter\n",
		`damson_task_runs_total{pipeline="geo\"life",state="success"} 7`, `damson_task_runs_total{pipeline="bad` + "\uFFFD" + `",state="failed"} 1`,
		`damson_build_info{version="v1.2.3"} 1`, "go_goroutines",
	} {
		if w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("/metrics (%d) has no %q", w.Code, want)
		}
	}
}

// TestOtherNames is about pages whose name leads to this machine, and about other sites' forms.
func TestOtherNames(t *testing.T) {
	t.Parallel()
	h := serve.New(serve.Options{}).Handler()
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:1": 200, "127.0.0.1": 200, "127.0.0.1:8080": 200, "[::1]": 200, "[::1]:8080": 200,
		"": 403, "evil.example": 403, "evil.example:8080": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403, "10.0.0.1": 403,
		"localhost:8080:evil": 403, "evil@localhost": 403,
	} {
		for _, path := range []string{"/", "/healthz", "/readyz", "/metrics", "/nothing"} {
			w := ask(h, "GET", path, host)
			if w.Code == 404 && path == "/nothing" {
				w.Code = 200
			}
			if w.Code != want {
				t.Errorf("Host %q gives %d for %s, want %d", host, w.Code, path, want)
			}
		}
	}
	if w := ask(h, "POST", "/healthz", "localhost", "Sec-Fetch-Site", "cross-site"); w.Code != 403 {
		t.Errorf("another site's form gives %d", w.Code)
	}
}

func TestListenRefuses(t *testing.T) {
	t.Parallel()
	taken, err := serve.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for address, want := range map[string]string{
		"0.0.0.0:8080": "Open to others", ":8080": "Open to others", "[::]:8080": "Open to others", "192.168.1.7:80": "Open to others",
		"damson.example:80": "Open to others", "8080": "Bad address", "127.0.0.1:x": "Cannot listen", taken.Addr().String(): "Address in use",
	} {
		l, err := serve.Listen(t.Context(), address)
		var f diag.Finding
		if !errors.As(err, &f) || f.Summary != want || f.Fix == "" {
			t.Errorf("Listen(%q) gives %v, want %q", address, err, want)
		}
		if l != nil {
			l.Close()
		}
	}
}

// TestServe asks over a connection, ends the server while a request is open, and sees the request answered.
func TestServe(t *testing.T) {
	t.Parallel()
	l, err := serve.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	slow := serve.Check{Name: "slow", Do: func(context.Context) error {
		cancel() // the server is told to end while this request is open
		return nil
	}}
	s := serve.New(serve.Options{Checks: []serve.Check{slow}})
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + l.Addr().String() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || response.StatusCode != 200 {
		t.Errorf("the open request gives %d %s (%v)", response.StatusCode, body, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve gives %v", err)
	}
	if _, err := client.Get("http://" + l.Addr().String() + "/healthz"); err == nil {
		t.Error("a server that has ended answers")
	}
}

func TestServeOnAClosedListener(t *testing.T) {
	t.Parallel()
	l, err := serve.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := serve.New(serve.Options{}).Serve(t.Context(), l); err == nil {
		t.Error("serving on a closed listener succeeds")
	}
}
