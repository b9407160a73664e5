package generator

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// pending is how many connections of a worker may be on their way at once: less than the backlog of any server.
	pending = 100
	// nap is the longest wait of a worker; it looks at the orders of Load between naps.
	nap = 5 * time.Millisecond
)

// worker is one thread with an epoll set. Everything of its connections belongs to it.
type worker struct {
	load   *Load
	index  int
	epoll  int
	to     unix.SockaddrInet4 // the server; a call writes into it
	byFD   []*conn
	shares []*share
	buf    []byte
	plain  []byte // what was in it, on TLS
	now    int64  // read once for each batch of events

	toDial  []*conn
	pending int
	idle    atomic.Int64 // nanoseconds in which nothing was to do
	records bool         // latencies are recorded
	done    chan struct{}
}

// share is a worker's part of a group.
type share struct {
	group    *Group
	tally    *tally
	conns    []*conn
	schedule schedule
}

func newWorker(l *Load, index int) (*worker, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	w := &worker{load: l, index: index, epoll: fd, to: l.to, buf: make([]byte, 256<<10), done: make(chan struct{})}
	for _, g := range l.Groups {
		w.add(g)
	}
	return w, nil
}

// add makes every n-th connection of g, where n is the number of workers.
func (w *worker) add(g *Group) {
	s := &share{group: g, tally: newTally()}
	for n := w.index; n < g.Conns; n += w.load.Workers {
		c := &conn{w: w, group: g, tally: s.tally, n: n, fd: -1, mark: markOf(n)}
		s.conns = append(s.conns, c)
		w.toDial = append(w.toDial, c)
	}
	w.shares = append(w.shares, s)
}

// run is the thread of the worker.
func (w *worker) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(w.done)
	defer w.closeAll()
	events := make([]unix.EpollEvent, 512)
	started := false
	for !w.load.stop.Load() {
		w.now = w.load.clock()
		if w.load.started.Load() && !started {
			started = true
			w.start()
		}
		w.followRecording()
		w.dialMore()
		wait := w.sendDue()
		if started && w.load.Spin {
			wait = 0
		}
		asleep := w.load.clock()
		n, err := epollWait(w.epoll, events, wait)
		if err != nil {
			w.load.fail(err)
			return
		}
		w.now = w.load.clock()
		if n == 0 || wait > 0 {
			w.idle.Add(w.now - asleep)
		}
		for _, e := range events[:n] {
			if c := w.byFD[e.Fd]; c != nil {
				c.event(e.Events)
			}
		}
	}
}

// followRecording cuts the latencies off when the recording ends.
func (w *worker) followRecording() {
	was := w.records
	w.records = w.load.recording.Load()
	if !was || w.records {
		return
	}
	for _, s := range w.shares {
		if s.group.Behaviour == Call {
			for _, c := range s.conns {
				c.cutOff()
			}
		}
	}
}

// epollWait is epoll_pwait2(2), whose timeout is exact.
func epollWait(fd int, events []unix.EpollEvent, wait time.Duration) (int, error) {
	ts := unix.NsecToTimespec(max(0, wait.Nanoseconds()))
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(fd), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	if errno != 0 && errno != unix.EINTR {
		return 0, fmt.Errorf("epoll_pwait2: %w", errno)
	}
	if errno == unix.EINTR {
		return 0, nil
	}
	return int(n), nil
}

// start lets the connections begin.
func (w *worker) start() {
	for _, s := range w.shares {
		s.schedule = newSchedule(s.group.Rate, w.now, w.index, w.load.Workers)
		for _, c := range s.conns {
			w.begin(c)
		}
	}
}

// begin lets an open connection do what its group does, once the load has started.
func (w *worker) begin(c *conn) {
	if c.state != open || !w.load.started.Load() {
		return
	}
	switch {
	case c.group.Behaviour == Deaf:
		c.deaf = true
		w.watch(c, unix.EPOLL_CTL_MOD)
		c.askDeaf()
	case c.group.Behaviour == Call && c.group.Rate == 0:
		c.fill()
		c.flush()
	case c.group.Behaviour == Call && len(c.due) > 0: // the group has a rate, and one request for each connection
		at := c.due[0]
		c.due = c.due[:copy(c.due, c.due[1:])]
		c.ask(at)
		c.flush()
	}
}

// askDeaf makes and sends the requests of a connection that does not read, each when the one before is written: all of
// them at once could be more than there is memory.
func (c *conn) askDeaf() {
	for c.state == open && len(c.out) == 0 && len(c.free) > 0 && c.w.calling() {
		c.ask(c.w.now)
		c.flush()
	}
}

// calling reports whether new requests are wanted.
func (w *worker) calling() bool { return w.load.started.Load() && !w.load.ending.Load() }

// sendDue sends what is due and returns how long to wait for what comes next.
func (w *worker) sendDue() time.Duration {
	wait := int64(nap)
	if !w.calling() {
		return nap
	}
	for _, s := range w.shares {
		if s.group.Rate == 0 || s.group.Behaviour != Call || len(s.conns) == 0 {
			continue
		}
		for {
			i, at := s.schedule.next()
			if at > w.now {
				wait = min(wait, at-w.now)
				break
			}
			s.schedule.advance()
			c := s.conns[i%int64(len(s.conns))]
			if c.state == dead {
				c.tally.errors.Add(1)
				continue
			}
			c.isDue(at)
			c.flush()
		}
	}
	return time.Duration(wait)
}

