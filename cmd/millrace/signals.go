package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// signals returns a context that the first SIGINT or SIGTERM ends, and a
// channel that the second one closes.
func signals() (context.Context, <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	force := make(chan struct{})
	got := make(chan os.Signal, 2)
	signal.Notify(got, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-got
		cancel()
		<-got
		close(force)
	}()
	return ctx, force
}
