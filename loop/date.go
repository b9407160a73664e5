package loop

import (
	"sync/atomic"
	"time"
)

// dateLayout is IMF-fixdate, the one format that may be sent (RFC 9110 section
// 5.6.7).
const dateLayout = "Mon, 02 Jan 2006 15:04:05 GMT"

// date is the present time as a header value: formatted once a second by the
// loops' ticks, read by whoever writes a response.
type date struct {
	second atomic.Int64
	text   atomic.Pointer[string]
}

// set is called with the time of every tick.
func (d *date) set(now time.Time) {
	s := now.Unix()
	if d.second.Swap(s) == s {
		return
	}
	text := now.UTC().Format(dateLayout)
	d.text.Store(&text)
}

// Date is the value of the Date header field: "An origin server with a clock
// MUST generate a Date header field in all 2xx (Successful), 3xx (Redirection),
// and 4xx (Client Error) responses" (RFC 9110 section 6.6.1). Any goroutine.
func (c *Conn) Date() string { return *c.loop.shared.date.text.Load() }
