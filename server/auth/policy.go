package auth

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Kind is what kind of thing a caller wants to use.
type Kind uint8

// The kinds. A method is one that no other kind stands for: subscriptions/listen,
// tasks/get, logging/setLevel, or one of the author's own.
const (
	Tool Kind = iota
	Prompt
	Resource
	Method

	kinds = 4
)

// String returns "tool", "prompt", "resource" or "method".
func (k Kind) String() string {
	if k >= kinds {
		return "unknown"
	}
	return [kinds]string{"tool", "prompt", "resource", "method"}[k]
}

// Policy says who may use what. What no rule allows is denied: a tool that nobody
// thought of is not everybody's. Of the rules of Allow that match, those with the
// most telling pattern decide, of which one must be satisfied. A rule of Deny wins
// over all of Allow. Methods are allowed unless a rule names them, as they give
// access to nothing by themselves.
//
// A Policy must not be changed once it is in use. Any goroutine.
type Policy struct {
	Allow, Deny []Rule
	// Implies are the scopes that a scope includes: {"admin": {"read", "write"}}.
	// It is followed through any number of steps.
	Implies map[string][]string
	// ReadOnly leaves only tools that their author calls read-only, and
	// NoDestructive removes those that may destroy something: tools do, unless their
	// author says otherwise. Both go by ToolAnnotations, as the author wrote them.
	ReadOnly, NoDestructive bool

	once  sync.Once
	order []int               // of Allow, the most telling pattern first
	all   map[string][]string // Implies, followed to its end
}

// AllowAll is the policy that lets everybody who is authenticated use everything.
func AllowAll() *Policy {
	return &Policy{Allow: []Rule{{Kind: Tool, Pattern: "*"}, {Kind: Prompt, Pattern: "*"}, {Kind: Resource, Pattern: "*"}}}
}

// AllowsAll reports whether y lets everybody use everything, so that nobody need be
// asked.
func (y *Policy) AllowsAll() bool {
	if y == nil {
		return true
	}
	if len(y.Deny) > 0 || y.ReadOnly || y.NoDestructive {
		return false
	}
	open := map[Kind]bool{}
	for _, r := range y.Allow {
		if len(r.Scopes) > 0 || len(r.Principals) > 0 {
			return false
		}
		open[r.Kind] = open[r.Kind] || r.Pattern == "*"
	}
	return open[Tool] && open[Prompt] && open[Resource]
}

// Check says what is wrong with y.
func (y *Policy) Check() error {
	if y == nil {
		return nil
	}
	for _, r := range y.Deny {
		if len(r.Scopes) > 0 {
			return fmt.Errorf("a rule that denies %s:%s needs scopes: who lacks them would be let in; deny nothing, and allow it with the scopes", r.Kind, r.Pattern)
		}
	}
	for _, r := range slices.Concat(y.Allow, y.Deny) {
		if r.Pattern == "" || r.Kind >= kinds {
			return fmt.Errorf("rule %s:%s: it has no kind or no pattern", r.Kind, r.Pattern)
		}
	}
	return nil
}

// NamesMethods reports whether a rule is about methods.
func (y *Policy) NamesMethods() bool {
	isMethod := func(r Rule) bool { return r.Kind == Method }
	return slices.ContainsFunc(y.Allow, isMethod) || slices.ContainsFunc(y.Deny, isMethod)
}

// Rule names things and who may use them.
type Rule struct {
	Kind Kind
	// Pattern is the name of a tool, prompt or method, or the URI of a resource, in
	// which "*" stands for any characters.
	Pattern string
	// Scopes are all needed. Empty: none is.
	Scopes []string
	// Principals are patterns of the IDs that the rule is for. Empty: everybody, who
	// is not asked for a name on stdio or without authentication.
	Principals []string
}

// ParseRule reads a rule as flags and files have it:
//
//	kind:pattern [needs scope,scope...] [for principal,principal...]
//
// such as "tool:db_* needs db:read,db:write for key:ci-*".
func ParseRule(s string) (Rule, error) {
	bad := func(why string) (Rule, error) {
		return Rule{}, fmt.Errorf("rule %q: %s; want kind:pattern [needs scope,...] [for principal,...]", s, why)
	}
	words := strings.Fields(s)
	if len(words) == 0 {
		return bad("it is empty")
	}
	kind, pattern, ok := strings.Cut(words[0], ":")
	k := slices.Index([]string{"tool", "prompt", "resource", "method"}, kind)
	switch {
	case !ok || k < 0:
		return bad("a rule begins with tool:, prompt:, resource: or method:")
	case pattern == "":
		return bad("the pattern is empty")
	}
	r := Rule{Kind: Kind(k), Pattern: pattern}
	for words = words[1:]; len(words) > 0; words = words[2:] {
		if len(words) == 1 {
			return bad(fmt.Sprintf("nothing follows %q", words[0]))
		}
		list := strings.Split(words[1], ",")
		switch {
		case slices.Contains(list, ""):
			return bad("a list has an empty entry")
		case words[0] == "needs" && r.Scopes == nil:
			r.Scopes = list
		case words[0] == "for" && r.Principals == nil:
			r.Principals = list
		default:
			return bad(fmt.Sprintf("%q is not expected here", words[0]))
		}
	}
	for _, scope := range r.Scopes {
		if err := checkScope(scope); err != nil {
			return bad(err.Error())
		}
	}
	return r, nil
}

// Decision is what a Policy says.
type Decision struct {
	// Allowed: who asks may use it.
	Allowed bool
	// Missing are scopes with which it would be allowed; nil when none would help.
	Missing []string
}

