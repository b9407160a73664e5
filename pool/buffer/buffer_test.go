package buffer

import (
	"bytes"
	"testing"
)

func TestCopyIsIndependent(t *testing.T) {
	src := []byte("hello")
	b := Copy(src)
	defer Put(b)
	src[0] = 'j'
	if got := string(b.B); got != "hello" {
		t.Errorf("Copy shares memory with its source: %q", got)
	}
}

func TestGetIsEmpty(t *testing.T) {
	for range 100 {
		b := Get()
		if len(b.B) != 0 {
			t.Fatalf("Get returned %d bytes, want 0", len(b.B))
		}
		b.B = append(b.B, "leftover"...)
		Put(b)
	}
}

func TestPutIgnoresNil(t *testing.T) { Put(nil) }

// A buffer over the cap must not come back: it would pin its memory.
func TestLargeBufferIsNotRecycled(t *testing.T) {
	for range 100 {
		b := Get()
		b.B = make([]byte, MaxRecycled+1)
		Put(b)
	}
	for range 100 {
		b := Get()
		if cap(b.B) > MaxRecycled {
			t.Fatalf("Get returned capacity %d, over the cap of %d", cap(b.B), MaxRecycled)
		}
		defer Put(b)
	}
}

func TestPoison(t *testing.T) {
	b := Get()
	b.B = append(b.B, "secret"...)
	view := b.B
	Put(b)
	if raceEnabled && bytes.Equal(view, []byte("secret")) {
		t.Error("a race build must overwrite returned bytes")
	}
}