// event handles what epoll tells of a connection.
func (c *conn) event(events uint32) {
	if c.state == dialling {
		if errno, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || errno != 0 {
			c.fail("connecting: %v", unix.Errno(errno))
			return
		}
		c.opened()
	}
	switch {
	case c.deaf && events&(unix.EPOLLHUP|unix.EPOLLERR) != 0:
		c.w.lost(c) // cut by the server, as it should be
	case events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0:
		c.read()
	}
	if c.state != dead && c.state != dialling {
		c.flush()
	}
	if c.deaf {
		c.askDeaf()
	}
}

// read reads what there is, up to a few buffers, so that no connection holds up the others.
func (c *conn) read() {
	for range 16 {
		n, err := unix.Read(c.fd, c.w.buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			c.fail("reading: %v", err)
			return
		case n == 0:
			c.fail("the server closed the connection")
			return
		}
		fd := c.fd
		if !c.received(c.w.buf[:n]) || c.fd != fd || n < len(c.w.buf) {
			return
		}
	}
}

// received takes what was read, decrypted if need be. It is false when the connection ended.
func (c *conn) received(b []byte) bool {
	if c.secure == nil {
		return c.take(b)
	}
	if c.w.plain == nil {
		c.w.plain = make([]byte, 16<<10)
	}
	fd := c.fd
	if err := c.secure.decrypt(b, c.w.plain, func(p []byte) bool { return c.take(p) && c.fd == fd }); err != nil {
		c.fail("reading: %v", err)
	}
	return c.state != dead && c.fd == fd
}

// take understands what was read and keeps the rest. It is false when the connection ended.
func (c *conn) take(b []byte) bool {
	whole := b
	if len(c.in) > 0 {
		c.in = append(c.in, b...)
		whole = c.in
	}
	fd := c.fd
	used, err := c.feed(whole)
	if err != nil {
		c.fail("%v", err)
		return false
	}
	if c.state == dead || c.fd != fd {
		return false
	}
	c.in = append(c.in[:0], whole[used:]...)
	if len(c.in) == 0 && cap(c.in) > keptBuffer {
		c.in = nil
	}
	return true
}

func (w *worker) watch(c *conn, op int) {
	e := unix.EpollEvent{Fd: int32(c.fd)}
	if !c.deaf {
		e.Events |= unix.EPOLLIN
	}
	if c.writing {
		e.Events |= unix.EPOLLOUT
	}
	if err := unix.EpollCtl(w.epoll, op, c.fd, &e); err != nil {
		c.fail("epoll_ctl: %v", err)
	}
}

// ready counts a connection that is open, and lets it begin if others have.
func (w *worker) ready(c *conn) {
	w.pending--
	if c.group.Behaviour == Subscribe {
		c.ask(w.now)
	} else {
		w.load.ready.Add(1)
	}
	w.begin(c)
}

// dialMore opens connections, a few at a time.
func (w *worker) dialMore() {
	for len(w.toDial) > 0 && w.pending < pending {
		c := w.toDial[0]
		w.toDial = w.toDial[1:]
		w.pending++
		if err := w.dial(c); err != nil {
			c.fail("connecting: %v", err)
		}
	}
}

func (w *worker) dial(c *conn) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	c.reset(fd)
	for len(w.byFD) <= fd {
		w.byFD = append(w.byFD, make([]*conn, 1024)...)
	}
	w.byFD[fd] = c
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	// One address has 28,000 ports, and each that was used lately is blocked for a minute.
	if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	source := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(1 + int(c.tally.dialled.Load())%sources)}}
	if err := unix.Bind(fd, source); err != nil {
		return err
	}
	c.writing = true
	if w.watch(c, unix.EPOLL_CTL_ADD); c.state == dead {
		return nil
	}
	if err := unix.Connect(fd, &w.to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return err
	}
	return nil
}

// sources is how many addresses connections come from: 127.0.0.1 and up.
const sources = 8

// reset makes c a new connection on fd. What was due and waits for room still waits.
func (c *conn) reset(fd int) {
	c.fd, c.state, c.writing, c.last, c.answered, c.steps, c.session = fd, dialling, false, false, 0, 0, ""
	c.in, c.out, c.written, c.res = c.in[:0], c.out[:0], 0, response{body: c.res.body[:0]}
	c.secure, c.sealed = nil, c.sealed[:0]
	if c.slots == nil {
		c.slots = make([]slot, max(1, c.group.Depth))
	}
	c.free = c.free[:0]
	for i := range c.slots {
		c.slots[i] = slot{}
		c.free = append(c.free, i)
	}
}

func (w *worker) close(c *conn) {
	if c.fd >= 0 {
		w.byFD[c.fd] = nil
		_ = unix.Close(c.fd)
		c.fd = -1
	}
}

// renew closes an open connection in order and opens another in its place.
func (w *worker) renew(c *conn) {
	w.close(c)
	c.state = dialling
	w.toDial = append(w.toDial, c)
	w.load.ready.Add(-1)
}

// lost gives a broken connection up.
func (w *worker) lost(c *conn) {
	switch c.state {
	case dead:
		return
	case open:
		w.load.ready.Add(-1)
	default:
		w.pending--
	}
	w.close(c)
	c.state = dead
	c.tally.open.Add(-int64(c.inFlight()))
	w.load.lost.Add(1)
}

// closeAll counts what was never answered and closes everything.
func (w *worker) closeAll() {
	for _, s := range w.shares {
		for _, c := range s.conns {
			if n := c.inFlight(); n > 0 && c.state == open && s.group.Behaviour == Call {
				c.tally.errors.Add(int64(n))
				c.group.failed("connection %d: %d answers missing at the end", c.n, n)
			}
			w.close(c)
		}
	}
	_ = unix.Close(w.epoll)
}
