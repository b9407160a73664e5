package taskstore

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/server/mcp"
)

func benchRecord(size int) *mcp.TaskRecord {
	return &mcp.TaskRecord{
		ID: rand.Text(), Principal: "someone", Tool: "tool", Status: mcp.TaskCompleted,
		Created: time.Now(), Updated: time.Now(), TTL: time.Hour,
		Result: json.RawMessage(`{"content":[{"type":"text","text":"` + strings.Repeat("x", size) + `"}]}`),
	}
}

// BenchmarkPut replaces the records of 100 tasks, or adds tasks, one after the
// other or eight at a time.
func BenchmarkPut(b *testing.B) {
	for _, sync := range []bool{false, true} {
		for _, size := range []int{100, 64 << 10} {
			name := fmt.Sprintf("sync=%v/bytes=%d", sync, size)
			b.Run(name+"/replace", func(b *testing.B) { benchPut(b, sync, size, false) })
			b.Run(name+"/add", func(b *testing.B) { benchPut(b, sync, size, true) })
			b.Run(name+"/replace/parallel", func(b *testing.B) {
				f := benchOpen(b, sync)
				b.SetParallelism(4)
				b.RunParallel(func(pb *testing.PB) {
					r := benchRecord(size)
					for pb.Next() {
						if err := f.Put(b.Context(), r); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}

func benchOpen(b *testing.B, sync bool) *File {
	f, err := Open(b.TempDir()+"/tasks", &Options{Sync: sync})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	b.ReportAllocs()
	return f
}

func benchPut(b *testing.B, sync bool, size int, add bool) {
	f := benchOpen(b, sync)
	r := benchRecord(size)
	ids := make([]string, 100)
	for i := range ids {
		ids[i] = rand.Text()
	}
	for i := 0; b.Loop(); i++ {
		if r.ID = ids[i%len(ids)]; add {
			r.ID = rand.Text()
		}
		if err := f.Put(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFull is Put and Get in a directory that holds many tasks, which is
// where sub-directories would help if they helped.
func BenchmarkFull(b *testing.B) {
	for _, n := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := benchOpen(b, false)
			ids := make([]string, n)
			r := benchRecord(100)
			for i := range ids {
				r.ID = rand.Text()
				ids[i] = r.ID
				if err := f.Put(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
			b.Run("Put", func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					r.ID = ids[i*7919%n]
					if err := f.Put(b.Context(), r); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("Get", func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					if _, err := f.Get(b.Context(), ids[i*7919%n]); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("All", func(b *testing.B) {
				for b.Loop() {
					seen := 0
					for _, err := range f.All(b.Context()) {
						if err != nil {
							b.Fatal(err)
						}
						seen++
					}
					if seen != n {
						b.Fatalf("%d records, want %d", seen, n)
					}
				}
			})
		})
	}
}
