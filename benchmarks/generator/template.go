package generator

import (
	"bytes"
	"strconv"

	"millrace/benchmarks/client"
)

// Request ids have ten digits always, so that a request keeps its size when its id changes.
const (
	firstID     = 1_000_000_000
	firstIDText = "1000000000"
	idDigits    = len(firstIDText)
	markDigits  = len(Mark)
)

// maskKey masks all frames. RFC 6455 section 5.3 wants a fresh key for each frame, against proxies that scripts in
// browsers might poison; to a server under load one key costs what another costs.
const maskKey = 0x5aa5c33c

// template is a request as it goes over the wire, with places for what changes.
type template struct {
	b     []byte
	ids   []int // where ids stand
	start int   // of the masked part
	mask  bool
}

// append appends the request with the given id.
func (t *template) append(dst []byte, id int64) []byte {
	at := len(dst)
	dst = append(dst, t.b...)
	for _, i := range t.ids {
		putDigits(dst[at+i:at+i+idDigits], id)
		if t.mask {
			t.xor(dst[at:], i, idDigits)
		}
	}
	return dst
}

// xor masks n bytes of the frame b from i on.
func (t *template) xor(b []byte, i, n int) {
	for end := i + n; i < end; i++ {
		b[i] ^= byte(uint32(maskKey) >> (8 * ((i - t.start) & 3)))
	}
}

// httpTemplate makes the POST that carries body.
func httpTemplate(r *client.Request, body []byte) template {
	b := r.Append(nil, body)
	start := len(b) - len(body)
	return template{b: b, ids: offsets(b, start, firstIDText), start: start}
}

// frameTemplate makes the text frame that carries body.
func frameTemplate(body []byte) template {
	b := client.AppendFrame(nil, client.OpText, maskKey, body)
	start := len(b) - len(body)
	ids := offsets(body, 0, firstIDText)
	for i := range ids {
		ids[i] += start
	}
	return template{b: b, ids: ids, start: start, mask: true}
}

// offsets returns where text stands in b[from:], as offsets in b.
func offsets(b []byte, from int, text string) (at []int) {
	for {
		i := bytes.Index(b[from:], []byte(text))
		if i < 0 {
			return at
		}
		at = append(at, from+i)
		from += i + len(text)
	}
}

func putDigits(b []byte, n int64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}

func digits(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}

// pattern is an answer that was found right, with the places in it that differ between right answers.
type pattern struct {
	b     []byte
	holes []hole // in order
	id    int    // where the id stands; -1 when the answer has none
}

type hole struct {
	at   int
	mark bool // the connection's mark; otherwise the id
}

// learn makes the pattern of a right answer; ok is false when its id cannot be told from other digits.
func learn(answer []byte, id int64, mark string) (p *pattern, ok bool) {
	p = &pattern{b: bytes.Clone(answer), id: -1}
	if id != 0 {
		ids := offsets(answer, 0, strconv.FormatInt(id, 10))
		if len(ids) != 1 {
			return nil, false
		}
		p.id = ids[0]
		p.holes = append(p.holes, hole{at: p.id})
	}
	for _, at := range offsets(answer, 0, mark) {
		if at >= p.id && at < p.id+idDigits && p.id >= 0 {
			return nil, false
		}
		h := hole{at: at, mark: true}
		if p.id > at && len(p.holes) > 0 && !p.holes[len(p.holes)-1].mark {
			p.holes = append(p.holes[:len(p.holes)-1], h, p.holes[len(p.holes)-1])
			continue
		}
		p.holes = append(p.holes, h)
	}
	return p, true
}

// match compares answer with the pattern. id is 0 when the pattern has none.
func (p *pattern) match(answer []byte, mark *[markDigits]byte) (id int64, ok bool) {
	if len(answer) != len(p.b) {
		return 0, false
	}
	from := 0
	for _, h := range p.holes {
		if !bytes.Equal(answer[from:h.at], p.b[from:h.at]) {
			return 0, false
		}
		if h.mark {
			from = h.at + markDigits
			if [markDigits]byte(answer[h.at:from]) != *mark {
				return 0, false
			}
			continue
		}
		from = h.at + idDigits
		if id, ok = digits(answer[h.at:from]); !ok {
			return 0, false
		}
	}
	return id, bytes.Equal(answer[from:], p.b[from:])
}
