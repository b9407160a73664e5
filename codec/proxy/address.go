package proxy

import "net/netip"

// address reads an address and the space behind it: "The advertised protocol
// family dictates what format to use." Its own parsers, because netip.ParseAddr
// judges whole addresses only, and allocates for bytes.
func (c *cursor) address(family byte) netip.Addr {
	if family == '4' {
		a := netip.AddrFrom4(c.quad(errAddress4))
		c.want(" ", errAddress4)
		return a
	}
	a := netip.AddrFrom16(c.groups()).Unmap()
	c.want(" ", errAddress6)
	return a
}

// quad reads "exactly 4 integers in the range [0..255] inclusive written in
// decimal representation separated by exactly one dot".
func (c *cursor) quad(bad *Error) (a [4]byte) {
	for i := range a {
		if i > 0 {
			c.want(".", bad)
		}
		a[i] = byte(c.number(255, bad))
	}
	return a
}

// number reads a decimal number up to most: "Heading zeroes are not permitted
// in front of numbers in order to avoid any possible confusion with octal
// numbers." It stops at the first byte that is not a digit.
func (c *cursor) number(most int, bad *Error) (v int) {
	for first := true; ; first = false {
		d := c.peek() - '0'
		if d > 9 {
			if first {
				c.fail(bad)
			}
			return v
		}
		if v == 0 && !first {
			c.fail(bad)
			return 0
		}
		if v = v*10 + int(d); v > most {
			c.fail(bad)
			return 0
		}
		c.n++
	}
}

// groups reads "sets of 4 hexadecimal digits (upper or lower case) delimited by
// colons between each other, with the acceptance of one double colon sequence".
// Leading zeros of a group may be left out, and the last two groups may be a
// dotted quad, because inet_ntop(3), which senders use, writes addresses so. A
// zone is not part of the format.
func (c *cursor) groups() (a [16]byte) {
	n, gap := 0, -1 // bytes read; where in them the double colon is
	most := len(a)  // of n
	if c.peek() == ':' {
		c.want("::", errAddress6)
		gap, most = 0, most-2 // it stands for at least one group
	}
	for gap != n || c.peek() != ' ' { // only a double colon may end it
		if n == most {
			c.fail(errAddress6)
			break
		}
		start := c.n
		v := c.group()
		if c.peek() == '.' {
			// The digits are decimal then. Without a gap the quad must be at
			// the end.
			if n+4 > most || gap < 0 && n+4 < most {
				c.fail(errAddress6)
			}
			c.n = start
			quad := c.quad(errAddress6)
			n += copy(a[n:], quad[:])
			break
		}
		a[n], a[n+1] = byte(v>>8), byte(v)
		n += 2
		if c.peek() != ':' {
			break
		}
		c.n++
		if n == most {
			c.fail(errAddress6) // before what would follow the colon is there
		}
		if gap < 0 && c.peek() == ':' {
			c.n++
			gap, most = n, most-2
		}
	}
	if gap >= 0 {
		copy(a[gap+len(a)-n:], a[gap:n])
		clear(a[gap : gap+len(a)-n])
	} else if n < len(a) {
		c.fail(errAddress6) // "The total number of decoded bits must exactly be 128."
	}
	return a
}

// group reads 1 to 4 hexadecimal digits.
func (c *cursor) group() (v int) {
	for digits := 0; ; digits++ {
		d := hexValue(c.peek())
		if d < 0 {
			if digits == 0 {
				c.fail(errAddress6)
			}
			return v
		}
		if digits == 4 {
			c.fail(errAddress6)
			return 0
		}
		v = v<<4 | d
		c.n++
	}
}

// hexValue returns the value of a hexadecimal digit, or -1.
func hexValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
