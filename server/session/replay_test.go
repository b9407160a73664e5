package session

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
)

// resume tells what a client gets that had the event id, as "data data!", with
// the mark when the stream is done, or the error.
func resume(r *Replay, id string) string {
	res, err := r.Resume(id)
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, e := range res.Events {
		out = append(out, string(e.Data))
	}
	s := strings.Join(out, " ")
	if res.Done {
		s += "!"
	}
	return s
}

func TestReplayResume(t *testing.T) {
	var r Replay
	a, b := r.Open(t0), r.Open(t0)
	if a == b {
		t.Fatalf("two streams have the number %d", a)
	}
	a0, b0 := r.Prime(a), r.Prime(b)
	a1 := r.Append(t0, a, []byte("a1"), false)
	b1 := r.Append(t0, b, []byte("b1"), false)
	a2 := r.Append(t0, a, []byte("a2"), false)
	a3 := r.Append(t0, a, []byte("a3"), true)
	late := r.Append(t0, a, []byte("late"), false)
	a4 := eventID{a, 4}.String()

	ids := []string{a0, b0, a1, b1, a2, a3}
	for i, id := range ids {
		if slices.Contains(ids[:i], id) || len(id) > 16 || strings.ContainsFunc(id, func(c rune) bool { return c > unicode.MaxASCII || !unicode.IsGraphic(c) || c == ' ' }) {
			t.Errorf("id %d of %q", i, ids)
		}
	}
	if late != "" {
		t.Errorf("Append after the answer = %q, want no id", late)
	}
	const unknown = "unknown event id"
	tests := []struct{ name, id, want string }{
		{"from the start", a0, "a1 a2 a3!"},
		{"from the first", a1, "a2 a3!"},
		{"only the answer", a2, "a3!"},
		{"had the answer", a3, "!"},
		{"the future", a4, unknown},
		{"another stream", b0, "b1"},
		{"nothing new", b1, ""},
		{"no such stream", eventID{b + 1, 0}.String(), unknown},
		{"stream 0", eventID{}.String(), unknown},
		{"empty", "", unknown},
		{"no hyphen", strings.TrimSuffix(a0, "-0"), unknown},
		{"no position", strings.TrimSuffix(a0, "0"), unknown},
		{"no stream", "-0", unknown},
		{"leading zero", a0 + "0", unknown},
		{"sign", strings.TrimSuffix(a0, "0") + "+0", unknown},
		{"upper case", strings.ToUpper(a0), unknown},
		{"space", a0 + " ", unknown},
		{"three numbers", a0 + "-0", unknown},
		{"too large", a0 + strings.Repeat("0", 13), unknown},
		{"long", a0 + strings.Repeat("0", 100), unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := resume(&r, tt.id); got != tt.want {
				t.Errorf("Resume(%q) = %q, want %q", tt.id, got, tt.want)
			}
		})
	}
	res, _ := r.Resume(a1)
	if res.Stream != a || res.Events[0].ID != a2 || res.Events[1].ID != a3 {
		t.Errorf("Resume(%q) = %+v, want the ids %s and %s", a1, res, a2, a3)
	}
	r.Forget(a)
	r.Forget(a)
	if got := resume(&r, a0); got != unknown {
		t.Errorf("after Forget: %q", got)
	}
	if r.Prime(a) != "" || r.Append(t0, a, nil, false) != "" {
		t.Error("a forgotten stream gives ids")
	}
	if want := 2 + ReplayOverhead; r.Bytes() != want {
		t.Errorf("Bytes = %d, want %d", r.Bytes(), want)
	}
}

// What is appended is copied, and what Resume returned outlives the log.
func TestReplayOwnsItsData(t *testing.T) {
	var r Replay
	s := r.Open(t0)
	data := []byte("data")
	r.Append(t0, s, data, false)
	copy(data, "????")
	res, _ := r.Resume(r.Prime(s))
	r.Release()
	if got := string(res.Events[0].Data); got != "data" {
		t.Errorf("Data = %q, want data", got)
	}
}

// A log that goes on with the session elsewhere does not give out the same ids.
func TestReplayStreamsOfRevivedSession(t *testing.T) {
	var first, second, early Replay
	a := first.Open(t0)
	b := second.Open(at(time.Millisecond))
	for range 999 {
		a = first.Open(t0)
	}
	if a >= b {
		t.Errorf("stream %d of the first log, %d of the second", a, b)
	}
	if got := early.Open(time.Time{}); got != 1 {
		t.Errorf("before 1970: %d, want 1", got)
	}
}

const gone = "events after this id are no longer kept"

