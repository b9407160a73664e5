// Package work is what the tools of the servers under test do, so that all of them do the same. It knows no SDK.
package work

import (
	"context"
	"crypto/sha256"
	"time"
)

// Answer is what servers without MCP answer everything with: as long as the answer of millrace to the echo call of the
// suite.
const Answer = `{"jsonrpc":"2.0","id":1000000000,"result":{"resultType":"complete","_meta":` +
	`{"io.modelcontextprotocol/serverInfo":{"name":"bench","version":"1.0.0"}},` +
	`"content":[{"type":"text","text":"m0000000 fifty bytes of text, as an agent would s"}]}}`

// hashesPerMS is how many hashes an undisturbed core computes in a millisecond, measured before anything is served.
var hashesPerMS = calibrate()

// calibrate takes the fastest of some short runs: what disturbs one only makes it slower.
func calibrate() float64 {
	const runs, n = 10, 20_000
	best := time.Hour
	for range runs {
		start := time.Now()
		hash(n)
		best = min(best, time.Since(start))
	}
	return n / (best.Seconds() * 1000)
}

// hash computes n hashes and returns the last, so that no compiler leaves them out.
func hash(n int) (sum [sha256.Size]byte) {
	for range n {
		sum = sha256.Sum256(sum[:])
	}
	return sum
}

// Burn computes what takes an undisturbed core ms milliseconds. It is an amount of work, because a loop that looked at
// the clock would be done in time however little of the core it got, and so would favour a server that runs many at
// once.
func Burn(ms float64) { hash(int(ms * hashesPerMS)) }

// Sleep waits for ms milliseconds, or until ctx is done, and returns its error then.
func Sleep(ctx context.Context, ms float64) error {
	timer := time.NewTimer(time.Duration(ms * float64(time.Millisecond)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
