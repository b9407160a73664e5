package schema

// run is one validation by the native engine, on the stack of the caller. It
// goes over the value once and stops at the first violation; only a value that
// is wrong is walked again, with a report that collects paths and words.
type run struct {
	scanner
	report *report // nil while the verdict is all that is asked
}

// report collects violations and keeps the path of the value being checked.
type report struct {
	path []segment
	all  []violation
}

func (n *node) validate(raw []byte) error {
	r := run{scanner: scanner{b: raw, maxDepth: maxInstanceDepth}}
	if r.check(n) {
		return nil
	}
	if r.fault != faultNone {
		return syntaxError(r.fault, r.at)
	}
	return n.explain(raw)
}

// explain is apart from validate so that its report does not make every run
// escape to the heap.
func (n *node) explain(raw []byte) error {
	rep := &report{}
	r := run{scanner: scanner{b: raw, maxDepth: maxInstanceDepth}, report: rep}
	r.check(n)
	if r.fault != faultNone {
		return syntaxError(r.fault, r.at)
	}
	return newError(rep.all)
}

func (r *run) check(n *node) bool {
	i := r.node(n, skipSpace(r.b, 0))
	if i < 0 {
		return false
	}
	if i = skipSpace(r.b, i); i != len(r.b) {
		r.fail(faultSyntax, i)
		return false
	}
	return r.report == nil || len(r.report.all) == 0
}

// broken records a violation at the current path. It returns next to go on
// from, or -1 when the run is over. message is called only if it is wanted.
func (r *run) broken(next int, message func() string) int {
	if r.report == nil {
		return -1
	}
	r.report.all = append(r.report.all, violation{pathString(r.report.path), message()})
	if len(r.report.all) >= maxViolations {
		return -1
	}
	return next
}

// node checks the value at i against n and returns the offset behind it, or -1
// when the run is over.
func (r *run) node(n *node, i int) int {
	if n == nil {
		return r.value(i)
	}
	if n.never {
		return r.skip(i, func() string { return "must not be present" })
	}
	if i >= len(r.b) {
		return r.fail(faultSyntax, i)
	}
	switch r.b[i] {
	case '"':
		return r.text(n, i)
	case '{':
		return r.object(n, i)
	case '[':
		return r.array(n, i)
	case 't':
		return r.word(n, i, typeBoolean, wordTrue)
	case 'f':
		return r.word(n, i, typeBoolean, wordFalse)
	case 'n':
		return r.word(n, i, typeNull, wordNull)
	}
	return r.number(n, i)
}

// skip walks over a value that breaks a rule as a whole.
func (r *run) skip(i int, message func() string) int {
	next := r.value(i)
	if next < 0 {
		return -1
	}
	return r.broken(next, message)
}

// mistyped is skip for a value of the wrong type.
func (r *run) mistyped(n *node, i int, got string) int {
	return r.skip(i, func() string { return typeMessage(n.want, got) })
}

func (r *run) word(n *node, i int, kind types, word words) int {
	if n.allow&kind == 0 {
		got := "boolean"
		if kind == typeNull {
			got = "null"
		}
		return r.mistyped(n, i, got)
	}
	next := r.value(i)
	for _, rule := range n.enums {
		if next >= 0 && rule.words&word == 0 {
			next = r.outside(rule, next)
		}
	}
	return next
}

// outside reports a value that is not in an enum.
func (r *run) outside(rule *enumRule, next int) int {
	return r.broken(next, func() string { return rule.message })
}

func (r *run) text(n *node, i int) int {
	if n.allow&typeString == 0 {
		return r.mistyped(n, i, "string")
	}
	next, escaped := scanString(r.b, i)
	if next < 0 {
		return r.fail(faultSyntax, i)
	}
	raw := r.b[i+1 : next-1]
	for _, rule := range n.enums {
		if next >= 0 && rule.strings.find(raw, escaped) < 0 {
			next = r.outside(rule, next)
		}
	}
	if next >= 0 && (n.minLength > 0 || n.maxLength >= 0) {
		next = r.length(n, raw, escaped, next)
	}
	if next >= 0 && n.pattern != nil && !matches(n, raw, escaped) {
		next = r.broken(next, func() string { return patternMessage(n.pattern.String()) })
	}
	return next
}

func (r *run) length(n *node, raw []byte, escaped bool, next int) int {
	got := countRunes(raw, escaped)
	if got < n.minLength {
		next = r.broken(next, func() string { return countMessage("at least", n.minLength, "character", got) })
	}
	if next >= 0 && n.maxLength >= 0 && got > n.maxLength {
		next = r.broken(next, func() string { return countMessage("at most", n.maxLength, "character", got) })
	}
	return next
}

func matches(n *node, raw []byte, escaped bool) bool {
	if escaped {
		return n.pattern.MatchString(decodeString(raw, true))
	}
	return n.pattern.Match(raw)
}

func (r *run) number(n *node, i int) int {
	next := scanNumber(r.b, i)
	if next < 0 {
		return r.fail(faultSyntax, i)
	}
	if n.allow&typeNumber == 0 {
		return r.mistyped(n, i, "number")
	}
	if n.allow&typeNumber == typeNumber && !n.numeric && len(n.enums) == 0 {
		return next
	}
	num := number{lit: r.b[i:next]}
	num.small, num.isSmall = smallInt(num.lit)
	if n.allow&typeFraction == 0 && !num.integral() {
		return r.mistyped(n, i, "number")
	}
	for _, rule := range n.enums {
		if next >= 0 && !rule.hasNumber(&num) {
			next = r.outside(rule, next)
		}
	}
	if next >= 0 && n.numeric {
		next = r.limits(n, &num, next)
	}
	return next
}

