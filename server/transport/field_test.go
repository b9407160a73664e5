package transport

import (
	"strings"
	"testing"

	"millrace/codec/http1"
)

func parse(t *testing.T, fields string) *http1.Request {
	t.Helper()
	var r http1.Request
	if _, err := r.Parse([]byte("POST / HTTP/1.1\r\nHost: a\r\n"+fields+"\r\n"), nil); err != nil {
		t.Skip(err)
	}
	return &r
}

func TestParseAccept(t *testing.T) {
	both, neither := accepts{true, true}, accepts{}
	onlyJSON, onlyEvents := accepts{json: true}, accepts{events: true}
	tests := []struct {
		lines []string
		want  accepts
	}{
		{nil, both},
		{[]string{""}, both},
		{[]string{" , ,"}, both},
		{[]string{"*/*"}, both},
		{[]string{"application/json, text/event-stream"}, both},
		{[]string{"text/event-stream", "application/json"}, both},
		{[]string{"APPLICATION/json;charset=utf-8;q=0.1"}, onlyJSON},
		{[]string{"text/event-stream;q=1"}, onlyEvents},
		{[]string{"application/*"}, onlyJSON},
		{[]string{"text/*"}, onlyEvents},
		{[]string{"text/html,*/*;q=0.8"}, both},
		{[]string{"text/html"}, neither},
		{[]string{"*/*;q=0"}, neither},
		{[]string{"application/json;q=0, */*"}, onlyEvents},
		{[]string{"*/*, application/json;q=0"}, onlyEvents},
		{[]string{"*/*;q=0, application/json"}, onlyJSON},
		{[]string{"text/*;q=0, text/event-stream"}, onlyEvents},
		{[]string{"text/event-stream;Q = 0.000", "*/*"}, onlyJSON},
		{[]string{"application/json;q=0.001"}, onlyJSON},
		{[]string{"application/json;q="}, onlyJSON},
		{[]string{"application/json;q"}, onlyJSON},
		{[]string{"application/jsonx, xtext/event-stream, *"}, neither},
		{[]string{"application/json;q=0, application/json"}, onlyJSON},
	}
	for _, tt := range tests {
		fields := ""
		for _, l := range tt.lines {
			fields += "Accept: " + l + "\r\n"
		}
		if got := parseAccept(parse(t, fields)); got != tt.want {
			t.Errorf("parseAccept(%q) = %+v, want %+v", tt.lines, got, tt.want)
		}
	}
}

// hasRange reports whether an Accept line names anything at all.
func hasRange(line string) bool {
	for item := range strings.SplitSeq(line, ",") {
		if media, _, _ := strings.Cut(item, ";"); strings.TrimSpace(media) != "" {
			return true
		}
	}
	return false
}

func FuzzParseAccept(f *testing.F) {
	for _, s := range []string{"", "*/*", "application/json, text/event-stream", "a/b;q=0", ",;=", "application/json;q=0,*/*", "text/*;q=0.0;x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\r\n") {
			t.Skip("two fields")
		}
		a := parseAccept(parse(t, "Accept: "+line+"\r\n"))
		lower := strings.ToLower(line)
		if hasRange(line) {
			if a.json && !strings.Contains(lower, "application/") && !strings.Contains(lower, "*/*") {
				t.Errorf("%q accepts JSON", line)
			}
			if a.events && !strings.Contains(lower, "text/") && !strings.Contains(lower, "*/*") {
				t.Errorf("%q accepts event streams", line)
			}
		}
		if upper := parseAccept(parse(t, "Accept: "+strings.ToUpper(line)+"\r\n")); isASCII(line) && upper != a {
			t.Errorf("%q: the case matters", line)
		}
		more := parseAccept(parse(t, "Accept: "+line+"\r\nAccept: application/json, text/event-stream\r\n"))
		if more != (accepts{true, true}) {
			t.Errorf("%q forbids what is asked for", line)
		}
	})
}
