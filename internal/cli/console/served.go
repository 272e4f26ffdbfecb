package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"damson/internal/diag"
	"damson/internal/project"
	"damson/internal/serve"
)

// ServerNote tells commands where the server is that has the embedded warehouse open. Only the user who runs it can read the
// token.
type ServerNote struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

// ServerNoteFile is where the note is, in the project's directory.
func ServerNoteFile(dir string) string { return filepath.Join(dir, StateDir, "server.json") }

// ReadServerNote reads the note of the project in a directory; there is false when no server has left one.
func ReadServerNote(dir string) (note ServerNote, there bool) {
	text, err := os.ReadFile(ServerNoteFile(dir))
	if err == nil {
		err = json.Unmarshal(text, &note)
	}
	return note, err == nil
}

// QueryServed has the server run a statement; ok is false when there is no note of one.
func (a *App) QueryServed(ctx context.Context, p *project.Project, sql string) (rows array.RecordReader, ok bool, err error) {
	note, there := ReadServerNote(p.Dir)
	if !there {
		return nil, false, nil
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, note.URL+serve.QueryPath, bytes.NewReader([]byte(sql)))
	if err != nil {
		return nil, false, err
	}
	r.Header.Set("Authorization", "Bearer "+note.Token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, true, diag.Finding{Summary: "The server does not answer", Detail: err.Error(), Cause: err,
			Fix: "See whether `damson serve` still runs on this project."}
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		said, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
		return nil, true, errors.Join(findingOf(said), err)
	}
	reader, err := ipc.NewReader(response.Body)
	if err != nil {
		return nil, true, errors.Join(diag.AsFinding("The server's rows cannot be read", err), response.Body.Close())
	}
	return &servedRows{Reader: reader, response: response}, true, nil
}

// findingOf reads a finding that the server has sent.
func findingOf(text []byte) error {
	var f diag.Finding
	if err := json.Unmarshal(text, &f); err != nil || f.Summary == "" {
		return diag.Finding{Summary: "The server refused the statement", Detail: string(text)}
	}
	return f
}

// servedRows are rows that a server streams.
type servedRows struct {
	*ipc.Reader
	response *http.Response
}

// Err is what ended the rows early, here or in the server.
func (r *servedRows) Err() error {
	if said := r.response.Trailer.Get(serve.ErrorTrailer); said != "" {
		return findingOf([]byte(said))
	}
	return r.Reader.Err()
}

// Release ends the statement.
func (r *servedRows) Release() {
	r.Reader.Release()
	_ = r.response.Body.Close() // nothing is lost with what was not read
}
