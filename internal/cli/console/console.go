// Package console is one invocation of damson, for all its commands: what it was called with, the project, store and warehouse it
// opens, the server that may lead them, and how results and errors are written. Its central type is App. It has no command and knows
// no concrete driver: those are handed in (Drivers).
package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"damson/internal/clock"
	"damson/internal/diag"
)

// Exit codes, as documented in docs/cli.md.
const (
	exitOK     = 0
	exitFailed = 1 // the work failed: findings, failed tasks
	exitUsage  = 2 // wrong usage: nothing was tried
)

// App is one invocation of damson.
type App struct {
	In         io.Reader
	Out, Err   io.Writer
	Terminal   bool // out is a terminal: colours and live progress
	Width      int  // of the terminal, in characters
	Clock      clock.Clock
	ProjectDir string // --project
	Env        string // --env
	StoreFlag  string // --store
	Drivers    Drivers
	Redact     func(string) string // removes the project's secrets; nil before it is read
}

// UsageError marks an error as wrong usage: exit code 2.
type UsageError struct{ diag.Finding }

// Unwrap gives the finding.
func (u UsageError) Unwrap() error { return u.Finding }

// Usage makes an error about how the command was called.
func Usage(summary, detail, fix string) error {
	return UsageError{diag.Finding{Summary: summary, Detail: detail, Fix: fix}}
}

// ErrSilent ends the command with exit code 1 after it has said everything itself.
var ErrSilent = errors.New("reported")

// Exit reports err once and turns it into the exit code.
func (a *App) Exit(err error) int {
	var misuse UsageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, ErrSilent):
		return exitFailed
	case errors.As(err, &misuse):
		fmt.Fprintln(a.Err, a.errorText(err))
		return exitUsage
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(a.Err, "damson: interrupted")
		return exitFailed
	}
	fmt.Fprintln(a.Err, a.errorText(err))
	return exitFailed
}

func (a *App) errorText(err error) string {
	text := err.Error()
	if a.Redact != nil {
		text = a.Redact(text)
	}
	return a.Style(StyleBad, "error: ") + text
}

// Version is the module's version and the commit it was built from, as the Go toolchain recorded them.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 && !strings.Contains(v, s.Value[:12]) {
			v += " " + s.Value[:12]
		}
	}
	return v
}
