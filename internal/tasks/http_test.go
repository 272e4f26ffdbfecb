package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"damson/internal/engine"
	"damson/internal/pipeline"
)

func request(h pipeline.HTTP) *pipeline.Task {
	return &pipeline.Task{Kind: pipeline.HTTPTask, HTTP: &h}
}

// secrets must stand in no error, log or result.
var secrets = []string{"s3cret-query", "s3cret-header", "s3cret-user"}

func showsNoSecret(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%q shows %s", text, secret)
			}
		}
	}
}

// TestRequest sends what the task declares, rendered, and reports what came back.
func TestRequest(t *testing.T) {
	t.Parallel()
	s := openKinds(t, nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, "%s %s %s %s %s", r.Method, r.URL.Path, body, r.Header.Get("Authorization"), strings.Repeat("x", 5000))
	}))
	defer server.Close()
	h := pipeline.HTTP{Method: "PUT", URL: server.URL + "/day/{{ ds }}?type=application/json&key=s3cret-query", Body: `{"day": "{{ ds_nodash }}"}`,
		Headers: map[string]string{"Authorization": "Bearer s3cret-header"}}
	w, log := work(request(h))
	got := s.result(w)
	head := `{"status":202,"bytes":5061,"body":"PUT /day/2007-04-12 {\"day\": \"20070412\"} ******`
	if !strings.HasPrefix(got, head) || len(got) > 4200 {
		t.Errorf("it reports %s, want %s", got, head)
	}
	showsNoSecret(t, got, log.String())
	h.URL = server.URL + "/?type=image/png"
	w, _ = work(request(h))
	if got := s.result(w); strings.Contains(got, "body") {
		t.Errorf("a picture is reported: %s", got)
	}
}

// TestSecretsAtTheCut: of a long answer its beginning is kept, and nothing of a secret that stands where it is cut.
func TestSecretsAtTheCut(t *testing.T) {
	t.Parallel()
	s := openKinds(t, nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, "%s%s%s", strings.Repeat("x", 4096-10), r.Header.Get("X-Key"), strings.Repeat("y", 100))
	}))
	defer server.Close()
	w, _ := work(request(pipeline.HTTP{URL: server.URL, Headers: map[string]string{"X-Key": "s3cret-header"}}))
	if got := s.result(w); !strings.HasSuffix(got, `xxx******"}`) {
		t.Errorf("it reports … %s", got[len(got)-40:])
	}
}

// TestStatus: what the server may take back is tried again, what it refuses is not.
func TestStatus(t *testing.T) {
	t.Parallel()
	s := openKinds(t, nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var status int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.Header().Set("Retry-After", "30")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprintf(w, "said %s", r.Header.Get("X-Key"))
	}))
	defer server.Close()
	for _, c := range []struct {
		status   int
		expect   []int
		good     bool
		hopeless bool
	}{
		{200, nil, true, false}, {299, nil, true, false}, {500, nil, false, false}, {503, nil, false, false}, {429, nil, false, false},
		{408, nil, false, false}, {404, nil, false, true}, {401, nil, false, true}, {404, []int{200, 404}, true, false},
		{202, []int{200}, false, false}, {302, []int{302}, true, false}, {304, nil, false, false},
	} {
		w, log := work(request(pipeline.HTTP{URL: fmt.Sprintf("%s/%d?k=s3cret-query", server.URL, c.status), Expect: c.expect,
			Headers: map[string]string{"X-Key": "s3cret-header"}}))
		o, err := s.execute(w)
		if (err == nil) != c.good || errors.As(err, new(engine.Hopeless)) != c.hopeless {
			t.Errorf("%d, expected %v: %+v, %v", c.status, c.expect, o, err)
		}
		if err != nil {
			showsNoSecret(t, err.Error(), log.String())
			if text := err.Error(); !strings.Contains(text, fmt.Sprintf("gave %d", c.status)) || c.status != 304 && !strings.Contains(text, "said ******") {
				t.Errorf("%d: %v", c.status, err)
			}
		}
	}
}

// TestRedirects keep the task's headers to its own host and are bounded.
func TestRedirects(t *testing.T) {
	t.Parallel()
	s := openKinds(t, nil)
	seen := make(chan http.Header, 1)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen <- r.Header }))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
			return
		}
		http.Redirect(w, r, r.URL.Path+"x?"+r.URL.RawQuery, http.StatusFound)
	}))
	defer server.Close()
	headers := map[string]string{"X-Key": "s3cret-header", "Authorization": "Bearer s3cret-header"}
	w, _ := work(request(pipeline.HTTP{Method: "POST", URL: server.URL + "/away?k=s3cret-query", Headers: headers, Body: "b"}))
	s.result(w)
	showsNoSecret(t, fmt.Sprint(<-seen))
	w, _ = work(request(pipeline.HTTP{URL: server.URL + "/round?k=s3cret-query", Headers: headers}))
	_, err := s.execute(w)
	if err == nil || !strings.Contains(err.Error(), "more than 5 redirects") {
		t.Error(err)
	}
	showsNoSecret(t, fmt.Sprint(err))
}

// TestNoAnswer: who cannot be reached may be there later; what is no request never will be one. The context ends a request.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	s := openKinds(t, nil)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	at := strings.TrimPrefix(gone.URL, "http://")
	w, _ := work(request(pipeline.HTTP{URL: "http://u:s3cret-user@" + at + "/a?k=s3cret-query"}))
	s.fails(w, false, "No answer", "GET http://"+at+"/a", "connection refused")
	_, err := s.execute(w)
	showsNoSecret(t, fmt.Sprint(err))
	for _, address := range []string{"ftp://x/s", "/a?k=s3cret-query", "http://[s3cret-query", "http://x.example/%zz?s3cret-query"} {
		w, _ := work(request(pipeline.HTTP{URL: address}))
		s.fails(w, true, "Not a request that can be sent")
		_, err := s.execute(w)
		showsNoSecret(t, fmt.Sprint(err))
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel(why)
		<-r.Context().Done()
	}))
	defer slow.Close()
	w, _ = work(request(pipeline.HTTP{URL: slow.URL}))
	w.Task.Timeout = time.Hour
	if _, err := s.of.Executors()[pipeline.HTTPTask].Execute(ctx, w); !errors.Is(err, why) {
		t.Error(err)
	}
}
