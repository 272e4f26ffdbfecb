package cli

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

// app is one invocation of damson.
type app struct {
	in         io.Reader
	out, err   io.Writer
	terminal   bool // out is a terminal: colours and live progress
	width      int  // of the terminal, in characters
	clock      clock.Clock
	projectDir string // --project
	env        string // --env
	storeFlag  string // --store
	drivers    Drivers
	redact     func(string) string // removes the project's secrets; nil before it is read
}

// usageError marks an error as wrong usage: exit code 2.
type usageError struct{ diag.Finding }

func (u usageError) Unwrap() error { return u.Finding }

// usage makes an error about how the command was called.
func usage(summary, detail, fix string) error {
	return usageError{diag.Finding{Summary: summary, Detail: detail, Fix: fix}}
}

// errSilent ends the command with exit code 1 after it has said everything itself.
var errSilent = errors.New("reported")

// exit reports err once and turns it into the exit code.
func (a *app) exit(err error) int {
	var misuse usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errSilent):
		return exitFailed
	case errors.As(err, &misuse):
		fmt.Fprintln(a.err, a.errorText(err))
		return exitUsage
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(a.err, "damson: interrupted")
		return exitFailed
	}
	fmt.Fprintln(a.err, a.errorText(err))
	return exitFailed
}

func (a *app) errorText(err error) string {
	text := err.Error()
	if a.redact != nil {
		text = a.redact(text)
	}
	return a.style(styleBad, "error: ") + text
}

// version is the module's version and the commit it was built from, as the Go toolchain recorded them.
func version() string {
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
