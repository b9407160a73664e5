package session

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of one Replay. What does not fit pushes out what is older, see
// Replay.Append.
const (
	// MaxReplayBytes is how many bytes of events a log keeps; each event counts
	// with ReplayOverhead on top of its data.
	MaxReplayBytes = 1 << 20
	// ReplayOverhead is what keeping an event costs beside its data.
	ReplayOverhead = 64
	// MaxReplayEvents is how many events a log keeps.
	MaxReplayEvents = 1024
	// MaxReplayStreams is how many streams a log knows.
	MaxReplayStreams = 64
)

// What Resume returns for an id after which it cannot go on.
var (
	// ErrEvent is for an id that is malformed, of a stream that the log does
	// not know (any more), or of an event that was not sent yet.
	ErrEvent = errors.New("unknown event id")
	// ErrEventGone is for an id after which events were sent that the log keeps
	// no more.
	ErrEventGone = errors.New("events after this id are no longer kept")
)

// Replay keeps what was sent on the event streams of one session until it may
// be forgotten, so that a client whose connection broke can go on where it was
// (2025-11-25, Streamable HTTP, "Resumability and Redelivery").
//
// It has no goroutine, lock or clock: its owner calls one method at a time and
// says what time it is. The zero value is ready and allocates nothing until the
// first Open. It must not be copied after that.
type Replay struct {
	// Budget bounds the bytes of all logs that have the same one; nil: only the
	// bounds of this log hold. It is set before the first Open and not changed.
	Budget *ReplayBudget

	streams  []replayStream // by number, which is the order they were opened in
	last     uint64         // number of the newest stream
	seq      uint64         // of the newest event of all streams
	events   int            // kept
	bytes    int            // they count
	released bool
}

// replayStream is one stream. The events it keeps are the newest ones, without
// a gap: those at the positions gone+1 to last.
type replayStream struct {
	number         uint64
	last, gone     uint64
	oldest, newest *replayEvent
	done           bool
	heard          time.Time // when it was opened, got its last event, or was touched
}

// replayEvent is one event. They are a list: a slice that grew once would keep
// its memory after the events are gone, uncounted.
type replayEvent struct {
	seq  uint64 // its place among the events of all streams
	data []byte
	next *replayEvent // of the same stream
}

func (e *replayEvent) cost() int { return len(e.data) + ReplayOverhead }

// Resumption is what came on a stream after an event.
type Resumption struct {
	Stream uint64
	// Events are in the order they were sent, without a gap; none when nothing
	// came.
	Events []ReplayEvent
	// Done: the answer is the last of Events, or was the event that the client
	// had already. Nothing will come after it.
	Done bool
}

// ReplayEvent is an event that was sent and is to be sent again.
type ReplayEvent struct {
	ID string
	// Data is the log's own, to be read only. It stays as it is for ever, also
	// when the log forgets it.
	Data []byte
}

// Open returns the number of a new stream. When the log knows MaxReplayStreams,
// it forgets the one that was opened first of those that are done, or else of
// all.
//
// The first number is the time in microseconds, the following ones count up: a
// log that takes the session up in another process (Config.Revive) then numbers
// other streams than this one did, and an id is unique in the session whoever
// gave it out ("the ID MUST be globally unique across all streams within that
// session").
func (r *Replay) Open(now time.Time) uint64 {
	if r.last == 0 {
		r.last = uint64(max(now.UnixMicro(), 1)) - 1
	}
	r.last++
	if r.released {
		return r.last
	}
	if len(r.streams) >= MaxReplayStreams {
		i := slices.IndexFunc(r.streams, func(s replayStream) bool { return s.done })
		r.forget(max(i, 0))
	}
	r.streams = append(r.streams, replayStream{number: r.last, heard: now})
	return r.last
}

// Prime returns the id of the priming event of a stream: position 0, before all
// others. It is "" for a stream that the log does not know.
func (r *Replay) Prime(stream uint64) (id string) {
	if r.find(stream) < 0 {
		return ""
	}
	return eventID{stream, 0}.String()
}

// Append notes that data is sent as the next event of a stream, and returns the
// event's id. It copies data. last tells that it is the stream's answer, after
// which the stream is done and takes nothing more. The id is "" when the stream
// is done or the log does not know it: such an event is sent without id.
//
// To make room, the oldest events of streams that are done go first, then the
// oldest of all. An event that does not fit alone, or that the budget has no
// room for even then, is not kept, and neither is what came before it on its
// stream, as nobody could resume there.
func (r *Replay) Append(now time.Time, stream uint64, data []byte, last bool) (id string) {
	i := r.find(stream)
	if i < 0 || r.streams[i].done {
		return ""
	}
	kept := r.makeRoom(len(data) + ReplayOverhead)
	s := &r.streams[i]
	s.last++
	s.heard = now
	s.done = last
	if kept {
		r.seq++
		s.push(&replayEvent{seq: r.seq, data: slices.Clone(data)})
	} else {
		r.drop(s)
	}
	return eventID{stream, s.last}.String()
}

