package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFullDisk fills the disk in the middle of a task: one clear error, nothing half-written, and once there is space the
// same command succeeds.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("a small disk is needed, and mounting one is not allowed here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	writeFile(t, dir, "damson.yaml", "name: full\n")
	writeFile(t, dir, "pipelines/p.star", `p = pipeline(name = "p")
p.sql("small", into = "x.small") >> p.sql("big", into = "x.big")
`)
	writeFile(t, dir, "sql/small.sql", "select 1 as i\n")
	writeFile(t, dir, "sql/big.sql", "select range as i, md5(range::text) as h from range(2000000)\n")
	ballast := filepath.Join(dir, "ballast")
	writeFile(t, dir, "ballast", strings.Repeat("x", 8<<20))
	out, err := exec.Command("damson", "--project", dir, "run", "p").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "disk is full") || strings.Contains(string(out), "panic") {
		t.Errorf("on a full disk the run gave %v:\n%s", err, out)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("damson", "--project", dir, "query", "select * from x.big limit 1").CombinedOutput(); err == nil {
		t.Errorf("the table was half-written:\n%s", out)
	}
	writeFile(t, dir, "sql/big.sql", "select range as i from range(10)\n")
	if out := damson(t, dir, "run", "p"); !strings.Contains(out, "done") {
		t.Errorf("with space the run said:\n%s", out)
	}
}
