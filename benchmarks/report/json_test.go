package report

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.json")
	want := made()
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSaveFails(t *testing.T) {
	good := filepath.Join(t.TempDir(), "run.json")
	for _, tt := range []struct {
		name  string
		value float64
		path  string
		want  string
	}{
		{"not a number", math.NaN(), good, "s, a, round 2: cpu is NaN"},
		{"infinite", math.Inf(1), good, "s, a, round 2: cpu is +Inf"},
		{"no folder", 1, "/dev/null/run.json", "not a directory"},
	} {
		r := &Run{Scenarios: []Scenario{{Name: "s", Subjects: []Subject{of("a", 1, tt.value)}}}}
		if err := r.Save(tt.path); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	r := &Run{Seconds: math.NaN()}
	if err := r.Save(good); err == nil {
		t.Error("seconds that are no number were saved")
	}
}

func TestLoadFails(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "absent")); !os.IsNotExist(unwrapped(err)) {
		t.Errorf("absent: got %v", err)
	}
	bad := filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, []byte(`{"rounds": "three"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(bad); err == nil || !strings.Contains(err.Error(), bad) {
		t.Errorf("bad: got %v", err)
	}
}

func unwrapped(err error) error {
	if w, ok := err.(interface{ Unwrap() error }); ok {
		return w.Unwrap()
	}
	return err
}