func TestReplayEventLimit(t *testing.T) {
	for _, n := range []int{MaxReplayEvents - 1, MaxReplayEvents, MaxReplayEvents + 1} {
		var r Replay
		s := r.Open(t0)
		ids := []string{r.Prime(s)}
		for range n {
			ids = append(ids, r.Append(t0, s, []byte("x"), false))
		}
		evicted := max(0, n-MaxReplayEvents)
		if r.events != n-evicted {
			t.Errorf("%d sent: %d kept", n, r.events)
		}
		if evicted > 0 && resume(&r, ids[evicted-1]) != gone {
			t.Errorf("%d sent: before what is kept: %.30q", n, resume(&r, ids[evicted-1]))
		}
		if got := resume(&r, ids[evicted]); len(got) != 2*(n-evicted)-1 {
			t.Errorf("%d sent: got %d bytes", n, len(got))
		}
	}
}

func TestReplayByteLimit(t *testing.T) {
	const half = MaxReplayBytes/2 - ReplayOverhead
	for _, tt := range []struct {
		name          string
		first, second int // bytes of data
		kept          int
	}{
		{"two, limit-1", half, half - 1, 2},
		{"two, limit", half, half, 2},
		{"two, limit+1", half, half + 1, 1},
		{"one, limit-1", 0, MaxReplayBytes - ReplayOverhead - 1, 1},
		{"one, limit", 0, MaxReplayBytes - ReplayOverhead, 1},
		{"one, limit+1", 0, MaxReplayBytes - ReplayOverhead + 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r Replay
			s := r.Open(t0)
			r.Append(t0, s, make([]byte, tt.first), false)
			id := r.Append(t0, s, make([]byte, tt.second), false)
			if r.events != tt.kept || r.Bytes() > MaxReplayBytes {
				t.Errorf("%d events with %d bytes are kept, want %d", r.events, r.Bytes(), tt.kept)
			}
			if res, err := r.Resume(id); err != nil || len(res.Events) != 0 {
				t.Errorf("after the newest: %v, %v", res, err)
			}
			for p := range uint64(2) {
				want := error(nil)
				if p < uint64(2-tt.kept) {
					want = ErrEventGone
				}
				if _, err := r.Resume(eventID{s, p}.String()); err != want {
					t.Errorf("after event %d: %v, want %v", p, err, want)
				}
			}
			r.Append(t0, s, []byte("next"), true) // goes on in any case
			if got := resume(&r, id); got != "next!" {
				t.Errorf("after the newest: %q", got)
			}
		})
	}
}

// An event that is too large costs its own stream what it has, nobody else.
func TestReplayHugeEvent(t *testing.T) {
	var r Replay
	a, b := r.Open(t0), r.Open(t0)
	r.Append(t0, b, []byte("b1"), true)
	a1 := r.Append(t0, a, []byte("a1"), false)
	a2 := r.Append(t0, a, make([]byte, MaxReplayBytes), true)
	for id, want := range map[string]string{r.Prime(b): "b1!", r.Prime(a): gone, a1: gone, a2: "!"} {
		if got := resume(&r, id); got != want {
			t.Errorf("Resume(%q) = %.30q, want %q", id, got, want)
		}
	}
}

func TestReplayStreamLimit(t *testing.T) {
	for _, n := range []int{MaxReplayStreams - 1, MaxReplayStreams, MaxReplayStreams + 1} {
		for _, done := range []int{-1, 0, 7} { // which one is done first; -1: none
			var r Replay
			var streams []uint64
			for i := range n - 1 {
				streams = append(streams, r.Open(t0))
				r.Append(t0, streams[i], []byte("x"), i == done || i == done+3 && done >= 0)
			}
			streams = append(streams, r.Open(t0))
			for i, s := range streams {
				lost := n > MaxReplayStreams && i == max(done, 0)
				if (r.Prime(s) == "") != lost {
					t.Errorf("%d streams, %d is done: stream %d lost: %v", n, done, i, !lost)
				}
			}
			if want := (min(n, MaxReplayStreams) - 1) * (1 + ReplayOverhead); r.Bytes() != want {
				t.Errorf("%d streams: Bytes = %d, want %d", n, r.Bytes(), want)
			}
		}
	}
}

