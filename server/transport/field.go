package transport

import (
	"bytes"

	"millrace/codec/http1"
)

// accepts are the media types a client takes for an answer.
type accepts struct{ json, events bool }

// preference is what an Accept field says about one media type: "Media ranges
// can be overridden by more specific media ranges" (RFC 9110 section 12.5.1).
type preference struct {
	specific uint8 // of the range that decided so far: 1 for */*, 2 for type/*, 3 for the type
	accepted bool
}

func (p *preference) see(specific uint8, accepted bool) {
	if specific > p.specific || specific == p.specific && accepted {
		p.specific, p.accepted = specific, accepted
	}
}

// acceptance reads Accept lines.
type acceptance struct {
	json, events preference
	any          bool // there is a media range
}

// usualAccept is what the specification tells clients to send, and nearly all do.
const usualAccept = "application/json, text/event-stream"

// add reads one line.
func (a *acceptance) add(line []byte) {
	if string(line) == usualAccept {
		a.any = true
		a.json.see(3, true)
		a.events.see(3, true)
		return
	}
	for more := true; more; {
		var item []byte
		item, line, more = bytes.Cut(line, []byte(","))
		media, params, _ := bytes.Cut(item, []byte(";"))
		media = bytes.TrimSpace(media)
		if len(media) == 0 {
			continue
		}
		a.any = true
		wanted := !isZeroWeight(params)
		switch {
		case equalFold(media, "application/json"):
			a.json.see(3, wanted)
		case equalFold(media, "application/*"):
			a.json.see(2, wanted)
		case equalFold(media, "text/event-stream"):
			a.events.see(3, wanted)
		case equalFold(media, "text/*"):
			a.events.see(2, wanted)
		case equalFold(media, "*/*"):
			a.json.see(1, wanted)
			a.events.see(1, wanted)
		}
	}
}

// result is what all lines together accept: everything, where none says more.
func (a *acceptance) result() accepts {
	if !a.any {
		return accepts{json: true, events: true}
	}
	return accepts{json: a.json.accepted, events: a.events.accepted}
}

// parseAccept reads the Accept field of a request.
func parseAccept(r *http1.Request) accepts {
	var a acceptance
	for line := range r.Values(http1.HeaderAccept) {
		a.add(line)
	}
	return a.result()
}

// isZeroWeight finds "q=0" (also "q=0.000") among media type parameters.
func isZeroWeight(params []byte) bool {
	for len(params) > 0 {
		var p []byte
		p, params, _ = bytes.Cut(params, []byte(";"))
		name, value, _ := bytes.Cut(bytes.TrimSpace(p), []byte("="))
		if equalFold(bytes.TrimSpace(name), "q") {
			value = bytes.TrimSpace(value)
			return len(value) > 0 && len(bytes.Trim(value, "0.")) == 0
		}
	}
	return false
}

// isJSON reports whether a Content-Type is application/json, with any
// parameters. Requiring it stops cross-site posts that browsers send without
// asking first.
func isJSON(v []byte) bool {
	media, _, _ := bytes.Cut(v, []byte(";"))
	return equalFold(bytes.TrimSpace(media), "application/json")
}

// equalFold compares ASCII text without regard to case. b is given in any case.
func equalFold(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// oneLine returns msg without raw line ends, which can stand between the tokens
// of a JSON text only. Messages that are a line must not contain them
// (26:basic/transports/stdio), and clients that read an event stream by hand
// want the whole message in one data line.
func oneLine(msg []byte) []byte {
	if bytes.IndexByte(msg, '\n') < 0 && bytes.IndexByte(msg, '\r') < 0 {
		return msg
	}
	flat := append([]byte{}, msg...)
	for i, c := range flat {
		if c == '\n' || c == '\r' {
			flat[i] = ' '
		}
	}
	return flat
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func lowerString(b []byte) string {
	out := make([]byte, len(b))
	for i, c := range b {
		out[i] = lower(c)
	}
	return string(out)
}
