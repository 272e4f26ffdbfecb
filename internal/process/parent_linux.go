package process

import "syscall"

// dieWithParent has the program killed when the thread that started it ends, which here is when this process does.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }
