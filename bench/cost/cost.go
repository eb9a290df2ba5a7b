// Package cost says what a piece of work took of this process: processor time, memory and writing to files. It reads
// /proc and so works on Linux only.
package cost

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Cost is what a piece of work took.
type Cost struct {
	CPUSeconds   float64 // user and system time of this process, all of its threads
	WallSeconds  float64
	PeakBytes    int64 // the most memory the process ever held
	WrittenBytes int64 // to files, whether or not they are there any more; files in memory (tmpfs) do not count
}

// Meter measures from Start to Stop.
type Meter struct {
	began   time.Time
	cpu     float64
	written int64
}

// Start begins to measure.
func Start() (m Meter, err error) {
	if m.written, err = written(); err != nil {
		return m, err
	}
	m.cpu, err = cpu()
	m.began = time.Now()
	return m, err
}

// Stop returns what the process took since Start. It may be called again for a longer stretch.
func (m Meter) Stop() (c Cost, err error) {
	c.WallSeconds = time.Since(m.began).Seconds()
	used, err := cpu()
	if err != nil {
		return c, err
	}
	c.CPUSeconds = used - m.cpu
	if c.WrittenBytes, err = written(); err != nil {
		return c, err
	}
	c.WrittenBytes -= m.written
	c.PeakBytes, err = Peak(os.Getpid())
	return c, err
}

// Peak returns the most memory, in bytes, a process has held since it began. proc(5): VmHWM.
func Peak(pid int) (int64, error) {
	kilobytes, err := value(fmt.Sprintf("/proc/%d/status", pid), "VmHWM")
	return kilobytes << 10, err
}

func cpu() (float64, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("processor time: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds(), nil
}

// written counts the pages of files this process made dirty. proc(5): write_bytes.
func written() (int64, error) { return value("/proc/self/io", "write_bytes") }

// value reads the number after "name:" in a file of /proc.
func value(path, name string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), name+":")
		if fields := strings.Fields(rest); ok && len(fields) > 0 {
			return strconv.ParseInt(fields[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, name)
}
