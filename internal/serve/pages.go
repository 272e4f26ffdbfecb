package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"sync"
	"time"
)

// health answers as long as the process lives.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "ok")
}

// part is one line of /readyz.
type part struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// checkTime is short enough for whoever asks every few seconds.
const checkTime = 2 * time.Second

// ready answers 200 when every part can work, 503 otherwise, and says which cannot.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), checkTime)
	defer cancel()
	body := struct {
		Ready bool   `json:"ready"`
		Parts []part `json:"parts"`
	}{Ready: true, Parts: make([]part, len(s.opts.Checks))}
	var checks sync.WaitGroup
	for i, c := range s.opts.Checks {
		checks.Go(func() { body.Parts[i] = s.ask(ctx, c) })
	}
	checks.Wait()
	status := http.StatusOK
	for _, p := range body.Parts {
		if !p.OK {
			body.Ready, status = false, http.StatusServiceUnavailable
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(body) // whoever asked may be gone
}

// ask gives up on a check that does not listen to its context: its goroutine ends when it does.
func (s *Server) ask(ctx context.Context, c Check) part {
	answer := make(chan error, 1)
	go func() { answer <- c.Do(ctx) }()
	select {
	case err := <-answer:
		if err != nil {
			return part{Name: c.Name, Detail: s.opts.Redact(err.Error())}
		}
		return part{Name: c.Name, OK: true}
	case <-ctx.Done():
		return part{Name: c.Name, Detail: fmt.Sprintf("no answer within %s", checkTime)}
	}
}

var pageTemplate = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{{.Project}} · Damson</title></head>
<body>
<h1>{{.Project}}</h1>
<p>Damson {{.Version}} serves this project in environment {{.Environment}}.</p>
<ul>
<li><a href="/readyz">/readyz</a>: whether every part can work, and which cannot</li>
<li><a href="/healthz">/healthz</a>: whether the process lives</li>
<li><a href="/metrics">/metrics</a>: metrics for Prometheus</li>
</ul>
<p>Runs and their logs: <code>damson runs</code>, <code>damson tasks RUN</code>, <code>damson logs RUN TASK</code>.
Why something does not run: <code>damson why</code>.</p>
</body>
</html>
`))

func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	var page bytes.Buffer
	if err := pageTemplate.Execute(&page, s.opts); err != nil {
		panic(fmt.Sprintf("serve: the page does not render: %v", err)) // it has names only
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page.Bytes())
}
