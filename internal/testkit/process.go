package testkit

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// keeper runs a program and ends it when its own standard input ends, which happens on stop and when the test's process
// dies in whatever way. $1 is the signal, $2 a directory to remove then, or nothing. A program that ends by itself ends
// the keeper and leaves the directory.
const keeper = `signal=$1 dir=$2; shift 2
exec 3<&0
"$@" 3<&- & pid=$!
( read -r _ <&3; [ -z "$dir" ] || : > "$dir/stopped"; kill -s "$signal" "$pid" ) 2>/dev/null & guard=$!
wait "$pid"
kill "$guard" 2>/dev/null
[ -z "$dir" ] || [ ! -e "$dir/stopped" ] || rm -rf "$dir"`

// stopTimeout is how long a program may take to end before its keeper is killed.
const stopTimeout = 10 * time.Second

// process is a program under a keeper.
type process struct {
	cmd   *exec.Cmd
	alive io.WriteCloser
	ended chan struct{} // closed once the keeper is gone
}

// program says what to run.
type program struct {
	args   []string
	env    []string
	dir    string    // working directory
	signal string    // what ends it: TERM, QUIT
	remove string    // a directory to remove afterwards
	user   *account  // somebody else to run it as
	out    io.Writer // its standard output and error; an *os.File for a program that outlives the test
}

// account is a user of the system.
type account struct{ uid, gid uint32 }

// attributes makes a command run as the account; nil is the present user.
func (a *account) attributes() *syscall.SysProcAttr {
	if a == nil {
		return &syscall.SysProcAttr{}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: a.uid, Gid: a.gid}}
}

// start runs p in a process group of its own, so that an interrupt typed at the terminal reaches the tests alone and the
// keeper can clean up behind them.
func start(p program) (*process, error) {
	cmd := exec.Command("/bin/sh", slices.Concat([]string{"-c", keeper, "keeper", p.signal, p.remove}, p.args)...) //nolint:gosec,noctx // a test says what to run, stop ends it
	cmd.Env, cmd.Dir = p.env, p.dir
	cmd.Stdout, cmd.Stderr = p.out, p.out
	cmd.SysProcAttr = p.user.attributes()
	cmd.SysProcAttr.Setpgid = true
	cmd.WaitDelay = stopTimeout
	alive, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.args[0], err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.args[0], err)
	}
	proc := &process{cmd: cmd, alive: alive, ended: make(chan struct{})}
	go func() { // ends with the keeper
		defer close(proc.ended)
		_ = cmd.Wait() // a program that was told to end reports that it was
	}()
	return proc, nil
}

// stop ends the program and waits for it.
func (p *process) stop() {
	_ = p.alive.Close() // it may be closed already
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.ended
	}
}

// environ is the test's environment without the variables that begin with one of prefixes, and with more.
func environ(prefixes []string, more ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(v, p) })
	})
	return append(env, more...)
}
