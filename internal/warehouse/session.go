package warehouse

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

// Session is a session of its own outside of a transaction, for one goroutine. Temporary tables that are made in it end
// with it, however it ends.
type Session struct {
	w       *Warehouse
	session driver.Session
}

// Session begins one. It must be closed.
func (w *Warehouse) Session(ctx context.Context) (*Session, error) {
	s, err := w.driver.Session(ctx)
	if err != nil {
		return nil, finding(sqltext.Text{}, err)
	}
	return &Session{w, s}, nil
}

// Exec runs one statement and gives the number of rows it changed, -1 when the database does not say.
func (s *Session) Exec(ctx context.Context, text sqltext.Text) (int64, error) {
	if changesCatalog(text.SQL()) {
		defer s.w.catalog.change()()
	}
	n, err := s.session.Exec(ctx, text.SQL())
	return n, finding(text, err)
}

// Query streams the rows of one statement that changes nothing. The reader must be released before the next statement.
func (s *Session) Query(ctx context.Context, text sqltext.Text) (array.RecordReader, error) {
	return query(ctx, s.session, text)
}

// Close ends it.
func (s *Session) Close() { s.session.Close() }
