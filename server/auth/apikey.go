package auth

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"millrace/server/reload"
)

// keyPrefix begins every API key, so that people and secret scanners know one when
// they see it.
const keyPrefix = "mrk_"

const (
	maxKeyFile = 4 << 20
	maxAPIKeys = 10_000
)

// NewKey makes an API key of 256 random bits and the line of a key file that lets
// its holder in as name. expires may be zero. The key is shown to its holder once:
// the line holds only its hash. Name and scopes must be words of printable ASCII.
func NewKey(name string, scopes []string, expires time.Time) (key, line string, err error) {
	if err := checkWord("name", name); err != nil {
		return "", "", err
	}
	var secret [32]byte
	rand.Read(secret[:]) // never fails: crypto/rand ends the process instead
	key = keyPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
	sum := keyOf(key)
	line = name + " sha256:" + hex.EncodeToString(sum[:])
	for _, s := range scopes {
		if err := checkScope(s); err != nil {
			return "", "", err
		}
		line += " scope=" + s
	}
	if !expires.IsZero() {
		line += " expires=" + expires.UTC().Format(time.RFC3339)
	}
	return key, line, nil
}

// Keys is a Verifier of API keys. It holds their hashes alone: as a key has 256
// random bits, a fast hash is as good as a slow one. The ID of the principal is
// "key:" and the name. Any goroutine.
type Keys struct {
	path string
	set  atomic.Pointer[keyTable]
	now  func() time.Time
}

type keyTable struct {
	byHash map[tokenKey]*apiKey
	byName map[string]*Principal // by ID
	sum    reload.Sum            // of the file
}

type apiKey struct {
	hash tokenKey
	who  *Principal
}

// LoadKeys reads a file of keys, a line for each:
//
//	name sha256:<64 hexadecimal digits> [scope=<scope>]... [expires=<date or RFC 3339 time>]
//
// Blank lines and lines that begin with '#' are skipped; the last day of a date is
// still good. A file that its group or others may write is refused, as is one with
// a repeated name or hash, or whose last line has no line break: it may be half
// written. No error quotes a hash.
func LoadKeys(path string) (*Keys, error) {
	k := &Keys{path: path, now: time.Now}
	if _, err := k.Reload(); err != nil {
		return nil, err
	}
	return k, nil
}

// Len is how many keys there are.
func (k *Keys) Len() int { return len(k.set.Load().byHash) }

// Reload reads the file again, and reports whether it has changed. On an error, also
// when there is no file, the old keys stay. See reload.Watch.
func (k *Keys) Reload() (changed bool, err error) {
	// Others may read the hashes, but not add one.
	text, sum, err := reload.File{What: "API keys", Path: k.path, Max: maxKeyFile, Forbidden: 0o022}.ReadLines()
	if err != nil {
		return false, err
	}
	old := k.set.Load()
	if old != nil && old.sum == sum {
		return false, nil
	}
	table, err := parseKeyFile(text)
	if err != nil {
		return false, fmt.Errorf("API keys: %s: %w", k.path, err)
	}
	table.sum = sum
	for _, key := range table.byHash {
		key.who.from = k
	}
	if old != nil {
		table.keepFrom(old)
	}
	k.set.Store(table)
	return true, nil
}

// Verify implements Verifier.
func (k *Keys) Verify(_ context.Context, token string) (*Principal, error) {
	if !strings.HasPrefix(token, keyPrefix) {
		return nil, ErrNotMine
	}
	sum := sha256.Sum256([]byte(token))
	found := k.set.Load().byHash[sum]
	if found == nil || subtle.ConstantTimeCompare(found.hash[:], sum[:]) != 1 {
		return nil, invalid("no such API key")
	}
	if found.who.ended(k.now()) {
		return nil, invalid("the API key has expired")
	}
	return found.who, nil
}

// Revoked reports whether p came from a key that is not in the file any more, or
// not as it was.
func (k *Keys) Revoked(p *Principal) bool {
	return p.from == k && k.set.Load().byName[p.ID] != p
}

// keepFrom takes over the principals of keys that are as they were: who came with
// one is not revoked.
func (t *keyTable) keepFrom(old *keyTable) {
	for hash, k := range t.byHash {
		if was := old.byHash[hash]; was != nil && was.who.ID == k.who.ID && was.who.Expires.Equal(k.who.Expires) &&
			slices.Equal(was.who.Scopes, k.who.Scopes) {
			k.who = was.who
			t.byName[k.who.ID] = was.who
		}
	}
}

func parseKeyFile(text []byte) (*keyTable, error) {
	t := &keyTable{byHash: map[tokenKey]*apiKey{}, byName: map[string]*Principal{}}
	scan := bufio.NewScanner(bytes.NewReader(text))
	for n, line := range lines(scan) {
		k, err := parseKeyLine(line)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", n, err)
		case t.byName[k.who.ID] != nil || t.byHash[k.hash] != nil:
			return nil, fmt.Errorf("line %d: a name or hash that was there before", n)
		case len(t.byHash) == maxAPIKeys:
			return nil, fmt.Errorf("more than %d keys", maxAPIKeys)
		}
		t.byHash[k.hash], t.byName[k.who.ID] = k, k.who
	}
	return t, scan.Err()
}

func parseKeyLine(line string) (*apiKey, error) {
	words := strings.Fields(line)
	if err := checkWord("name", words[0]); err != nil {
		return nil, err
	}
	k := &apiKey{who: &Principal{ID: "key:" + words[0]}}
	if len(words) < 2 {
		return nil, fmt.Errorf("want: name sha256:<hash> [scope=<scope>]... [expires=<date>]")
	}
	hash, ok := strings.CutPrefix(words[1], "sha256:")
	b, err := hex.DecodeString(hash)
	if !ok || err != nil || len(b) != len(k.hash) {
		return nil, fmt.Errorf("want sha256: and 64 hexadecimal digits behind the name: `millrace key new` prints such a line")
	}
	copy(k.hash[:], b)
	for _, w := range words[2:] {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "scope":
			if err := checkScope(value); err != nil {
				return nil, err
			}
			k.who.Scopes = append(k.who.Scopes, value)
		case "expires":
			if k.who.Expires, err = ParseExpiry(value); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("unknown setting %q: there are scope= and expires=", name)
		}
	}
	return k, nil
}

// ParseExpiry reads a date, which is good until its last second in UTC, or an RFC
// 3339 time.
func ParseExpiry(s string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t.AddDate(0, 0, 1), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("expiry %q: want a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z", s)
	}
	return t, nil
}

// checkScope holds s to the grammar of RFC 6749, section 3.3.
func checkScope(s string) error {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return fmt.Errorf("scope %q: a scope has no white space, quotes or backslashes", s)
		}
	}
	if s == "" {
		return fmt.Errorf("a scope is empty")
	}
	return nil
}

func checkWord(what, s string) error {
	if s == "" || len(s) > 64 {
		return fmt.Errorf("%s %q: want 1 to 64 characters", what, s)
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._-@", rune(c)) {
			return fmt.Errorf("%s %q: want letters, digits, and . _ - @", what, s)
		}
	}
	return nil
}
