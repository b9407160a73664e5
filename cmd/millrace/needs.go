package main

import "fmt"

// need is a flag that means nothing without another: who has set one believes that it
// does something.
type need struct {
	flag       string
	set, there bool
	needs      string
}

// unmet is a usage error for the first flag that is set in vain.
func unmet(list []need) error {
	for _, n := range list {
		if n.set && !n.there {
			return usageError{fmt.Errorf("--%s means nothing without %s", n.flag, n.needs)}
		}
	}
	return nil
}
