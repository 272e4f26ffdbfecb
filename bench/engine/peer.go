package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// prefectFlow is the same chain as a flow of Prefect.
//
//go:embed peer_prefect.py
var prefectFlow string

// luigiFlow is the same chain as tasks of Luigi, which keeps no state but the files that tasks leave.
//
//go:embed peer_luigi.py
var luigiFlow string

// peer prints what the chains of 40 × fibo(10) and 10 × fibo(33) take in peers that the Python named by -python has, beside a
// plain loop and Damson in the same minutes.
func (b *bench) peer(ctx context.Context) error {
	fmt.Printf("%-10s %-18s %9s %14s\n", "system", "chain", "s", "overhead ms")
	for _, c := range chains[:2] {
		s, err := b.site("sqlite", chainFiles())
		if err != nil {
			return err
		}
		all := []struct {
			name string
			do   func() (time.Duration, error)
		}{
			{"loop", func() (time.Duration, error) { return s.floor(ctx, c) }},
			{"damson", func() (time.Duration, error) { took, _, err := s.serveChain(ctx, c); return took, err }},
			{"luigi", func() (time.Duration, error) { return s.script(ctx, luigiFlow, c) }},
			{"prefect", func() (time.Duration, error) { return s.script(ctx, prefectFlow, c) }},
		}
		took := make([][]time.Duration, len(all))
		for range b.rounds {
			for i, system := range all {
				t, err := system.do()
				if err != nil {
					return fmt.Errorf("%s: %w", system.name, err)
				}
				took[i] = append(took[i], t)
			}
		}
		for i, system := range all {
			var over []float64
			for k, t := range took[i] {
				over = append(over, milliseconds(t-took[0][k])/float64(c.n))
			}
			fmt.Printf("%-10s %-18s %9.3f %14.1f\n", system.name, c.title(), median(took[i]).Seconds(), median(over))
		}
		if err := s.close(); err != nil {
			return err
		}
	}
	return nil
}

// script runs a peer's program, which prints as JSON the seconds from the start of the first task to the end of the last.
func (s *site) script(ctx context.Context, program string, c chain) (time.Duration, error) {
	path := filepath.Join(s.dir, "peer.py")
	if err := os.WriteFile(path, []byte(program), 0o644); err != nil {
		return 0, err
	}
	home, err := os.MkdirTemp(s.dir, "peer")
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, s.peers, path, fmt.Sprint(c.n), fmt.Sprint(c.k), home)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "FIBO_PYTHON="+s.python, "PREFECT_HOME="+home, "PREFECT_LOGGING_LEVEL=ERROR", "DO_NOT_TRACK=1", "PREFECT_SERVER_ANALYTICS_ENABLED=false")
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%w\n%s", err, out)
	}
	var seconds float64
	if err := json.Unmarshal(out, &seconds); err != nil {
		return 0, err
	}
	return time.Duration(seconds * float64(time.Second)), nil
}