func (e *enumRule) hasNumber(num *number) bool {
	for k := range e.numbers {
		if num.decimal().compare(&e.numbers[k]) == 0 {
			return true
		}
	}
	return false
}

func (r *run) limits(n *node, num *number, next int) int {
	if n.min != nil && num.compare(n.min) < 0 {
		next = r.limit("at least", n.min.text, next)
	}
	if next >= 0 && n.max != nil && num.compare(n.max) > 0 {
		next = r.limit("at most", n.max.text, next)
	}
	if next >= 0 && n.exMin != nil && num.compare(n.exMin) <= 0 {
		next = r.limit("greater than", n.exMin.text, next)
	}
	if next >= 0 && n.exMax != nil && num.compare(n.exMax) >= 0 {
		next = r.limit("less than", n.exMax.text, next)
	}
	if next >= 0 && n.multiple != nil && !num.multipleOf(n.multiple) {
		next = r.limit("a multiple of", n.multiple.text, next)
	}
	return next
}

func (r *run) limit(relation, bound string, next int) int {
	return r.broken(next, func() string { return "must be " + relation + " " + bound })
}

func (r *run) array(n *node, i int) int {
	if n.allow&typeArray == 0 {
		return r.mistyped(n, i, "array")
	}
	start := i
	if !r.enter() {
		return r.fail(faultDepth, i)
	}
	count := 0
	i = skipSpace(r.b, i+1)
	if i < len(r.b) && r.b[i] == ']' {
		i++
	} else {
		for more := true; more; count++ {
			r.push(nil, false, count)
			i = r.node(n.item(count), i)
			if i < 0 {
				return -1
			}
			r.pop()
			at := i
			if i, more = scanNext(r.b, i, ']'); i < 0 {
				return r.fail(faultSyntax, at)
			}
		}
	}
	r.depth--
	return r.container(n, start, i, count, n.minItems, n.maxItems, "item")
}

func (n *node) item(k int) *node {
	if k < len(n.prefix) {
		return n.prefix[k]
	}
	return n.items
}

func (r *run) object(n *node, i int) int {
	if n.allow&typeObject == 0 {
		return r.mistyped(n, i, "object")
	}
	start := i
	if !r.enter() {
		return r.fail(faultDepth, i)
	}
	var seen [maxRequired / 64]uint64
	count := 0
	i = skipSpace(r.b, i+1)
	if i < len(r.b) && r.b[i] == '}' {
		i++
	} else {
		for more := true; more; count++ {
			key := scanKey(r.b, i)
			if key.value < 0 {
				return r.fail(faultSyntax, i)
			}
			if i = r.member(n, &key, &seen); i < 0 {
				return -1
			}
			at := i
			if i, more = scanNext(r.b, i, '}'); i < 0 {
				return r.fail(faultSyntax, at)
			}
		}
	}
	r.depth--
	for k, want := range n.required {
		if want&^seen[k] != 0 {
			if i = r.missing(n, &seen, i); i < 0 {
				return -1
			}
			break
		}
	}
	return r.container(n, start, i, count, n.minProps, n.maxProps, "property")
}

// member checks one member of an object against n.
func (r *run) member(n *node, key *member, seen *[maxRequired / 64]uint64) int {
	value := n.additional
	p := n.names.find(key.name, key.escaped)
	if p >= 0 {
		value = n.props[p].value
		if slot := n.props[p].slot; slot >= 0 {
			seen[slot/64] |= 1 << (slot % 64)
		}
	}
	if value != nil && value.never {
		return r.skip(key.value, func() string {
			return unknownMessage(decodeString(key.name, key.escaped), n.known)
		})
	}
	r.push(key.name, key.escaped, -1)
	i := r.node(value, key.value)
	if i >= 0 {
		r.pop()
	}
	return i
}

func (r *run) missing(n *node, seen *[maxRequired / 64]uint64, next int) int {
	if r.report == nil {
		return -1
	}
	for _, name := range n.missing(seen) {
		if next >= 0 {
			next = r.broken(next, func() string { return missingMessage(name) })
		}
	}
	return next
}

// container applies the rules that arrays and objects share; the container's
// bytes are b[start:next].
func (r *run) container(n *node, start, next, count, lower, upper int, unit string) int {
	if count < lower {
		next = r.broken(next, func() string { return countMessage("at least", lower, unit, count) })
	}
	if next >= 0 && upper >= 0 && count > upper {
		next = r.broken(next, func() string { return countMessage("at most", upper, unit, count) })
	}
	for _, rule := range n.enums {
		if next >= 0 {
			next = r.outside(rule, next)
		}
	}
	return next
}

// push and pop keep the path, which only a report needs.
func (r *run) push(name []byte, escaped bool, index int) {
	if r.report == nil {
		return
	}
	s := segment{index: index}
	if index < 0 {
		s.name = decodeString(name, escaped)
	}
	r.report.path = append(r.report.path, s)
}

func (r *run) pop() {
	if r.report != nil {
		r.report.path = r.report.path[:len(r.report.path)-1]
	}
}
