package cli_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"damson/internal/cli"
	"damson/internal/pgtest"
)

// TestMain makes the test binary serve as damson for the scripts. With the race detector every process sleeps for a second at its
// end unless it is told not to, and the tests start hundreds.
func TestMain(m *testing.M) {
	if os.Getenv("GORACE") == "" {
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	testscript.Main(tests{m}, map[string]func(){
		"damson": func() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// tests are all tests of the package.
type tests struct{ *testing.M }

// Run runs them, and removes what they share.
func (t tests) Run() int {
	code := t.M.Run()
	pgtest.Stop()
	if err := os.RemoveAll(tour.dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// TestScripts runs the command lines in testdata/script: what each prints, and how it exits. Its -update flag rewrites the
// expected outputs that the scripts compare whole.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds:                map[string]func(ts *testscript.TestScript, neg bool, args []string){"torn": writeTornGzip, "await": await},
		Setup: func(env *testscript.Env) error {
			env.Setenv("NO_COLOR", "1")
			env.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
	})
}

// writeTornGzip is the script command `torn FILE`: it writes the first half of a compressed file.
func writeTornGzip(ts *testscript.TestScript, _ bool, args []string) {
	var whole bytes.Buffer
	z := gzip.NewWriter(&whole)
	for i := range 1000 {
		if _, err := fmt.Fprintf(z, "%d,%x\n", i, i*i); err != nil {
			ts.Fatalf("torn: %v", err)
		}
	}
	if err := z.Close(); err != nil {
		ts.Fatalf("torn: %v", err)
	}
	if err := os.WriteFile(ts.MkAbs(args[0]), whole.Bytes()[:whole.Len()/2], 0o666); err != nil {
		ts.Fatalf("torn: %v", err)
	}
}

// await is the script command `await REGEXP PROGRAM ARG…`: it runs the program until its standard output matches.
func await(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: await REGEXP PROGRAM ARG…")
	}
	want, err := regexp.Compile(args[0])
	ts.Check(err)
	for late := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(late) {
			ts.Fatalf("await: %s does not print %s: %v", strings.Join(args[1:], " "), args[0], err)
		}
	}
}
