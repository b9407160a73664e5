package session

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestMetadata(t *testing.T) {
	s := create(t, NewRegistry(Config{}), t0, Params{})
	if v, ok := s.Get("none"); v != nil || ok {
		t.Errorf("Get(none) = %v, %v", v, ok)
	}
	s.Delete("none")
	for i := range MaxMetadata {
		if err := s.Set(fmt.Sprint("key", i), i); err != nil {
			t.Fatalf("entry %d: %v", i+1, err)
		}
	}
	if err := s.Set("one more", 0); err != ErrMetadataFull {
		t.Errorf("entry %d: error = %v, want ErrMetadataFull", MaxMetadata+1, err)
	}
	if err := s.Set("key7", "new"); err != nil {
		t.Errorf("replacing in a full session: %v", err)
	}
	if v, ok := s.Get("key7"); v != "new" || !ok {
		t.Errorf("Get(key7) = %v, %v, want new", v, ok)
	}
	s.Delete("key7")
	if _, ok := s.Get("key7"); ok {
		t.Error("key7 is still there")
	}
	if err := s.Set("one more", 0); err != nil {
		t.Errorf("after Delete: %v", err)
	}
}

func TestAttachment(t *testing.T) {
	s := create(t, NewRegistry(Config{}), t0, Params{})
	if got := s.Attachment(); got != nil {
		t.Errorf("Attachment = %v, want nil", got)
	}
	if got := s.AttachOnce("a"); got != "a" {
		t.Errorf("AttachOnce(a) = %v, want a", got)
	}
	if got := s.AttachOnce("b"); got != "a" {
		t.Errorf("AttachOnce(b) = %v, want a", got)
	}
	s.SetAttachment(3) // another type than before
	if got := s.Attachment(); got != 3 {
		t.Errorf("Attachment = %v, want 3", got)
	}
}

func TestSetters(t *testing.T) {
	s := create(t, NewRegistry(Config{}), t0, typical)
	s.SetVersion("2025-06-18")
	if got := s.Version(); got != "2025-06-18" {
		t.Errorf("Version = %q", got)
	}
	s.SetClient(ClientInfo{UserAgent: "x"})
	if got, want := s.Client(), (ClientInfo{UserAgent: "x", Connected: t0}); got != want {
		t.Errorf("Client = %+v, want %+v", got, want)
	}
	s.SetClient(ClientInfo{Connected: at(time.Hour)})
	if got := s.Client().Connected; !got.Equal(at(time.Hour)) {
		t.Errorf("Connected = %v", got)
	}
	if why, ok := s.Ended(); ok {
		t.Errorf("Ended = %v", why)
	}
	s.Hold()
	if !s.Busy() {
		t.Error("not Busy with a hold")
	}
	s.Release(t0)
	s.Release(t0)
	if s.Busy() {
		t.Error("Busy without a hold")
	}
}

func TestClip(t *testing.T) {
	a := func(n int) string { return strings.Repeat("a", n) }
	tests := []struct{ name, in, want string }{
		{"empty", "", ""},
		{"limit-1", a(255), a(255)},
		{"limit", a(256), a(256)},
		{"limit+1", a(257), a(256)},
		{"character on the edge", a(254) + "€", a(254)},
		{"character fits", a(253) + "€uro", a(253) + "€"},
		{"no UTF-8", strings.Repeat("\x80", 300), strings.Repeat("\x80", 252)},
	}
	for _, tt := range tests {
		if got := clip(tt.in); got != tt.want {
			t.Errorf("%s: clip = %q, want %q", tt.name, got, tt.want)
		}
	}
}