func TestReplayEvictionOrder(t *testing.T) {
	var r Replay
	streams := []uint64{r.Open(t0), r.Open(t0), r.Open(t0)}
	const third = (MaxReplayBytes - 6*ReplayOverhead) / 6
	for i, last := range []bool{false, false, false, false, true, true} { // streams 1 and 2 are done
		r.Append(t0, streams[i%3], make([]byte, third), last)
	}
	oldest := func() (left [3]uint64) { // position of the oldest event that is kept
		for i, s := range streams {
			for p := uint64(0); ; p++ {
				if _, err := r.Resume(eventID{s, p}.String()); err == nil {
					left[i] = p + 1
					break
				}
			}
		}
		return left
	}
	for i, want := range [][3]uint64{{1, 1, 1}, {1, 2, 1}, {1, 2, 2}, {1, 3, 2}, {1, 3, 3}, {2, 3, 3}, {3, 3, 3}, {4, 3, 3}} {
		if i > 0 {
			r.Append(t0, streams[0], make([]byte, third), false)
		}
		if got := oldest(); got != want {
			t.Errorf("after %d more: oldest are %v, want %v", i, got, want)
		}
	}
}

func TestReplayExpire(t *testing.T) {
	var r Replay
	silent, done, busy := r.Open(at(0)), r.Open(at(0)), r.Open(at(0))
	r.Append(at(time.Minute), done, []byte("x"), true)
	r.Append(at(2*time.Minute), busy, []byte("x"), false)
	known := func(now time.Duration, want ...uint64) {
		t.Helper()
		r.Expire(at(now))
		for _, s := range []uint64{silent, done, busy} {
			if slices.Contains(want, s) != (r.Prime(s) != "") {
				t.Errorf("Expire(%v): stream %d known: %v", now, s, r.Prime(s) != "")
			}
		}
	}
	known(0, silent, done, busy)
	known(1, done, busy)
	known(time.Minute, done, busy)
	known(time.Minute+1, busy)
	known(2*time.Minute, busy)
	known(2*time.Minute + 1)
	if r.Bytes() != 0 || r.events != 0 || r.streams != nil {
		t.Errorf("left: %+v", r)
	}
}

func TestReplayBudget(t *testing.T) {
	event := make([]byte, 100-ReplayOverhead)
	for _, tt := range []struct {
		max                   int64
		others, own, otherOwn int // events of another log; of this one on the stream and on another
		kept                  int // of this log
	}{
		{299, 1, 1, 0, 1}, // evicts its own
		{300, 1, 1, 0, 2},
		{301, 1, 1, 0, 2},
		{300, 1, 1, 1, 2}, // evicts the oldest
		{300, 3, 0, 0, 0}, // nothing to evict
		{399, 3, 0, 0, 0},
		{400, 3, 0, 0, 1},
		{0, 3, 3, 0, 4},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			budget := ReplayBudget{Max: tt.max}
			r, other := Replay{Budget: &budget}, Replay{Budget: &budget}
			o := other.Open(t0)
			for range tt.others {
				other.Append(t0, o, event, false)
			}
			s, s2 := r.Open(t0), r.Open(t0)
			for range tt.own {
				r.Append(t0, s, event, false)
			}
			for range tt.otherOwn {
				r.Append(t0, s2, event, false)
			}
			id := r.Append(t0, s, event, true)
			if r.events != tt.kept || other.events != tt.others {
				t.Errorf("%d and %d kept, want %d and %d", r.events, other.events, tt.kept, tt.others)
			}
			if got := resume(&r, id); got != "!" {
				t.Errorf("after the newest: %q", got)
			}
			if budget.Bytes() != int64(r.Bytes()+other.Bytes()) {
				t.Errorf("budget counts %d, the logs %d and %d", budget.Bytes(), r.Bytes(), other.Bytes())
			}
			r.Release()
			r.Release()
			if budget.Bytes() != int64(other.Bytes()) || r.Bytes() != 0 {
				t.Errorf("after Release: budget counts %d, the logs %d and %d", budget.Bytes(), r.Bytes(), other.Bytes())
			}
			if s := r.Open(t0); r.Prime(s) != "" || r.Append(t0, s, event, false) != "" || r.Bytes() != 0 {
				t.Error("a released log keeps something")
			}
		})
	}
	if n := new(ReplayBudget).max(); n != 64<<20 {
		t.Errorf("default budget: %d bytes", n)
	}
}

// Logs on many goroutines never count more than their budget, and give all back.
func TestReplayBudgetRace(t *testing.T) {
	budget := ReplayBudget{Max: 50_000}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 1))
			r := Replay{Budget: &budget}
			s := r.Open(t0)
			for range 5000 {
				last := rnd.IntN(20) == 0
				r.Append(t0, s, make([]byte, rnd.IntN(4000)), last)
				if n := budget.Bytes(); n > budget.Max || n < int64(r.Bytes()) {
					t.Errorf("budget counts %d, this log %d", n, r.Bytes())
				}
				if last {
					s = r.Open(t0)
				}
			}
			r.Release()
		})
	}
	wg.Wait()
	if n := budget.Bytes(); n != 0 {
		t.Errorf("budget counts %d after the end", n)
	}
}

