//go:build !race

package buffer

const raceEnabled = false

// poison costs a memory sweep: only race builds pay for it.
func poison([]byte) {}
