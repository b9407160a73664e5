//go:build race

package buffer

const raceEnabled = true

// poison fills the whole capacity, so that a view kept after Free reads 0xDB.
func poison(b []byte) {
	b = b[:cap(b)]
	for i := range b {
		b[i] = 0xDB
	}
}