// naiveLog is Replay as its documentation has it: everything that was sent, with
// a mark whether it is kept.
type naiveLog struct {
	budget  int // what other logs left
	streams []naiveStream
	events  []naiveEvent
}

type naiveStream struct {
	number, last uint64
	done         bool
	heard        time.Time
}

type naiveEvent struct {
	stream, position uint64
	data             []byte
	kept             bool
}

func (n *naiveLog) stream(number uint64) *naiveStream {
	for i := range n.streams {
		if n.streams[i].number == number {
			return &n.streams[i]
		}
	}
	return nil
}

func (n *naiveLog) size() (events, bytes int) {
	for _, e := range n.events {
		if e.kept {
			events++
			bytes += len(e.data) + ReplayOverhead
		}
	}
	return events, bytes
}

func (n *naiveLog) evict() {
	for _, onlyDone := range []bool{true, false} {
		for i := range n.events {
			if e := &n.events[i]; e.kept && (!onlyDone || n.stream(e.stream).done) {
				e.kept = false
				return
			}
		}
	}
}

func (n *naiveLog) forget(gone func(naiveStream) bool) {
	n.streams = slices.DeleteFunc(n.streams, gone)
	n.events = slices.DeleteFunc(n.events, func(e naiveEvent) bool { return n.stream(e.stream) == nil })
}

func (n *naiveLog) open(now time.Time, number uint64) {
	if len(n.streams) == MaxReplayStreams {
		victim := n.streams[0].number
		for _, s := range slices.Backward(n.streams) {
			if s.done {
				victim = s.number
			}
		}
		n.forget(func(s naiveStream) bool { return s.number == victim })
	}
	n.streams = append(n.streams, naiveStream{number: number, heard: now})
}

func (n *naiveLog) append(now time.Time, number uint64, data []byte, last bool) (position uint64, ok bool) {
	s := n.stream(number)
	if s == nil || s.done {
		return 0, false
	}
	s.last++
	cost := len(data) + ReplayOverhead
	fits := cost <= MaxReplayBytes && cost <= n.budget
	for fits {
		events, bytes := n.size()
		if events < MaxReplayEvents && bytes+cost <= min(MaxReplayBytes, n.budget) {
			break
		}
		n.evict()
	}
	n.events = append(n.events, naiveEvent{number, s.last, data, fits})
	for i := range n.events {
		if e := &n.events[i]; !fits && e.stream == number {
			e.kept = false
		}
	}
	s.done, s.heard = last, now
	return s.last, true
}

func (n *naiveLog) resume(number, position uint64) (after []naiveEvent, done bool, err error) {
	s := n.stream(number)
	if s == nil || position > s.last {
		return nil, false, ErrEvent
	}
	for _, e := range n.events {
		if e.stream != number || e.position <= position {
			continue
		}
		if !e.kept {
			return nil, false, ErrEventGone
		}
		after = append(after, e)
	}
	return after, s.done, nil
}

func TestReplayAgainstModel(t *testing.T) {
	for seed := range uint64(24) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			againstModel(t, rand.New(rand.NewPCG(seed, 7)), seed%3, seed%2 == 1)
		})
	}
}

