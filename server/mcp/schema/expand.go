package schema

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// errPaths names the bound of the expansion.
var errPaths = fmt.Errorf("schema: allOf, anyOf, oneOf and $ref expand to more than the bound of %d paths", maxPaths)

// maxEntries bounds the memory of the estimate itself, which holds one entry
// for every pair of schemas of which one leads to the other.
const maxEntries = 5 * maxPaths

// expansion is how often each schema is applied to one and the same value:
// the applying schema itself, and what allOf, $ref and their like lead to.
type expansion map[int]float64

// fan returns the largest number of schemas that one value inside an instance
// is checked against, over all instances as deep as an instance may be. Nested
// allOf and $ref double it at every step; so does a recursion that reaches
// itself twice for the same child, once per level of the instance.
//
// With C the expansion of a schema s, a child p of the instance is checked by
// every schema that a member of C applies to p. For each depth k the count
// follows from the counts of depth k-1; it is an upper bound, since it takes
// the worst child anew at every level.
func (g *graph) fan() (int, error) {
	closures, err := g.closures()
	if err != nil {
		return 0, err
	}
	groups, groupOf, err := g.childGroups(closures)
	if err != nil {
		return 0, err
	}
	current := make([]float64, len(g.nodes))
	for i, closure := range closures {
		for _, n := range closure {
			current[i] += n
		}
	}
	worst, total := current[0], current[0]
	counts := make([]float64, len(groups))
	for level := range maxInstanceDepth {
		for i := range groups {
			// Far above the bound is enough to know, and finite numbers can be
			// subtracted.
			counts[i] = min(groups[i].count(current), 1e12)
		}
		settled := true
		for i, group := range groupOf {
			settled = settled && current[i] == counts[group]
			current[i] = counts[group]
		}
		worst = max(worst, current[0])
		left := 1
		if settled { // every deeper level costs the same
			left = maxInstanceDepth - level
		}
		if total += current[0] * float64(left); total > maxPaths {
			return 0, errPaths
		}
		if settled {
			break
		}
	}
	return int(worst), nil
}

// closures expands every node. A schema that applies itself to the same value
// has no meaning ("a schema MUST NOT be run into an infinite recursive loop
// against an instance", JSON Schema core, section 9.4.1) and is refused.
func (g *graph) closures() ([]expansion, error) {
	done := make([]expansion, len(g.nodes))
	open := make([]bool, len(g.nodes))
	entries := 0
	var expand func(i int) error
	expand = func(i int) error {
		if open[i] {
			return errors.New("schema: a $ref leads back to itself without going through a property or an item")
		}
		if done[i] != nil {
			return nil
		}
		open[i] = true
		all, sum := expansion{i: 1}, 1.0
		for _, sub := range g.edges[i].same {
			if err := expand(sub); err != nil {
				return err
			}
			for id, n := range done[sub] {
				all[id] += n
				sum += n
			}
		}
		open[i] = false
		if entries += len(all); sum > maxPaths || entries > maxEntries {
			return errPaths
		}
		done[i] = all
		return nil
	}
	for i := range g.nodes {
		if err := expand(i); err != nil {
			return nil, err
		}
	}
	return done, nil
}

// childGroup is what one expansion applies to the children of an object and
// of an array: base to every child, and the terms of a name on top of it.
type childGroup struct {
	kinds [2]struct {
		base  []term
		named [][]term
	}
}

// term is schema id applied n times; a negative n takes back what base counts
// for children without a name of their own.
type term struct {
	id int
	n  float64
}

// childGroups builds the group of every node. Nodes whose expansions agree in
// the schemas that have children share one: a thousand properties that refer
// to the same schema are the common case.
func (g *graph) childGroups(closures []expansion) (groups []childGroup, groupOf []int, err error) {
	shared := map[string]int{}
	terms := 0
	for _, closure := range closures {
		parents := make([]term, 0, len(closure))
		for id, n := range closure {
			if g.edges[id].object.any() || g.edges[id].array.any() {
				parents = append(parents, term{id, n})
			}
		}
		slices.SortFunc(parents, func(a, b term) int { return a.id - b.id })
		key := fmt.Sprint(parents)
		group, ok := shared[key]
		if !ok {
			group = len(groups)
			shared[key] = group
			for _, parent := range parents {
				e := &g.edges[parent.id]
				terms += len(e.object.named) + len(e.object.always) + len(e.array.named) + len(e.array.always) + 2
			}
			if terms > maxPaths {
				return nil, nil, errPaths
			}
			groups = append(groups, g.newChildGroup(parents))
		}
		groupOf = append(groupOf, group)
	}
	return groups, groupOf, nil
}

func (c *children) any() bool {
	return len(c.always) > 0 || len(c.named) > 0 || c.rest >= 0
}

func (g *graph) newChildGroup(parents []term) childGroup {
	var group childGroup
	for k := range group.kinds {
		named := map[string][]term{}
		kind := &group.kinds[k]
		for _, parent := range parents {
			c := &g.edges[parent.id].object
			if k == 1 {
				c = &g.edges[parent.id].array
			}
			for _, sub := range c.always {
				kind.base = append(kind.base, term{sub, parent.n})
			}
			if c.rest >= 0 {
				kind.base = append(kind.base, term{c.rest, parent.n})
			}
			for name, sub := range c.named {
				named[name] = append(named[name], term{sub, parent.n})
				if c.rest >= 0 {
					named[name] = append(named[name], term{c.rest, -parent.n})
				}
			}
		}
		kind.named = slices.Collect(maps.Values(named))
	}
	return group
}

// count is the number of schemas applied to the worst child.
func (c *childGroup) count(counts []float64) float64 {
	worst := 0.0
	for k := range c.kinds {
		base := sum(c.kinds[k].base, counts)
		worst = max(worst, base)
		for _, terms := range c.kinds[k].named {
			worst = max(worst, base+sum(terms, counts))
		}
	}
	return worst
}

func sum(terms []term, counts []float64) float64 {
	total := 0.0
	for _, t := range terms {
		total += t.n * counts[t.id]
	}
	return total
}
