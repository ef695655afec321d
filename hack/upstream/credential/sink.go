package main

import (
	"sync/atomic"

	"github.com/go-logr/logr"
)

// sink notes that the library has told of an error, which is how it tells of a reload that failed.
type sink struct {
	logr.LogSink
	failed *atomic.Bool
}

func (s sink) Error(error, string, ...any) {
	s.failed.Store(true)
}

func (s sink) Info(int, string, ...any) {}
