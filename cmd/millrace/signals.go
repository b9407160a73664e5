package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// sameSignal is how soon after the first a second signal says nothing new.
const sameSignal = 500 * time.Millisecond

// signals returns a context that the first SIGINT or SIGTERM ends, and a
// channel that the second one closes.
func signals() (context.Context, <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	force := make(chan struct{})
	got := make(chan os.Signal, 2)
	signal.Ignore(syscall.SIGPIPE) // a client that closed our standard output is an error to report
	signal.Notify(got, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-got
		cancel()
		// A supervisor may signal the process and its group: that is one wish.
		for first := time.Now(); ; {
			if <-got; time.Since(first) > sameSignal {
				break
			}
		}
		close(force)
	}()
	return ctx, force
}

// hangups returns a channel that receives on SIGHUP, which by default would end the
// process.
func hangups() <-chan struct{} {
	hup := make(chan struct{})
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGHUP)
	go func() {
		for range got {
			hup <- struct{}{}
		}
	}()
	return hup
}
