//go:build !linux

package process

import "syscall"

// dieWithParent leaves it to the leash.
func dieWithParent(*syscall.SysProcAttr) {}
