package report

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
)

// Save writes r to the file at path as indented JSON. JSON has no word for infinity or "not a number": a sample must
// leave such a figure out, and Save names the one that did not.
func (r *Run) Save(path string) error {
	if err := r.finite(); err != nil {
		return fmt.Errorf("saving the run: %w", err)
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("saving the run: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("saving the run: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("saving the run: %w", err)
	}
	return nil
}

// Load reads a run that Save has written.
func Load(path string) (*Run, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("loading a run: %w", err)
	}
	r := new(Run)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("loading a run from %s: %w", path, err)
	}
	return r, nil
}

// finite returns an error that names a figure which JSON cannot express.
func (r *Run) finite() error {
	for _, s := range r.Scenarios {
		for _, subject := range s.Subjects {
			for i, round := range subject.Rounds {
				for f, v := range round {
					if math.IsNaN(v) || math.IsInf(v, 0) {
						return fmt.Errorf("%s, %s, round %d: %s is %v", s.Name, subject.Name, i+1, f, v)
					}
				}
			}
		}
	}
	return nil
}
