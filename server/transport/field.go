package transport

import (
	"bytes"
	"iter"
)

// accepts are the media types a client takes for an answer.
type accepts struct{ json, events bool }

// parseAccept reads the Accept lines of a request. No line, or an empty one,
// accepts everything (RFC 9110 section 12.5.1); a weight of zero refuses.
func parseAccept(lines iter.Seq[[]byte]) (a accepts) {
	any := true
	for line := range lines {
		for rest := line; len(rest) > 0; {
			var item []byte
			item, rest, _ = bytes.Cut(rest, []byte(","))
			media, params, _ := bytes.Cut(item, []byte(";"))
			media = bytes.TrimSpace(media)
			if len(media) == 0 {
				continue
			}
			any = false
			if isZeroWeight(params) {
				continue
			}
			switch {
			case equalFold(media, "application/json"), equalFold(media, "application/*"):
				a.json = true
			case equalFold(media, "text/event-stream"), equalFold(media, "text/*"):
				a.events = true
			case equalFold(media, "*/*"):
				a.json, a.events = true, true
			}
		}
	}
	if any {
		return accepts{json: true, events: true}
	}
	return a
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
