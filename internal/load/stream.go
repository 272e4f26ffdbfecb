package load

import (
	"context"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
)

const (
	groupBytes  = 4 << 20 // of files that are parsed together, so that many small ones fill a batch
	groupAhead  = 4       // parts that a group may have ready before it is its turn
	rejectBatch = 4096    // rejects that go to the table at a time
)

// part is what a worker has ready: a batch, rejects, files that are done, or the error that ends the load.
type part struct {
	rows    arrow.RecordBatch
	rejects []Reject
	done    []record
	err     error
}

// group is a run of files that one worker parses.
type group struct {
	files []*file
	parts chan part
}

// groups cuts the files into runs of about groupBytes.
func groups(files []*file) []*group {
	var all []*group
	size := int64(groupBytes)
	for _, f := range files {
		if size >= groupBytes {
			all = append(all, &group{parts: make(chan part, groupAhead)})
			size = 0
		}
		g := all[len(all)-1]
		g.files = append(g.files, f)
		size += f.bytes
	}
	return all
}

// stream is the rows of all files as one Arrow reader. Workers parse groups at the same time; their rows come out in the
// order of the files, so that a load gives the same table in the same order every time.
//
// The reader ends when there are no more rows, and also when enough rejects have come together to be written, since a
// transaction takes one statement at a time: it is then paused, and goes on after resume.
type stream struct {
	schema  *arrow.Schema
	todo    []*group // not yet read to their end, in order
	next    func(*group) (p part, more bool, err error)
	current arrow.RecordBatch
	err     error
	paused  bool
	rejects []Reject // since the last resume
	done    []record
	taken   func(part) error // told of each part; its error ends the load

	cancel  context.CancelFunc
	workers sync.WaitGroup
}

// start begins to parse. The stream must be stopped.
func (j *job) start(ctx context.Context, files []*file) *stream {
	ctx, cancel := context.WithCancel(ctx)
	all := groups(files)
	s := &stream{schema: j.layout.schema(), todo: all, cancel: cancel, taken: j.taken}
	ahead := make(chan struct{}, j.threads+1) // bounds the groups that are begun but not yet read
	s.next = func(g *group) (part, bool, error) {
		select {
		case p, more := <-g.parts:
			if !more {
				<-ahead
			}
			return p, more, ctx.Err()
		case <-ctx.Done():
			return part{}, false, ctx.Err()
		}
	}
	queue := make(chan *group)
	s.workers.Go(func() {
		defer close(queue)
		for _, g := range all {
			select {
			case ahead <- struct{}{}:
			case <-ctx.Done():
				return
			}
			select {
			case queue <- g:
			case <-ctx.Done():
				return
			}
		}
	})
	for range j.threads {
		s.workers.Go(func() {
			w := newWorker(j)
			defer w.source.close()
			for g := range queue {
				w.run(ctx, g)
			}
		})
	}
	return s
}

// stop ends the workers and waits for them.
func (s *stream) stop() {
	s.cancel()
	s.workers.Wait()
	s.drop()
}

// drop lets go of the batch at hand.
func (s *stream) drop() {
	if s.current != nil {
		s.current.Release()
		s.current = nil
	}
}

// resume lets a paused stream go on, and gives the rejects and the finished files that have come together.
func (s *stream) resume() ([]Reject, []record) {
	rejects, done := s.rejects, s.done
	s.rejects, s.done, s.paused = nil, nil, false
	return rejects, done
}

// Next goes to the next batch.
func (s *stream) Next() bool {
	s.drop()
	for s.err == nil && !s.paused && len(s.todo) > 0 {
		p, more, err := s.next(s.todo[0])
		if err != nil {
			s.err = err
			break
		}
		if !more {
			s.todo = s.todo[1:]
			continue
		}
		s.rejects, s.done = append(s.rejects, p.rejects...), append(s.done, p.done...)
		s.paused = len(s.rejects) >= rejectBatch
		s.current = p.rows
		if s.err = p.err; s.err == nil {
			s.err = s.taken(p)
		}
		if s.err == nil && s.current != nil {
			return true
		}
	}
	return false
}

// Schema gives the columns of the target.
func (s *stream) Schema() *arrow.Schema { return s.schema }

// RecordBatch gives the batch at hand.
func (s *stream) RecordBatch() arrow.RecordBatch { return s.current }

// Record gives the batch at hand; it is the older name of RecordBatch.
func (s *stream) Record() arrow.RecordBatch { return s.current }

// Err says what ended the load.
func (s *stream) Err() error { return s.err }

// Retain and Release do nothing: the stream outlives its readers and ends with stop.
func (s *stream) Retain() {}

// Release does nothing, see Retain.
func (s *stream) Release() {}

// worker parses groups.
type worker struct {
	job    *job
	source *source
	out    *out
	done   []record // files since the last part
}

func newWorker(j *job) *worker {
	return &worker{job: j, source: newSource(), out: &out{layout: j.layout, batch: newBatch(j.layout, batchRows)}}
}

// run parses a group's files, until ctx ends.
func (w *worker) run(ctx context.Context, g *group) {
	defer close(g.parts)
	w.out.flush = func() error { return w.send(ctx, g, nil) }
	for _, f := range g.files {
		if ctx.Err() != nil {
			return
		}
		done, err := w.file(ctx, f)
		if err != nil {
			_ = w.send(ctx, g, err) // ctx has ended, or the reader gets it
			return
		}
		w.done = append(w.done, done)
	}
	_ = w.send(ctx, g, nil) // fails only when ctx has ended, which the reader sees
}

// send hands over what the worker has.
func (w *worker) send(ctx context.Context, g *group, failure error) error {
	p := part{rejects: w.out.rejects, done: w.done, err: failure}
	w.out.rejects, w.done = nil, nil
	if w.out.batch.rows > 0 {
		p.rows = w.out.batch.record(w.job.layout.schema())
		w.out.batch = newBatch(w.job.layout, batchRows)
	}
	select {
	case g.parts <- p:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// file parses one file.
func (w *worker) file(ctx context.Context, f *file) (record, error) {
	w.out.start(f)
	var sum string
	var err error
	if w.job.spec.Format == "parquet" {
		if err = w.parquet(ctx, f); err == nil {
			sum, err = w.source.sum(f)
		}
	} else {
		sum, err = w.source.read(f, w.job.parser(), w.out)
	}
	return record{file: f.name, bytes: f.bytes, sum: sum, rows: w.out.rows, rejects: w.out.refused}, err
}
