package pgtest

import "syscall"

// dieWithParent has the kernel end the server at once (SIGQUIT: PostgreSQL's immediate shutdown) when its parent dies.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGQUIT }
