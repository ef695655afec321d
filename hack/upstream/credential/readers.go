package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// readers tells each time that somebody has read a file and closed it.
type readers struct{ *os.File }

// readersOf watches this file, whatever name it gets.
func readersOf(path string) (readers, error) {
	descriptor, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return readers{}, os.NewSyscallError("inotify_init1", err)
	}
	events := readers{os.NewFile(uintptr(descriptor), "inotify")}
	if _, err := syscall.InotifyAddWatch(descriptor, path, syscall.IN_CLOSE_NOWRITE); err != nil {
		events.Close()
		return readers{}, os.NewSyscallError("inotify_add_watch", err)
	}
	return events, nil
}

// await waits until so many have come. Events of one file have no name: each is as long as the next. Equal ones that
// nobody has taken yet come as one.
func (r readers) await(count int) error {
	if err := r.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	buffer := make([]byte, 64*syscall.SizeofInotifyEvent)
	for count > 0 {
		length, err := r.Read(buffer)
		if err != nil {
			return fmt.Errorf("waiting for the library to read its file: %w", err)
		}
		count -= length / syscall.SizeofInotifyEvent
	}
	return nil
}
