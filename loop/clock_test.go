package loop_test

import (
	"bytes"
	"testing"
	"time"

	"millrace/loop"
	"millrace/loop/looptest"
)

// TestClockStep: a step of the wall clock ends nothing and prolongs nothing. Only the
// Date of answers follows it.
func TestClockStep(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			m := loop.NewMemory(loop.Config{Logger: quiet}, &looptest.Handler{})
			m.RealClock()
			idle, head, ws := m.Open("a:1", 0), m.Open("a:2", 0), m.Open("a:3", 0)
			head.Feed([]byte("GET / HTTP/1.1\r\n"))
			ws.Feed(looptest.Upgrade("/"))
			ws.Output()
			m.StepClock(step)
			m.Advance(time.Second)
			if idle.Closed || head.Closed || head.FIN || ws.Closed || len(ws.Output()) > 0 {
				t.Errorf("closed: idle %v, head %v, WebSocket %v", idle.Closed, head.Closed, ws.Closed)
			}
			idle.Feed(looptest.Request("GET", "/", ""))
			want := m.Now().UTC().Format("Mon, 02 Jan 2006 15:04")
			if got := idle.Conn.Date(); !bytes.HasPrefix([]byte(got), []byte(want)) {
				t.Errorf("Date: %s, want %s", got, want)
			}
			m.Advance(10 * time.Second) // HeadTimeout
			if !head.FIN && !head.Closed {
				t.Error("half a head outlives its time")
			}
			m.Advance(20 * time.Second) // PingInterval
			if len(ws.Output()) == 0 {
				t.Error("no ping in time")
			}
			m.Advance(time.Minute) // IdleTimeout
			if !idle.FIN && !idle.Closed {
				t.Error("an idle connection outlives its time")
			}
		})
	}
}
