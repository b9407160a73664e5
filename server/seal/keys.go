package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"millrace/server/reload"
)

const (
	// MaxKeys is how many keys a key file may hold.
	MaxKeys = 16

	keySize     = 32       // AES-256
	idSize      = 4        // of a key id in a token
	maxFileSize = 64 << 10 // of a key file, comments included
)

// Info strings of HKDF (RFC 5869, section 3.2). Two labels that are no prefix
// of each other keep a purpose from ever naming the key id's output; the
// version inside binds a sub-key to the token version.
const (
	infoKeyID = "millrace seal v1 key id"
	infoBox   = "millrace seal v1 box "
)

// Keys is a set of master keys: the first one seals, all of them open. It is safe for
// any goroutine. Printing it never shows a key.
type Keys struct {
	path string
	set  atomic.Pointer[keySet]

	mu    sync.Mutex
	boxes []*Box // that have been made, and change with the set
}

type keySet struct {
	keys []masterKey
	sum  reload.Sum // of the file
}

// A masterKey is never used as a cipher key itself, only to derive.
type masterKey struct {
	id     [idSize]byte
	secret [keySize]byte
}

// NewRandom returns a set of one fresh key. What it seals opens only in this
// process.
func NewRandom() *Keys {
	var secret [keySize]byte
	rand.Read(secret[:]) // never fails: crypto/rand ends the process instead
	k := &Keys{}
	k.set.Store(&keySet{keys: []masterKey{newMasterKey(secret)}})
	return k
}

// LoadFile reads a key file: one key on a line, 32 bytes in standard base64
// with padding, as `openssl rand -base64 32` prints them. The first key seals,
// the others only open. Blank lines and lines that begin with '#' are skipped.
//
// A key's id follows from the key, so keys need no names and may change places.
// A file that its group or others may read or write is refused, as is a
// malformed, short or repeated key, and a file of none or of more than MaxKeys.
// No error quotes the content of the file.
func LoadFile(path string) (*Keys, error) {
	k := &Keys{path: path}
	if _, err := k.Reload(); err != nil {
		return nil, err
	}
	return k, nil
}

// Reload reads the key file again, and reports whether it has changed. Every Box then
// seals and opens with the new keys. On an error, also when there is no file, the old
// keys stay. Keys of NewRandom never change. See reload.Watch.
func (k *Keys) Reload() (changed bool, err error) {
	if k.path == "" {
		return false, nil
	}
	text, sum, err := reload.File{What: "key file", Path: k.path, Max: maxFileSize, Forbidden: 0o077}.Read()
	if err != nil {
		return false, err
	}
	if old := k.set.Load(); old != nil && old.sum == sum {
		return false, nil
	}
	keys, err := parse(text)
	if err != nil {
		return false, fmt.Errorf("key file %s: %w", k.path, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.set.Store(&keySet{keys, sum})
	for _, b := range k.boxes {
		b.use(keys)
	}
	return true, nil
}

// WriteRandom creates a key file at path with one fresh key and mode 0600. A
// path that exists is left as it is and reported as os.ErrExist.
func WriteRandom(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	var secret [keySize]byte
	rand.Read(secret[:])
	_, err = fmt.Fprintf(f, "# The first key seals, the others only open. Keep this file secret.\n%s\n",
		base64.StdEncoding.EncodeToString(secret[:]))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path) // half a key file would be refused at the next start
		return fmt.Errorf("key file: %w", err)
	}
	return nil
}

// Format prints how many keys there are and which one seals, whatever the verb:
// without it %v or %d would print the keys.
func (k *Keys) Format(s fmt.State, _ rune) {
	if k == nil || k.set.Load() == nil {
		io.WriteString(s, "seal.Keys(none)")
		return
	}
	keys := k.set.Load().keys
	fmt.Fprintf(s, "seal.Keys(%d, sealing with %x)", len(keys), keys[0].id)
}

// Box returns the box for purpose, with a sub-key of its own for every key of
// the set: what one purpose sealed does not open for another. It costs a few
// microseconds, and the Keys hold it for as long as they live, so keep the box.
// Keys must come from NewRandom or LoadFile.
func (k *Keys) Box(purpose string) *Box {
	k.mu.Lock()
	defer k.mu.Unlock()
	b := &Box{purpose: purpose}
	b.use(k.set.Load().keys)
	k.boxes = append(k.boxes, b)
	return b
}

// use derives the keys of a box.
func (b *Box) use(keys []masterKey) {
	derived := make([]boxKey, len(keys))
	for i, m := range keys {
		block := must(aes.NewCipher(derive(m.secret, infoBox+b.purpose, keySize)))
		derived[i] = boxKey{id: m.id, aead: must(cipher.NewGCMWithRandomNonce(block))}
	}
	b.keys.Store(&derived)
}

func newMasterKey(secret [keySize]byte) masterKey {
	return masterKey{
		id:     [idSize]byte(derive(secret, infoKeyID, idSize)),
		secret: secret,
	}
}

func derive(secret [keySize]byte, info string, size int) []byte {
	return must(hkdf.Key(sha256.New, secret[:], nil, info, size))
}

// must is for calls that fail only on sizes, all of which are constants here.
func must[T any](v T, err error) T {
	if err != nil {
		panic("seal: " + err.Error())
	}
	return v
}

// parse reads the text of a key file.
func parse(text []byte) (keys []masterKey, err error) {
	number := 0
	for line := range bytes.Lines(text) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if len(keys) == MaxKeys {
			return nil, fmt.Errorf("line %d: more than %d keys", number, MaxKeys)
		}
		secret, err := parseKey(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		m := newMasterKey(secret)
		for _, other := range keys {
			if other.id == m.id {
				return nil, fmt.Errorf("line %d: the key is there already", number)
			}
		}
		keys = append(keys, m)
	}
	if len(keys) == 0 {
		return nil, errors.New("no key in it")
	}
	return keys, nil
}

func parseKey(line []byte) (secret [keySize]byte, err error) {
	raw, err := base64.StdEncoding.Strict().AppendDecode(nil, line)
	if err != nil {
		return secret, errors.New("not a key in standard base64")
	}
	if len(raw) != keySize {
		return secret, fmt.Errorf("a key of %d bytes, want %d", len(raw), keySize)
	}
	return [keySize]byte(raw), nil
}
