package schema

import (
	"bytes"
	"math/big"
	"math/bits"
)

// Limits of numbers that go through math/big: in a schema, and in a value
// that the foreign engine validates, which parses every number as a big.Rat.
// Without them `1e999999999` asks for gigabytes.
const (
	maxNumberBytes = 1000
	maxExponent    = 1000
)

// exponentCap is where exponents saturate. It is far above what a message can
// hold in digits, so that sums with a digit count stay exact enough to compare
// against a bounded limit.
const exponentCap = 1 << 50

// decimal is a JSON number without rounding: 0.d1d2d3... * 10^mag, where d1
// and the last digit are not zero. It is a view of the literal it was read
// from. Every operation is linear in the literal's length, whatever the
// exponent says.
type decimal struct {
	neg         bool
	whole, frac []byte // the literal's digits before and after the point
	lead        int    // leading zeros of whole and frac taken as one
	n           int    // significant digits; 0: the number is zero
	mag         int64
}

// parseDecimal reads a literal that scanNumber has accepted.
func parseDecimal(lit []byte) decimal {
	var d decimal
	if lit[0] == '-' {
		d.neg, lit = true, lit[1:]
	}
	end := scanDigits(lit, 0)
	d.whole = lit[:end]
	if end < len(lit) && lit[end] == '.' {
		start := end + 1
		end = scanDigits(lit, start)
		d.frac = lit[start:end]
	}
	var exp int64
	if end < len(lit) {
		exp = parseExponent(lit[end+1:])
	}
	d.n = len(d.whole) + len(d.frac)
	for d.n > 0 && d.digit(0) == 0 {
		d.lead++
		d.n--
	}
	for d.n > 0 && d.digit(d.n-1) == 0 {
		d.n--
	}
	d.mag = int64(len(d.whole)-d.lead) + exp
	return d
}

func parseExponent(b []byte) int64 {
	neg := false
	if b[0] == '+' || b[0] == '-' {
		neg, b = b[0] == '-', b[1:]
	}
	var exp int64
	for _, c := range b {
		if exp = exp*10 + int64(c-'0'); exp > exponentCap {
			exp = exponentCap
			break
		}
	}
	if neg {
		return -exp
	}
	return exp
}

// digit is the k-th significant digit.
func (d *decimal) digit(k int) byte {
	if k += d.lead; k < len(d.whole) {
		return d.whole[k] - '0'
	}
	return d.frac[k-len(d.whole)] - '0'
}

// integral reports whether the number has no fraction: 1.0 and 1e2 have none.
func (d *decimal) integral() bool {
	return d.n == 0 || int64(d.n) <= d.mag
}

func (d *decimal) sign() int {
	switch {
	case d.n == 0:
		return 0
	case d.neg:
		return -1
	}
	return 1
}

// compare returns -1, 0 or 1 as d is less than, equal to or greater than o.
func (d *decimal) compare(o *decimal) int {
	sign := d.sign()
	if other := o.sign(); sign != other {
		if sign < other {
			return -1
		}
		return 1
	}
	if sign == 0 {
		return 0
	}
	return sign * d.compareAbs(o)
}

func (d *decimal) compareAbs(o *decimal) int {
	if d.mag != o.mag {
		if d.mag < o.mag {
			return -1
		}
		return 1
	}
	for k := range min(d.n, o.n) {
		if a, b := d.digit(k), o.digit(k); a != b {
			return int(a) - int(b)
		}
	}
	return d.n - o.n
}

// divisor is the value of multipleOf: coef * 10^exp, coef below 10^18 and not
// a multiple of ten.
type divisor struct {
	coef uint64
	exp  int64
	text string
}

// newDivisor returns false when the number has too many digits.
func newDivisor(r *big.Rat) (*divisor, bool) {
	text := ratText(r)
	d := parseDecimal([]byte(text))
	if d.n == 0 || d.n > 18 {
		return nil, false
	}
	div := &divisor{exp: d.mag - int64(d.n), text: shorten(text)}
	for k := range d.n {
		div.coef = div.coef*10 + uint64(d.digit(k))
	}
	return div, true
}

// divides reports whether the number is a whole multiple of the divisor.
func (v *divisor) divides(d *decimal) bool {
	if d.n == 0 {
		return true
	}
	shift := d.mag - int64(d.n) - v.exp
	if shift < 0 {
		// The digits would have to be a multiple of ten, and the last one is
		// not zero.
		return false
	}
	rem := uint64(0)
	for k := range d.n {
		rem = (rem*10 + uint64(d.digit(k))) % v.coef
	}
	return mulMod(rem, powMod(10, uint64(shift), v.coef), v.coef) == 0
}

func powMod(base, exp, m uint64) uint64 {
	result := 1 % m
	for base %= m; exp > 0; exp >>= 1 {
		if exp&1 == 1 {
			result = mulMod(result, base, m)
		}
		base = mulMod(base, base, m)
	}
	return result
}

func mulMod(a, b, m uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	_, rem := bits.Div64(hi%m, lo, m)
	return rem
}

// smallInt reads a literal of at most 18 digits without point and exponent,
// which is what most numbers are.
func smallInt(lit []byte) (int64, bool) {
	digits := lit
	if lit[0] == '-' {
		digits = lit[1:]
	}
	if len(digits) > 18 {
		return 0, false
	}
	var v int64
	for _, c := range digits {
		if c -= '0'; c > 9 {
			return 0, false
		}
		v = v*10 + int64(c)
	}
	if len(digits) != len(lit) {
		return -v, true
	}
	return v, true
}

// numberCost is what a literal costs as a big.Rat beyond a short one, in units
// of such a short one, and false if it is too much to ask of math/big.
func numberCost(lit []byte) (cost int, ok bool) {
	if len(lit) > maxNumberBytes {
		return 0, false
	}
	exp := int64(0)
	if i := bytes.IndexAny(lit, "eE"); i >= 0 {
		exp = parseExponent(lit[i+1:])
	}
	if exp < 0 {
		exp = -exp
	}
	return len(lit)/100 + int(exp)/200, exp <= maxExponent
}

// ratText writes a number that came from a decimal literal exactly.
func ratText(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	prec, _ := r.FloatPrec()
	return r.FloatString(prec)
}

// limit is one of minimum, maximum and their exclusive forms.
type limit struct {
	dec     decimal
	small   int64
	isSmall bool
	text    string
}

func newLimit(r *big.Rat) *limit {
	if r == nil {
		return nil
	}
	text := []byte(ratText(r))
	l := &limit{dec: parseDecimal(text), text: shorten(string(text))}
	l.small, l.isSmall = smallInt(text)
	return l
}

// number is a literal of the value being validated. The decimal is read at
// first need: plain integers seldom need it.
type number struct {
	lit     []byte
	small   int64
	isSmall bool
	parsed  bool
	dec     decimal
}

func (n *number) decimal() *decimal {
	if !n.parsed {
		n.dec, n.parsed = parseDecimal(n.lit), true
	}
	return &n.dec
}

func (n *number) integral() bool {
	return n.isSmall || n.decimal().integral()
}

func (n *number) compare(l *limit) int {
	if n.isSmall && l.isSmall {
		switch {
		case n.small < l.small:
			return -1
		case n.small > l.small:
			return 1
		}
		return 0
	}
	return n.decimal().compare(&l.dec)
}

func (n *number) multipleOf(v *divisor) bool {
	if n.isSmall && v.exp == 0 {
		return n.small%int64(v.coef) == 0
	}
	return v.divides(n.decimal())
}
