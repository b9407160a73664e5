//go:build !race

package loop_test

// raceEnabled: sync.Pool drops objects on purpose in race builds.
const raceEnabled = false
