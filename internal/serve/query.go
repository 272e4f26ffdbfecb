package serve

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"damson/internal/diag"
)

// QueryPath is where statements are posted; ErrorTrailer tells, after the rows, what ended them early.
const (
	QueryPath    = "/api/v1/query"
	ErrorTrailer = "Damson-Error"
)

// Querier runs one statement in the warehouse and streams its rows.
type Querier func(ctx context.Context, sql string) (array.RecordReader, error)

// query answers a statement, the body of the request, with its rows as an Arrow stream. It takes as long as the statement does. An
// error before the first row is JSON: a diag.Finding.
func (s *Server) query(w http.ResponseWriter, r *http.Request) {
	want, got := "Bearer "+s.opts.Token, r.Header.Get("Authorization")
	if s.opts.Token == "" || subtle.ConstantTimeCompare([]byte(want), []byte(got)) != 1 {
		s.refuse(w, http.StatusUnauthorized, diag.Finding{Summary: "Not allowed", Detail: "The request has not the server's token.",
			Fix: "Use `damson query`, which reads it from the project's directory."})
		return
	}
	sql, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16<<20))
	if err != nil {
		s.refuse(w, http.StatusRequestEntityTooLarge, diag.AsFinding("The statement cannot be read", err))
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	rows, err := s.opts.Query(r.Context(), string(sql))
	if err != nil {
		s.refuse(w, http.StatusUnprocessableEntity, diag.AsFinding("The statement failed", err))
		return
	}
	defer rows.Release()
	w.Header().Set("Trailer", ErrorTrailer)
	w.Header().Set("Content-Type", "application/vnd.apache.arrow.stream")
	if err := stream(w, rows); err != nil {
		w.Header().Set(ErrorTrailer, s.findingText(diag.AsFinding("The statement failed", err)))
	}
}

// stream writes the rows batch by batch.
func stream(w http.ResponseWriter, rows array.RecordReader) error {
	out := ipc.NewWriter(w, ipc.WithSchema(rows.Schema()))
	for rows.Next() {
		if err := out.Write(rows.RecordBatch()); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return out.Close()
}

func (s *Server) refuse(w http.ResponseWriter, status int, f diag.Finding) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, s.findingText(f)) // whoever asked may be gone
}

// findingText is a finding as one line of JSON, without secrets.
func (s *Server) findingText(f diag.Finding) string {
	f.Summary, f.Detail, f.Fix = s.opts.Redact(f.Summary), s.opts.Redact(f.Detail), s.opts.Redact(f.Fix)
	text, err := json.Marshal(f)
	if err != nil {
		return `{"summary":"The statement failed"}`
	}
	return string(text)
}