// maxJudged is the longest name that is judged, in bytes; longer ones are denied.
const maxJudged = 8 << 10

// Decide says whether p may use a thing. readOnly and destructive are what the
// author of a tool says of it; they mean nothing for other kinds. A URI is judged as
// it is, as it reads when its escapes are decoded, and without query and fragment, and
// must pass in every form; with "." or ".." for a segment it passes in none. Decide allocates nothing for what has
// no escapes when the answer is yes.
func (y *Policy) Decide(p *Principal, kind Kind, name string, readOnly, destructive bool) Decision {
	switch {
	case y == nil:
		return Decision{Allowed: true}
	case len(name) > maxJudged:
		return Decision{}
	case kind == Tool && (y.ReadOnly && !readOnly || y.NoDestructive && destructive && !readOnly):
		return Decision{}
	case kind == Resource:
		return y.decideURI(p, name)
	}
	return y.decide(p, kind, name)
}

func (y *Policy) decideURI(p *Principal, uri string) Decision {
	decoded := uri
	if strings.Contains(uri, "%") {
		var err error
		if decoded, err = url.PathUnescape(uri); err != nil {
			return Decision{}
		}
	}
	// What stands before a query or a fragment is what they are about.
	path := decoded
	if i := strings.IndexAny(uri, "?#"); i >= 0 {
		path = uri[:i]
		if p, err := url.PathUnescape(path); err == nil {
			path = p
		}
	}
	if hasDots(path) || hasDots(decoded) {
		return Decision{}
	}
	d := y.decide(p, Resource, uri)
	for _, form := range [...]string{decoded, path} {
		if d.Allowed && form != uri {
			d = y.decide(p, Resource, form)
		}
	}
	return d
}

// hasDots reports whether a segment of a URI is "." or "..".
func hasDots(uri string) bool {
	if !strings.Contains(uri, ".") {
		return false
	}
	for segment := range strings.SplitSeq(uri, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

func (y *Policy) decide(p *Principal, kind Kind, name string) Decision {
	for i := range y.Deny {
		if r := &y.Deny[i]; r.denies(kind, name) && r.isFor(p) {
			return Decision{}
		}
	}
	// The rules with the most telling pattern decide: one for db_drop is meant to
	// narrow one for db_*.
	y.once.Do(y.prepare)
	best := -1
	d := Decision{Allowed: kind == Method}
	for _, i := range y.order {
		r := &y.Allow[i]
		if r.Kind != kind || !Match(r.Pattern, name) {
			continue
		}
		w := r.weight()
		if w < best {
			break
		}
		best, d.Allowed = w, false
		if !r.isFor(p) {
			continue
		}
		if y.hasAll(p, r.Scopes) {
			return Decision{Allowed: true}
		}
		if d.Missing == nil { // of the first rule: one complete set, always the same
			d.Missing = r.Scopes
		}
	}
	return d
}

// weight tells which of two patterns says more: the one with more characters that
// are not stars, and of two the one without.
func (r *Rule) weight() int {
	stars := strings.Count(r.Pattern, "*")
	return 2*(len(r.Pattern)-stars) + 1 - min(stars, 1)
}

// denies reports whether r, a rule of Deny, is about a thing. A directory goes with
// what is in it.
func (r *Rule) denies(kind Kind, name string) bool {
	return r.Kind == kind && (Match(r.Pattern, name) || kind == Resource && !strings.HasSuffix(name, "/") && Match(r.Pattern, name+"/"))
}

func (r *Rule) isFor(p *Principal) bool {
	if len(r.Principals) == 0 {
		return true
	}
	for _, pattern := range r.Principals {
		if Match(pattern, p.ID) {
			return true
		}
	}
	return false
}

func (y *Policy) hasAll(p *Principal, scopes []string) bool {
	for _, s := range scopes {
		if !y.has(p, s) {
			return false
		}
	}
	return true
}

// has reports whether p has a scope, or one that includes it: servers "MUST account
// for" hierarchies of scopes (26:basic/authorization, Step-Up Authorization Flow).
func (y *Policy) has(p *Principal, scope string) bool {
	if p.local || p.HasScope(scope) {
		return true
	}
	y.once.Do(y.prepare)
	for _, s := range p.Scopes {
		if slices.Contains(y.all[s], scope) {
			return true
		}
	}
	return false
}

// prepare orders the rules of Allow by weight, and finds for every scope all that it
// includes, through others and circles.
func (y *Policy) prepare() {
	y.order = make([]int, len(y.Allow))
	for i := range y.order {
		y.order[i] = i
	}
	slices.SortStableFunc(y.order, func(a, b int) int { return y.Allow[b].weight() - y.Allow[a].weight() })
	y.all = make(map[string][]string, len(y.Implies))
	for scope := range y.Implies {
		var found []string
		for next := []string{scope}; len(next) > 0; next = next[1:] {
			for _, s := range y.Implies[next[0]] {
				if s != scope && !slices.Contains(found, s) {
					found = append(found, s)
					next = append(next, s)
				}
			}
		}
		y.all[scope] = found
	}
}

// Match reports whether s is what pattern stands for, in which "*" is any
// characters. It takes at most len(pattern) * len(s) steps.
func Match(pattern, s string) bool {
	star, back := -1, 0
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, back = i, j
			i++
		case i < len(pattern) && pattern[i] == s[j]:
			i++
			j++
		case star >= 0:
			back++
			i, j = star+1, back
		default:
			return false
		}
	}
	for i < len(pattern) && pattern[i] == '*' {
		i++
	}
	return i == len(pattern)
}
