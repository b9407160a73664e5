package session

import (
	"crypto/rand"
	"encoding/binary"
)

const (
	// MaxID is the length in bytes of the longest id that Get looks at. Ids
	// are visible ASCII (2025-11-25, Streamable HTTP: "The session ID MUST
	// only contain visible ASCII characters"), and the longest made here takes
	// less than 3 KiB.
	MaxID = 4 << 10

	purpose      = "sess"
	tokenVersion = 1
	maxVersion   = 64
)

type (
	sessionID  [16]byte
	instanceID [8]byte
)

// sealedIdentity is the part of a token that outlives its session.
type sealedIdentity struct {
	sid              sessionID
	created, expires int64 // Unix ms
}

// A token is what the id of an HTTP session carries, sealed. The owner is not
// in it: the seal binds it as additional data, so another principal's token
// cannot even be opened.
type token struct {
	sealedIdentity
	instance     instanceID // the registry that issued it
	version      string
	capabilities []byte
}

func newToken(created, expires int64, instance instanceID, version, capabilities string) token {
	t := token{
		sealedIdentity: sealedIdentity{created: created, expires: expires},
		instance:       instance,
		version:        version,
		capabilities:   []byte(capabilities),
	}
	rand.Read(t.sid[:]) // never fails: crypto/rand ends the process instead
	return t
}

// append writes version ‖ sid ‖ instance ‖ created ‖ expires ‖ length and bytes
// of the protocol version ‖ capabilities. The version has at most maxVersion
// bytes.
func (t *token) append(dst []byte) []byte {
	dst = append(dst, tokenVersion)
	dst = append(dst, t.sid[:]...)
	dst = append(dst, t.instance[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.created))
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.expires))
	dst = append(dst, byte(len(t.version)))
	dst = append(dst, t.version...)
	return append(dst, t.capabilities...)
}

// parseToken reads what append wrote; ok is false for anything else. The
// capabilities alias b.
func parseToken(b []byte) (t token, ok bool) {
	const fixed = 1 + len(t.sid) + len(t.instance) + 8 + 8 + 1
	if len(b) < fixed || b[0] != tokenVersion {
		return t, false
	}
	b = b[1:]
	b = b[copy(t.sid[:], b):]
	b = b[copy(t.instance[:], b):]
	t.created = int64(binary.BigEndian.Uint64(b))
	t.expires = int64(binary.BigEndian.Uint64(b[8:]))
	n := int(b[16])
	if b = b[17:]; n > len(b) {
		return t, false
	}
	t.version, t.capabilities = string(b[:n]), b[n:]
	return t, true
}
