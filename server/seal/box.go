// Package seal makes tokens that clients carry and cannot read or change:
// session ids, cursors, request state. It encrypts and authenticates with
// AES-256-GCM under sub-keys derived with HKDF-SHA256, one for each purpose.
// It keeps no state and knows no time: expiry and owner belong in the plaintext
// or the additional data, and checking them is the caller's part.
//
// To change a key without refusing tokens that are in use: add the new key as
// the last line of every node's key file, and have it read again; then move it to the
// first line, and again; drop the old key when its last token has expired.
package seal

import (
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"slices"
	"sync/atomic"
)

const (
	// MaxPlaintext is the longest plaintext, in bytes, that opens again.
	MaxPlaintext = 384 << 10

	version    = 1
	headerSize = 1 + idSize // version, key id
	// aeadOverhead is a 96-bit nonce before and a 128-bit tag behind.
	aeadOverhead = 12 + 16
	overhead     = headerSize + aeadOverhead
)

// MaxToken is the length in bytes of the longest token that Open looks at; a
// longer one is invalid before any work is done on it.
var MaxToken = TokenLen(MaxPlaintext)

// ErrInvalid is the only error of Open. It does not say what was wrong with a
// token, so that nobody can learn from trying.
var ErrInvalid = errors.New("seal: invalid token")

// encoding is strict about the unused bits of the last character: a token has
// one spelling only, so it can serve as a map key.
var encoding = base64.RawURLEncoding.Strict()

// A Box seals and opens the tokens of one purpose. It is safe for any goroutine, and
// changes its keys when its Keys are reloaded.
//
// Nonces are random. NIST SP 800-38D, section 8.3: "The total number of
// invocations of the authenticated encryption function shall not exceed 2^32"
// for one key, here for one master key and purpose, over all nodes that share
// it. At 1,000 tokens a second that is 49 days.
type Box struct {
	purpose string
	keys    atomic.Pointer[[]boxKey]
}

type boxKey struct {
	id   [idSize]byte
	aead cipher.AEAD
}

// TokenLen is the length in bytes of the token of a plaintext of n bytes.
func TokenLen(n int) int {
	return base64.RawURLEncoding.EncodedLen(n + overhead)
}

// Seal appends the token of plaintext to dst and returns the longer slice. The
// token is base64url without padding (RFC 4648, section 5) of
// version ‖ key id ‖ nonce ‖ ciphertext ‖ tag: visible ASCII, safe in header
// fields and URLs. aad is not in the token, but Open needs the same bytes: the
// owner, for instance.
//
// The capacity behind the result served as scratch space, so plaintext and aad
// must not lie there. A plaintext longer than MaxPlaintext makes a token that
// does not open.
func (b *Box) Seal(dst, plaintext, aad []byte) []byte {
	size := overhead + len(plaintext)
	encoded := encoding.EncodedLen(size)
	start := len(dst)
	dst = slices.Grow(dst, encoded+size)
	key := &(*b.keys.Load())[0]

	// Version and key id need no place in aad: the version is part of the
	// derivation, and another key id means another key.
	raw := append(dst[start+encoded:start+encoded], version)
	raw = append(raw, key.id[:]...)
	raw = key.aead.Seal(raw, nil, plaintext, aad)

	dst = dst[:start+encoded]
	encoding.Encode(dst[start:], raw)
	return dst
}

// Open appends the plaintext of token to dst and returns the longer slice. Any
// token that this purpose did not seal with one of the keys and the same aad,
// byte by byte, is ErrInvalid, with a nil slice; so is a token longer than
// MaxToken. The capacity behind the result served as scratch space, so token
// and aad must not lie there.
func (b *Box) Open(dst, token, aad []byte) ([]byte, error) {
	size := encoding.DecodedLen(len(token))
	if size < overhead || len(token) > MaxToken {
		return nil, ErrInvalid
	}
	start, plain := len(dst), size-overhead
	dst = slices.Grow(dst, plain+size)
	raw := dst[start+plain : start+plain+size]

	// The decoder skips line breaks: a token with one in it would be a second
	// spelling, and is longer than its bytes need.
	n, err := encoding.Decode(raw, token)
	if err != nil || n != size || encoding.EncodedLen(n) != len(token) || raw[0] != version {
		return nil, ErrInvalid
	}
	aead := b.find([idSize]byte(raw[1:headerSize]))
	if aead == nil {
		return nil, ErrInvalid
	}
	out, err := aead.Open(dst, nil, raw[headerSize:], aad)
	if err != nil {
		return nil, ErrInvalid
	}
	return out, nil
}

func (b *Box) find(id [idSize]byte) cipher.AEAD {
	for _, k := range *b.keys.Load() {
		if k.id == id {
			return k.aead
		}
	}
	return nil
}
