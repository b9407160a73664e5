package taskstore

import (
	"encoding/json"
	"strings"
	"testing"

	"millrace/server/mcp"
)

// The format on the disk is a promise to later versions.
func TestFormat(t *testing.T) {
	r := testRecord(testID(0), 1)
	r.Result = json.RawMessage(`{ "b" : null }`)
	const want = `{"version":1,"crc32c":"7a54a670","task":{"id":"TASKAAAAAAAAAAAAAAAAAAAAAA","principal":"grüße <a&b>\u2028","tool":"tool",` +
		`"status":"input_required","statusMessage":"1","created":"2026-11-24T12:00:01.123456789Z","updated":"2026-11-24T12:01:01.123456789Z",` +
		`"ttl":3600000000000,"pollInterval":1000000000,"inputRequests":{"a":{"method":"<x>"}},"result":{"b":null},"error":{"code":-1}}}` + "\n"
	if got := string(mustEncode(t, r)); got != want {
		t.Errorf("encoded\n%s\nwant\n%s", got, want)
	}
	got, err := decode(r.ID, []byte(want))
	if err != nil || !same(got, r) {
		t.Errorf("decoded %v, %v", got, err)
	}
}

// Bytes of raw members are kept, but for white space between tokens.
func TestRawMembers(t *testing.T) {
	for _, raw := range []string{`null`, `"\u003c<\ud800"`, `1e400`, `{"a":1,"a":2}`, "\"\xff\"", `[]`} {
		r := &mcp.TaskRecord{ID: testID(0), Result: json.RawMessage(raw)}
		got, err := decode(r.ID, mustEncode(t, r))
		if err != nil || string(got.Result) != raw {
			t.Errorf("%s came back as %s, %v", raw, got.Result, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	id := testID(0)
	good, err := encode(testRecord(id, 1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(`{"id":"` + id + `","result":{"a":[1,"\u2028"]},"created":"2026-11-24T12:00:00+01:00"}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		// As a file, which the checksum guards, and as a record behind a right checksum.
		for _, file := range [][]byte{data, seal(data)} {
			r, err := decode(id, file)
			if err != nil {
				if r != nil || len(err.Error()) > 1000 {
					t.Errorf("decode returned %v and %v", r, err)
				}
				continue
			}
			again, err := encode(r)
			if err != nil {
				if strings.Contains(err.Error(), "too large") {
					continue
				}
				t.Fatalf("what was decoded cannot be encoded: %v", err)
			}
			r2, err := decode(id, again)
			if err != nil || !same(r, r2) {
				t.Errorf("%v came back as %v, %v", r, r2, err)
			}
		}
	})
}
