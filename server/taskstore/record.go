package taskstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"unicode/utf8"

	"millrace/server/mcp"
)

// MaxRecord is the size in bytes of the largest record that Put takes, as JSON.
const MaxRecord = 8 << 20

const (
	formatVersion = 1
	maxFile       = MaxRecord + 128 // with what is around the record
)

var (
	// errDamaged is about a file that is not as it was written.
	errDamaged = errors.New("damaged")
	// errNewer is about a file that this program does not understand.
	errNewer = errors.New("written by a newer version of this program: run that version, or move the directory of the tasks away to begin without them")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// envelope is the content of a file. CRC32C is that of the bytes of Task, in
// hexadecimal.
type envelope struct {
	Version int             `json:"version"`
	CRC32C  string          `json:"crc32c"`
	Task    json.RawMessage `json:"task"`
}

// validID reports whether id can be that of a task and the name of a file: 26
// letters and digits of base 32.
func validID(id string) bool {
	if len(id) != 26 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// encode returns the content of the file of a record.
func encode(r *mcp.TaskRecord) ([]byte, error) {
	if !validID(r.ID) {
		return nil, fmt.Errorf("%.64q is no id of a task: it must be 26 characters of A-Z and 2-7", r.ID)
	}
	// JSON would turn invalid bytes of several principals into the same one.
	if !utf8.ValidString(r.Principal) {
		return nil, fmt.Errorf("task %s: the principal is not valid UTF-8", r.ID)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, fmt.Errorf("task %s: %w", r.ID, err)
	}
	task := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(task) > MaxRecord {
		return nil, fmt.Errorf("task %s: a record of %d bytes is too large, the limit is %d", r.ID, len(task), MaxRecord)
	}
	return seal(task), nil
}

// seal puts the envelope around a record.
func seal(task []byte) []byte {
	b := make([]byte, 0, len(task)+64)
	b = fmt.Appendf(b, `{"version":%d,"crc32c":"%08x","task":`, formatVersion, crc32.Checksum(task, castagnoli))
	return append(append(b, task...), "}\n"...)
}

// decode returns the record in the content of the file of a task.
func decode(id string, data []byte) (*mcp.TaskRecord, error) {
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, damaged(err)
	}
	if e.Version > formatVersion {
		return nil, fmt.Errorf("format version %d, %w", e.Version, errNewer)
	}
	if sum := fmt.Sprintf("%08x", crc32.Checksum(e.Task, castagnoli)); e.Version != formatVersion || e.CRC32C != sum {
		return nil, fmt.Errorf("%w: version %d, checksum %.16q, want %d and %q", errDamaged, e.Version, e.CRC32C, formatVersion, sum)
	}
	r := new(mcp.TaskRecord)
	if err := json.Unmarshal(e.Task, r); err != nil {
		return nil, damaged(err)
	}
	if r.ID != id {
		return nil, fmt.Errorf("%w: it holds task %.64q", errDamaged, r.ID)
	}
	return r, nil
}

// damaged is errDamaged with a reason, which may quote any amount of content.
func damaged(reason error) error {
	return fmt.Errorf("%w: %.200s", errDamaged, reason.Error())
}