// againstModel does the same with a Replay and a naiveLog. Small events reach the
// bound of events, large ones that of bytes, and both that of streams.
func againstModel(t *testing.T, rnd *rand.Rand, profile uint64, shared bool) {
	content := make([]byte, MaxReplayBytes+1)
	for i := range content {
		content[i] = byte(rnd.Uint32())
	}
	cut := func() []byte {
		n := rnd.IntN(50)
		switch {
		case profile == 1:
			n = rnd.IntN(40_000)
		case profile == 2 && rnd.IntN(100) == 0:
			n = MaxReplayBytes - ReplayOverhead - 1 + rnd.IntN(3)
		}
		from := rnd.IntN(len(content) - n)
		return content[from : from+n]
	}
	r, n := Replay{}, naiveLog{budget: 1 << 60}
	if shared {
		r.Budget = &ReplayBudget{Max: 300_000}
		r.Budget.take(200_000) // another log
		n.budget = 100_000
	}
	now := t0
	var streams []uint64
	pick := func() uint64 {
		if len(streams) == 0 || rnd.IntN(100) == 0 {
			return rnd.Uint64()
		}
		return streams[max(0, len(streams)-1-rnd.IntN(80))]
	}
	for step := range 4000 {
		now = now.Add(time.Second)
		switch op := rnd.IntN(200); {
		case op < 10 || len(streams) == 0:
			s := r.Open(now)
			n.open(now, s)
			streams = append(streams, s)
		case op < 12:
			s := pick()
			r.Forget(s)
			n.forget(func(ns naiveStream) bool { return ns.number == s })
		case op < 13:
			before := now.Add(-time.Duration(rnd.IntN(500)) * time.Second)
			r.Expire(before)
			n.forget(func(s naiveStream) bool { return s.heard.Before(before) })
		case op < 180:
			s, data, last := pick(), cut(), rnd.IntN(20) == 0
			id := r.Append(now, s, data, last)
			if p, ok := n.append(now, s, data, last); ok != (id != "") || ok && id != (eventID{s, p}).String() {
				t.Fatalf("step %d: Append = %q, the model has position %d, %v", step, id, p, ok)
			}
		default:
			s := pick()
			p := uint64(rnd.IntN(30))
			if ns := n.stream(s); ns != nil && rnd.IntN(2) == 0 {
				p = max(ns.last, p) - p + uint64(rnd.IntN(2))
			}
			compareResume(t, &r, &n, s, p)
		}
		events, bytes := n.size()
		if r.events != events || r.Bytes() != bytes || len(r.streams) != len(n.streams) {
			t.Fatalf("step %d: %d events, %d bytes, %d streams; the model has %d, %d, %d",
				step, r.events, r.Bytes(), len(r.streams), events, bytes, len(n.streams))
		}
		if shared && r.Budget.Bytes() != int64(200_000+bytes) {
			t.Fatalf("step %d: the budget counts %d, want %d", step, r.Budget.Bytes(), 200_000+bytes)
		}
	}
	for _, s := range n.streams {
		for p := range s.last + 2 {
			compareResume(t, &r, &n, s.number, p)
		}
	}
}

func compareResume(t *testing.T, r *Replay, n *naiveLog, stream, position uint64) {
	t.Helper()
	id := eventID{stream, position}.String()
	got, err := r.Resume(id)
	after, done, wantErr := n.resume(stream, position)
	if err != wantErr || got.Done != done || len(got.Events) != len(after) || err == nil && got.Stream != stream {
		t.Fatalf("Resume(%s) = %d events, done %v, %v; the model has %d, %v, %v", id, len(got.Events), got.Done, err, len(after), done, wantErr)
	}
	for i, e := range after {
		if g := got.Events[i]; g.ID != (eventID{stream, e.position}).String() || !bytes.Equal(g.Data, e.data) {
			t.Fatalf("Resume(%s): event %d is %q with %d bytes, the model has position %d with %d", id, i, g.ID, len(g.Data), e.position, len(e.data))
		}
	}
}

func TestReplayAllocs(t *testing.T) {
	data := make([]byte, 200)
	if got := testing.AllocsPerRun(100, func() {
		var r Replay
		r.Forget(1)
		r.Expire(t0)
		r.Append(t0, 1, data, true)
		if _, err := r.Resume("1-0"); err != ErrEvent {
			t.Error(err)
		}
		r.Release()
	}); got != 0 {
		t.Errorf("an unused log allocates %v times, want 0", got)
	}
	var r Replay
	s := r.Open(t0)
	for range MaxReplayEvents {
		r.Append(t0, s, data, false)
	}
	// The event, its data and its id.
	if got := testing.AllocsPerRun(100, func() { r.Append(t0, s, data, false) }); got != 3 {
		t.Errorf("Append to a full log allocates %v times, want 3", got)
	}
}

// What a full log takes is near what it counts, however small its events are,
// and an expired one takes nothing.
func TestReplayMemory(t *testing.T) {
	const logs = 64
	for _, size := range []int{0, 1, 100, 5000, MaxReplayBytes - ReplayOverhead} {
		all := make([]Replay, logs)
		before := heapAlloc()
		data := make([]byte, size)
		counted := 0
		for i := range all {
			r := &all[i]
			for range MaxReplayStreams {
				r.Open(t0)
			}
			for n := range min(2*MaxReplayEvents, 1+2*MaxReplayBytes/(size+ReplayOverhead)) {
				r.Append(t0, r.last-uint64(n%MaxReplayStreams), data, false)
			}
			counted += r.Bytes()
		}
		took := int(heapAlloc() - before)
		const streams = 8 << 10 // of each log
		if took > counted+counted/5+logs*streams {
			t.Errorf("%d bytes: %d logs count %d and take %d", size, logs, counted, took)
		}
		for i := range all {
			all[i].Expire(at(1))
		}
		if took := int(heapAlloc() - before); took > 64<<10 {
			t.Errorf("%d bytes: expired logs take %d", size, took)
		}
	}
}
