package pgtest

import (
	"errors"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
)

// run starts cmd, reads its log and waits for its end, on one thread of its own: the kernel ends the server when the thread
// that started it dies, which must not happen before the test process does.
func run(cmd *exec.Cmd, started chan<- error, readLog func(), ended chan<- struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(ended)
	err := cmd.Start()
	started <- err
	if err != nil {
		return
	}
	readLog()
	_ = cmd.Wait() // how a server ended that was told to is of no interest
}

// server is the user that servers run as when the tests run as root, which PostgreSQL refuses to.
func server() (uid, gid int, err error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err := errors.Join(err1, err2); err != nil {
			return 0, 0, err
		}
		return uid, gid, nil
	}
	return 0, 0, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}

// giveAway makes the server's user the owner of a file or directory.
func giveAway(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	uid, gid, err := server()
	if err != nil {
		return err
	}
	return os.Chown(path, uid, gid)
}

// attributes are those of a server's process.
func attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is for the tests
	dieWithParent(a)
	if os.Geteuid() == 0 {
		if uid, gid, err := server(); err == nil {
			a.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return a
}
