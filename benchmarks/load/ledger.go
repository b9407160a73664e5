package main

import (
	"fmt"
	"sync"
	"time"
)

// A drain run judges each request by when it was sent:
//
//   - Accepted: all its bytes had been handed to the kernel before SIGTERM was sent. It must get its result. One sent
//     less than unreadTime before may also get a proper refusal, because the server may not have read it yet; to be
//     left without an answer is a fault even then.
//   - Late: sent after that, while the client had not yet seen the connection's end (a Close frame, or Connection: close).
//     It must get its result, or a proper refusal (an error answer, HTTP 503), or the connection must end without a
//     byte of an answer.
//
// A client sends nothing once it has seen the end. On a connection that carries many requests the server reads them in
// order, so one request without answer in front of an answered one was read and forgotten: a fault, late or not.

// unreadTime is how long a request may lie unread in the buffers of a loaded machine.
const unreadTime = 250 * time.Millisecond

type fate int

const (
	open     fate = iota // sent, nothing came back
	unsent               // the write failed, so the server cannot have had it all
	answered             // result
	refused              // proper refusal
)

// entry is one request of a connection.
type entry struct {
	written time.Time // when the write had returned; zero before
	begun   bool      // progress came back: the server works on it
	fate    fate
}

// ledger is the requests of one connection in the order they were sent; the index is the request's id. Its methods may
// be called from any goroutine.
type ledger struct {
	mu      sync.Mutex
	entries []entry
	open    int
}

// begin notes a request that is about to be written, and returns its id.
func (l *ledger) begin() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, entry{})
	l.open++
	return int64(len(l.entries) - 1)
}

// written notes the result of the write.
func (l *ledger) written(id int64, err error) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.entries[id].fate = unsent
		l.open--
		return
	}
	l.entries[id].written = now
}

func (l *ledger) progress(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[id].begun = true
}

// settle notes how a request ended.
func (l *ledger) settle(id int64, f fate) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id < 0 || id >= int64(len(l.entries)) || l.entries[id].fate != open {
		return fmt.Errorf("answer for id %d, which is not open", id)
	}
	l.entries[id].fate = f
	l.open--
	return nil
}

func (l *ledger) inFlight() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// tally is what became of the requests of many connections.
type tally struct {
	accepted, overtaken, late, lateAnswered, lateRefused, lateCut int64
}

// judge adds the requests of a connection to t and reports what the server did wrong. signal is when SIGTERM was sent.
func (l *ledger) judge(signal time.Time, who string, t *tally, f *faults) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := len(l.entries) - 1
	for last >= 0 && l.entries[last].fate != answered && l.entries[last].fate != refused {
		last--
	}
	for i, e := range l.entries {
		if e.fate == unsent {
			continue
		}
		before := signal.Sub(e.written)
		accepted := before >= 0
		overtaken := accepted && e.fate == refused && before < unreadTime
		switch {
		case overtaken:
			t.overtaken++
		case accepted:
			t.accepted++
		default:
			t.late++
		}
		switch {
		case accepted && e.fate == open:
			f.add("%s: request %d, sent %v before the signal, got no answer", who, i, before)
		case accepted && e.fate == refused && !overtaken:
			f.add("%s: request %d, sent %v before the signal, was refused", who, i, before)
		case e.fate == open && e.begun:
			f.add("%s: request %d was begun (progress came) and got no answer", who, i)
		case e.fate == open && i < last:
			f.add("%s: request %d got no answer, request %d after it did", who, i, last)
		case accepted:
		case e.fate == answered:
			t.lateAnswered++
		case e.fate == refused:
			t.lateRefused++
		default:
			t.lateCut++
		}
	}
}
