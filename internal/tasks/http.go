package tasks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/template/airflow"
)

// httpExecutor sends one request. It shows neither headers nor the query and the user of the URL to anybody: secrets stand
// there.
type httpExecutor struct{ *Shop }

// answered is what a request reports.
type answered struct {
	Status int    `json:"status"`
	Bytes  int64  `json:"bytes"`          // of the body
	Body   string `json:"body,omitempty"` // its beginning, when it is text
}

const (
	keptBody      = 4 << 10          // bytes of a body that a result has
	shownBody     = 300              // bytes of a body that an error has
	longestBody   = 1 << 30          // bytes of a body that are read
	patienceHTTP  = 10 * time.Minute // for a request of a task without timeout
	mostRedirects = 5
)

// Execute sends the request and judges its status.
func (e httpExecutor) Execute(ctx context.Context, w engine.Work) (engine.Outcome, error) {
	c, err := e.workContext(ctx, w)
	if err != nil {
		return engine.Outcome{}, err
	}
	h, err := e.rendered(w.Task, c)
	if err != nil {
		return engine.Outcome{}, err
	}
	within := ctx
	if w.Task.Timeout == 0 {
		var cancel context.CancelFunc
		within, cancel = context.WithTimeoutCause(ctx, patienceHTTP, fmt.Errorf("no answer within %s", inWords(patienceHTTP)))
		defer cancel()
	}
	req, err := http.NewRequestWithContext(within, h.Method, h.URL, strings.NewReader(h.Body))
	if err != nil || req.URL.Host == "" || req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return engine.Outcome{}, engine.GiveUp(diag.Finding{At: w.Task.At, Summary: "Not a request that can be sent",
			Detail: fmt.Sprintf("%s %s: it takes a method and an address that begins with http:// or https://.", h.Method, e.shown(h.URL)),
			Fix:    "`damson render` shows what the templates give."})
	}
	req.Header.Set("User-Agent", "damson")
	for name, value := range h.Headers {
		req.Header.Set(name, value)
		if http.CanonicalHeaderKey(name) == "Host" {
			req.Host = value
		}
	}
	got, wait, err := send(req, h)
	if ctx.Err() != nil {
		return engine.Outcome{}, context.Cause(ctx)
	}
	if err != nil {
		if cause := context.Cause(within); cause != nil {
			err = cause
		}
		return engine.Outcome{}, diag.Finding{At: w.Task.At, Summary: "No answer",
			Detail: e.Project.Redact(fmt.Sprintf("%s %s: %v.", h.Method, e.shown(h.URL), reason(err))), Cause: err}
	}
	got.Body = e.masked(h, got)
	return e.judge(w, h, got, wait)
}

// rendered gives the request's texts.
func (s *Shop) rendered(t *pipeline.Task, c airflow.Context) (h pipeline.HTTP, err error) {
	h = *t.HTTP
	render := func(text string) string {
		if err == nil {
			text, err = s.Renderer.RenderText(t, text, c)
		}
		return text
	}
	h.URL, h.Body = render(h.URL), render(h.Body)
	h.Headers = make(map[string]string, len(t.HTTP.Headers))
	for name, value := range t.HTTP.Headers {
		h.Headers[name] = render(value)
	}
	if h.Method == "" {
		h.Method = http.MethodGet
	}
	return h, err
}

// shown is a URL without what may be secret.
func (s *Shop) shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "an address that is not one"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return s.Project.Redact(u.String())
}

// send makes the exchange.
func send(req *http.Request, h pipeline.HTTP) (got answered, wait string, err error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	client := http.Client{Transport: transport, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		return redirect(next, via, h)
	}}
	res, err := client.Do(req)
	if err != nil {
		return got, "", err
	}
	defer res.Body.Close()
	kept := &bytes.Buffer{}
	got.Status = res.StatusCode
	n, err := io.CopyN(kept, res.Body, keptBody)
	got.Bytes = n
	if err == nil {
		n, err = io.Copy(io.Discard, io.LimitReader(res.Body, longestBody-keptBody))
		got.Bytes += n
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return got, "", fmt.Errorf("reading the answer: %w", err)
	}
	if isText(res.Header.Get("Content-Type")) {
		got.Body = strings.ReplaceAll(strings.ToValidUTF8(kept.String(), "\uFFFD"), "\x00", "\uFFFD")
	}
	return got, res.Header.Get("Retry-After"), nil
}

