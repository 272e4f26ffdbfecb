package store

import (
	"context"
	"errors"
	"fmt"
)

// ErrUnregistered says that a process is not, or no longer, among the registered ones: somebody took it for dead.
var ErrUnregistered = errors.New("the process is not registered")

// Register adds a process, or replaces what is known of it. Its beat goes on from the one stored, p.Beat is not looked at.
func (s *Store) Register(ctx context.Context, p Process) error {
	return s.write(ctx, func(ses *session) error {
		err := ses.later(nil, `INSERT INTO processes (id, host, pid, started, beat, slots, warehouse, leads, address, version)
			VALUES (?,?,?,?,1,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET host = excluded.host, pid = excluded.pid,
			started = excluded.started, beat = processes.beat + 1, slots = excluded.slots, warehouse = excluded.warehouse,
			leads = excluded.leads, address = excluded.address, version = excluded.version`,
			p.ID, p.Host, p.PID, p.Started.UnixMicro(), p.Slots, truth(p.Warehouse), truth(p.Leads), p.Address, p.Version)
		if err != nil {
			return fmt.Errorf("registering process %s: %w", p.ID, err)
		}
		return nil
	})
}

// BeatProcess says that a process lives, and whether it has the warehouse open. It is ErrUnregistered when the process is
// not there.
func (s *Store) BeatProcess(ctx context.Context, id string, warehouse bool) error {
	return s.write(ctx, func(ses *session) error {
		return ses.later(func(rows int64) error {
			if rows == 0 {
				return ErrUnregistered
			}
			return nil
		}, `UPDATE processes SET beat = beat + 1, warehouse = ? WHERE id = ?`, truth(warehouse), id)
	})
}

// Unregister removes a process; one that is not there is no error.
func (s *Store) Unregister(ctx context.Context, id string) error {
	return s.write(ctx, func(ses *session) error { return ses.later(nil, `DELETE FROM processes WHERE id = ?`, id) })
}

// Processes lists the registered processes, first started first.
func (s *Store) Processes(ctx context.Context) ([]Process, error) {
	return list(ctx, s, "processes", func(scan scanner) (p Process, err error) {
		var started int64
		err = scan(&p.ID, &p.Host, &p.PID, &started, &p.Beat, &p.Slots, &p.Warehouse, &p.Leads, &p.Address, &p.Version)
		p.Started = fromMicros(started)
		return p, err
	}, `SELECT id, host, pid, started, beat, slots, warehouse, leads, address, version FROM processes ORDER BY started, id`)
}