// Resume returns what came after the event with the id lastEventID, on its
// stream only: "The server MUST NOT replay messages that would have been
// delivered on a different stream." The events stay in the log, as this
// connection may break as well. It returns ErrEvent or ErrEventGone.
func (r *Replay) Resume(lastEventID string) (Resumption, error) {
	id, ok := parseEventID(lastEventID)
	if !ok {
		return Resumption{}, ErrEvent
	}
	i := r.find(id.stream)
	if i < 0 || id.position > r.streams[i].last {
		return Resumption{}, ErrEvent
	}
	s := &r.streams[i]
	if id.position < s.gone {
		return Resumption{}, ErrEventGone
	}
	res := Resumption{Stream: s.number, Done: s.done}
	if id.position == s.last {
		return res, nil
	}
	res.Events = make([]ReplayEvent, 0, s.last-id.position)
	position := s.gone
	for e := s.oldest; e != nil; e = e.next {
		if position++; position > id.position {
			res.Events = append(res.Events, ReplayEvent{ID: eventID{s.number, position}.String(), Data: e.data})
		}
	}
	return res, nil
}

// Touch keeps a stream from expiring as if something had been sent on it. A stream
// that the log does not know is no error.
func (r *Replay) Touch(now time.Time, stream uint64) {
	if i := r.find(stream); i >= 0 {
		r.streams[i].heard = now
	}
}

// Forget drops a stream and its events: nobody will resume it. A stream that
// the log does not know is no error.
func (r *Replay) Forget(stream uint64) {
	if i := r.find(stream); i >= 0 {
		r.forget(i)
	}
}

// Expire drops the streams, done or not, on which nothing was sent since before and
// that were not touched.
func (r *Replay) Expire(before time.Time) {
	r.streams = slices.DeleteFunc(r.streams, func(s replayStream) bool {
		silent := s.heard.Before(before)
		if silent {
			r.drop(&s)
		}
		return silent
	})
	r.trim()
}

// Release ends the log and gives everything back, also to the budget. From now
// on the log knows no stream and keeps nothing, so that a call that outlives
// its session takes nothing any more.
func (r *Replay) Release() {
	for i := range r.streams {
		r.drop(&r.streams[i])
	}
	r.streams = nil
	r.released = true
}

// Bytes returns how many bytes the kept events count, at most MaxReplayBytes.
func (r *Replay) Bytes() int { return r.bytes }

// find returns the index of a stream, or -1.
func (r *Replay) find(stream uint64) int {
	i, ok := slices.BinarySearchFunc(r.streams, stream, func(s replayStream, n uint64) int {
		switch {
		case s.number < n:
			return -1
		case s.number > n:
			return 1
		}
		return 0
	})
	if !ok {
		return -1
	}
	return i
}

// makeRoom takes the room for an event that counts cost, and evicts what it
// must. It is false when evicting all would not be enough; then it evicts
// nothing.
func (r *Replay) makeRoom(cost int) bool {
	if cost > MaxReplayBytes || !r.Budget.fits(cost-r.bytes) {
		return false
	}
	for r.bytes+cost > MaxReplayBytes || r.events >= MaxReplayEvents {
		r.evict()
	}
	for !r.Budget.take(cost) {
		if r.events == 0 {
			return false // unless other logs took meanwhile what there was
		}
		r.evict()
	}
	r.bytes += cost
	r.events++
	return true
}

// evict drops one event: the oldest of the streams that are done, or else of
// all. There is at least one.
func (r *Replay) evict() {
	var first *replayStream
	for i := range r.streams {
		s := &r.streams[i]
		switch {
		case s.oldest == nil:
		case first == nil, s.done && !first.done, s.done == first.done && s.oldest.seq < first.oldest.seq:
			first = s
		}
	}
	r.pop(first)
}

// drop drops all events of s.
func (r *Replay) drop(s *replayStream) {
	for s.oldest != nil {
		r.pop(s)
	}
	s.gone = s.last
}

// pop drops the oldest event of s.
func (r *Replay) pop(s *replayStream) {
	e := s.oldest
	if s.oldest = e.next; s.oldest == nil {
		s.newest = nil
	}
	s.gone++
	r.events--
	r.bytes -= e.cost()
	r.Budget.giveBack(e.cost())
}

// push adds e as the newest event of s. Its room is taken already.
func (s *replayStream) push(e *replayEvent) {
	if s.oldest == nil {
		s.oldest = e
	} else {
		s.newest.next = e
	}
	s.newest = e
}

// forget drops the stream with the index i.
func (r *Replay) forget(i int) {
	r.drop(&r.streams[i])
	r.streams = slices.Delete(r.streams, i, i+1)
	r.trim()
}

// trim lets an idle session keep nothing.
func (r *Replay) trim() {
	if len(r.streams) == 0 {
		r.streams = nil
	}
}

// eventID names an event of a session: its stream and its place on it, from 1;
// 0 is the priming event. It is written as two numbers in base 36, lower case,
// with a hyphen between them.
type eventID struct{ stream, position uint64 }

// maxEventID is the length of the longest id: each number takes at most 13
// digits.
const maxEventID = 13 + 1 + 13

func (id eventID) append(dst []byte) []byte {
	dst = strconv.AppendUint(dst, id.stream, 36)
	dst = append(dst, '-')
	return strconv.AppendUint(dst, id.position, 36)
}

func (id eventID) String() string {
	var b [maxEventID]byte
	return string(id.append(b[:0]))
}

// parseEventID reads what append wrote; ok is false for anything else, also for
// another spelling of the same numbers.
func parseEventID(s string) (id eventID, ok bool) {
	if len(s) > maxEventID {
		return id, false
	}
	stream, position, _ := strings.Cut(s, "-")
	var err, err2 error
	id.stream, err = strconv.ParseUint(stream, 36, 64)
	id.position, err2 = strconv.ParseUint(position, 36, 64)
	if err != nil || err2 != nil {
		return eventID{}, false
	}
	var b [maxEventID]byte
	return id, string(id.append(b[:0])) == s
}