// redirect follows at most mostRedirects, never from https to http; another host gets none of the task's headers. A
// redirect that is expected is the answer itself.
func redirect(next *http.Request, via []*http.Request, h pipeline.HTTP) error {
	first, last := via[0].URL, via[len(via)-1].URL
	switch {
	case slices.Contains(h.Expect, next.Response.StatusCode):
		return http.ErrUseLastResponse
	case len(via) > mostRedirects:
		return fmt.Errorf("more than %d redirects", mostRedirects)
	case last.Scheme == "https" && next.URL.Scheme != "https":
		return errors.New("it redirects from https to http")
	}
	next.Header.Del("Referer") // it has the query
	if next.URL.Host != first.Host {
		for name := range h.Headers {
			next.Header.Del(name)
		}
	}
	return nil
}

// isText reports whether a body of this type is for people.
func isText(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "json") || strings.HasSuffix(kind, "xml"))
}

// reason is an error without the URL that net/http puts before it.
func reason(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err
	}
	return err
}

// masked is the body without secrets of the project, and without what of the request may be secret, for servers that send it back.
func (s *Shop) masked(h pipeline.HTTP, got answered) string {
	own := secretsOf(h)
	var pairs []string
	for _, secret := range own {
		pairs = append(pairs, secret, "******")
	}
	body := strings.NewReplacer(pairs...).Replace(got.Body)
	if got.Bytes > keptBody {
		return s.Project.RedactCut(body, own...)
	}
	return s.Project.Redact(body)
}

// secretsOf are the parts of a request that may be secret.
func secretsOf(h pipeline.HTTP) (secrets []string) {
	add := func(text string) {
		if len(text) >= 4 {
			secrets = append(secrets, text)
		}
	}
	for name, value := range h.Headers {
		if openHeader(name) {
			continue
		}
		add(value)
		if _, token, ok := strings.Cut(value, " "); ok {
			add(token)
		}
	}
	if u, err := url.Parse(h.URL); err == nil {
		add(u.RawQuery)
		if password, ok := u.User.Password(); ok {
			add(password)
		}
	}
	return secrets
}

// openHeader reports whether a header holds no secret.
func openHeader(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Accept", "Content-Type", "User-Agent", "Host":
		return true
	}
	return false
}

// judge makes an outcome of a status. What the server may take back is tried again: 408, 429, 5xx and other successes than
// the expected ones; a request that it refuses is not.
func (e httpExecutor) judge(w engine.Work, h pipeline.HTTP, got answered, wait string) (engine.Outcome, error) {
	expected := slices.Contains(h.Expect, got.Status)
	wanted := strings.Trim(fmt.Sprint(h.Expect), "[]")
	if len(h.Expect) == 0 {
		expected, wanted = got.Status/100 == 2, "200 to 299"
	}
	said := fmt.Sprintf("%s %s gave %d %s", h.Method, e.shown(h.URL), got.Status, http.StatusText(got.Status))
	if expected {
		w.Log.Infof("%s, %d bytes", said, got.Bytes)
		return engine.Outcome{Result: got}, nil
	}
	f := diag.Finding{At: w.Task.At, Summary: "An unexpected answer", Detail: fmt.Sprintf("%s; expected is %s.", said, wanted)}
	if got.Body != "" {
		body := strings.TrimSpace(got.Body)
		f.Detail += " It says: " + strings.ToValidUTF8(body[:min(len(body), shownBody)], "")
	}
	if wait != "" {
		f.Detail += fmt.Sprintf("\nIt asks to be left alone first (Retry-After: %s).", wait)
	}
	switch got.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		f.Fix = "Look at the credentials in the task's headers or URL."
	}
	if got.Status/100 == 4 && got.Status != http.StatusRequestTimeout && got.Status != http.StatusTooManyRequests {
		return engine.Outcome{}, engine.GiveUp(f)
	}
	return engine.Outcome{}, f
}
