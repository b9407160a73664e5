package loop

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// applyPause stops or resumes reading. A peer that sends faster than it is
// served is held back by TCP, not by our memory. gnet has no such switch, so
// the event mask in its epoll set is changed; gnet itself restores the mask
// when it has written out a backlog, which is why a paused mask is set again
// on every look.
func (c *Conn) applyPause() {
	want := c.queued.Load() > c.loop.cfg.MaxQueued || c.unread() >= pauseAt
	if !want && !c.paused {
		return
	}
	c.paused = want
	if !want && c.mode != modeHandshake {
		c.times.restart(c.loop.at)
		c.rearm()
	}
	if !c.sock.listen(!want, c.sock.OutboundBuffered() > 0) {
		c.Abort(ErrStalled) // no way to hold the peer back: better gone than unbounded
	}
}

// unread is how many bytes the connection holds that it will look at later.
func (c *Conn) unread() int {
	switch {
	case c.mode == modeHandshake && c.tls.conn != nil && !c.tls.wire.settled:
		return c.tls.wire.unread()
	case c.in != nil && (c.mode == modeHandshake || c.mode == modeHTTP && c.busy):
		return len(c.in.B)
	}
	return 0
}

// checkStall cuts a peer that takes nothing of what waits for it.
func (c *Conn) checkStall(now moment) {
	limit := c.loop.cfg.StallTimeout
	if c.queued.Load() <= c.loop.cfg.MaxQueued && !c.closing && c.dropped.Load() == c.forgiven {
		limit *= 6 // a small backlog hurts nobody: the peer may just be busy
	}
	if c.backlog.stalled(now) >= limit {
		c.Abort(ErrStalled)
	}
}

// epollSet is an epoll descriptor of this process and the descriptors in it.
type epollSet struct {
	fd      int
	targets []int
}

// epollSets reads the epoll descriptors of this process from /proc: gnet does
// not tell its own.
func epollSets() ([]epollSet, error) {
	dir, err := os.ReadDir("/proc/self/fdinfo")
	if err != nil {
		return nil, fmt.Errorf("looking for epoll descriptors: %w", err)
	}
	var sets []epollSet
	for _, f := range dir {
		fd, err := strconv.Atoi(f.Name())
		if err != nil {
			continue
		}
		info, err := os.ReadFile("/proc/self/fdinfo/" + f.Name())
		if err != nil {
			continue // closed in the meantime
		}
		if targets := epollTargets(info); targets != nil {
			sets = append(sets, epollSet{fd, targets})
		}
	}
	return sets, nil
}

// epollTargets reads the "tfd:" lines that only epoll descriptors have.
func epollTargets(info []byte) (targets []int) {
	for s := bufio.NewScanner(bytes.NewReader(info)); s.Scan(); {
		f := bytes.Fields(s.Bytes())
		if len(f) >= 2 && string(f[0]) == "tfd:" {
			if fd, err := strconv.Atoi(string(f[1])); err == nil {
				targets = append(targets, fd)
			}
		}
	}
	return targets
}

// epollOf finds the epoll set that watches fd.
func epollOf(fd int) (int, error) {
	sets, err := epollSets()
	if err != nil {
		return -1, err
	}
	for _, s := range sets {
		for _, t := range s.targets {
			if t == fd {
				return s.fd, nil
			}
		}
	}
	return -1, fmt.Errorf("no epoll set watches descriptor %d", fd)
}

// setEvents changes what an epoll set reports about fd.
func setEvents(epoll, fd int, read, write bool) error {
	var ev uint32
	if read {
		ev |= unix.EPOLLIN | unix.EPOLLPRI
	}
	if write {
		ev |= unix.EPOLLOUT
	}
	return unix.EpollCtl(epoll, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Fd: int32(fd), Events: ev})
}
