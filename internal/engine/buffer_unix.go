//go:build unix

package engine

import "syscall"

// allocate returns n bytes outside of the heap, and what gives them back. A buffer of the heap as large as an executable
// would double the memory the garbage collector lets the process have.
func allocate(n int) ([]byte, func(), error) {
	b, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, nil, err
	}
	return b, func() { _ = syscall.Munmap(b) }, nil // it fails for other addresses only
}
