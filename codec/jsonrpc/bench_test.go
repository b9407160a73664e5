package jsonrpc

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// call350 is a tools/call with many short members, text350 one of the same
// size, about 350 bytes, whose weight is one text.
const call350 = `{"jsonrpc":"2.0","id":12345,"method":"tools/call","params":{"name":"search_documents",` +
	`"arguments":{"query":"the quick brown fox jumps over the lazy dog","limit":25,"offset":0,"exact":true,` +
	`"tags":["alpha","beta","gamma"],"score":0.75},"_meta":{"progressToken":"tok-8c1f",` +
	`"io.modelcontextprotocol/clientInfo":{"name":"host","version":"1.4.2"},"trace":"00-4bf92f3577b34da6"}}}`

const text350 = `{"jsonrpc":"2.0","id":12345,"method":"tools/call","params":{"name":"echo","arguments":{"text":"` +
	`the quick brown fox jumps over the lazy dog and the quick brown fox jumps over the lazy dog again, ` +
	`the quick brown fox jumps over the lazy dog and the quick brown fox jumps over the lazy dog again, ` +
	`and again"},"_meta":{"progressToken":"tok-8c1f7a"}}}`

// call1M is a call with one argument of 1 MiB.
var call1M = []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"store","arguments":{"text":"` +
	strings.Repeat("sixteen bytes - ", 1<<16) + `"}}}`)

func BenchmarkParse350B(b *testing.B)     { benchParse(b, []byte(call350)) }
func BenchmarkParseText350B(b *testing.B) { benchParse(b, []byte(text350)) }
func BenchmarkParse1MiB(b *testing.B)     { benchParse(b, call1M) }

// The costliest shapes a peer can choose within the limits.
func BenchmarkParse10kKeys(b *testing.B) { benchParse(b, manyKeys(1, 9_000)) }
func BenchmarkParseFewKeys(b *testing.B) { benchParse(b, manyKeys(9_000/16, 16)) }

func benchParse(b *testing.B, msg []byte) {
	b.ReportAllocs()
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		if _, err := Parse(msg, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// manyKeys is a call with an array of objects of keys members each.
func manyKeys(objects, keys int) []byte {
	var one bytes.Buffer
	one.WriteByte('{')
	for i := range keys {
		if i > 0 {
			one.WriteByte(',')
		}
		fmt.Fprintf(&one, `"key%06d":0`, (i*7919)%keys)
	}
	one.WriteByte('}')
	all := bytes.Repeat(append(one.Bytes(), ','), objects)
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":"m","params":[%s]}`, all[:len(all)-1])
}

func BenchmarkMembers(b *testing.B) {
	m, err := Parse([]byte(call350), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for name, value := range Members(m.Params) {
			n += len(name) + len(value)
		}
		if n == 0 {
			b.Fatal("no members")
		}
	}
}

func BenchmarkAppendResult(b *testing.B) {
	dst := make([]byte, 0, 512)
	result := []byte(`{"content":[{"type":"text","text":"ok"}]}`)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendResult(dst[:0], []byte("12345"), result)
	}
}

func BenchmarkAppendString1MiB(b *testing.B) {
	s := strings.Repeat("sixteen bytes - ", 1<<16)
	dst := make([]byte, 0, 1<<20+2)
	b.ReportAllocs()
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		dst = AppendString(dst[:0], s)
	}
}
