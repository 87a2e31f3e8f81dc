// Package process starts the program as a process of its own, for demos and trials. It is not a supervisor: nothing is
// started again.
//
// Invariant: a process that was started here ends with the one that has started it, however that ends, so that nothing
// is left behind on a port: on Linux at once, elsewhere within a second or two.
package process

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
)

// Start starts a command in a process group of its own: an interrupt from the terminal is for us, and we end it in
// order. enter is called before, on the thread that starts it and in nothing else; ended with what Wait says, from a
// goroutine, if there was no error.
func Start(cmd *exec.Cmd, enter func() error, ended func(error)) error {
	cmd.SysProcAttr = attributes()
	began := make(chan error, 1)
	go func() {
		// On Linux a process ends with the thread that has started it, so that thread waits for it, and ends with us.
		runtime.LockOSThread()
		if err := enter(); err != nil {
			began <- err
			return
		}
		if err := cmd.Start(); err != nil {
			began <- err
			return
		}
		began <- nil
		guard(cmd.Process.Pid)
		ended(cmd.Wait())
	}()
	return <-began
}

// guard ends a process when this one is gone, however that ends. The kernel's death signal is lost when a node executes
// itself again, and there is none but on Linux.
func guard(pid int) {
	cmd := exec.Command("sh", "-c", `while kill -0 "$1" && kill -0 "$2"; do sleep 1; done 2>/dev/null; kill -0 "$1" 2>/dev/null || kill -9 "$2"`,
		"guard", strconv.Itoa(os.Getpid()), strconv.Itoa(pid))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if cmd.Start() == nil { // else the kernel's signal has to do
		go func() { _ = cmd.Wait() }() // it sees within a second that the process is gone
	}
}
