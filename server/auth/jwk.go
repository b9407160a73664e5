package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
)

const (
	maxKeys  = 64
	maxKeyID = 128 // bytes of a kid
)

// jwk is a public key of an issuer (RFC 7517). Members that it does not have here
// are of no use to us: x5u, x5c and the like would have us trust somebody else.
type jwk struct {
	Type string `json:"kty"`
	Use  string `json:"use"`
	Alg  string `json:"alg"`
	ID   string `json:"kid"`

	N string `json:"n"`
	E string `json:"e"`

	Curve string `json:"crv"`
	X     string `json:"x"`
	Y     string `json:"y"`
}

// verifyKey is a key that signatures are verified with, for one algorithm each:
// an attacker who could choose how a key is used could choose a weak way.
type verifyKey struct {
	id   string
	algs []string
	key  any // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

func (k *verifyKey) does(alg string) bool {
	for _, a := range k.algs {
		if a == alg {
			return true
		}
	}
	return false
}

// algorithms are those that tokens may be signed with: never none, and never HMAC,
// whose key would be the public one.
var algorithms = []string{"RS256", "PS256", "ES256", "EdDSA"}

// parseKeys returns the usable keys of a set. Others are left out, not refused: a
// set may hold keys for encryption, and of kinds that are yet to come.
func parseKeys(set []jwk) ([]*verifyKey, error) {
	if len(set) > maxKeys {
		return nil, fmt.Errorf("%d keys; %d are allowed", len(set), maxKeys)
	}
	var keys []*verifyKey
	for i := range set {
		k, err := set[i].parse()
		if err == nil {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no usable key among them")
	}
	return keys, nil
}

var errUnusable = errors.New("unusable key")

func (j *jwk) parse() (*verifyKey, error) {
	if j.Use != "" && j.Use != "sig" || len(j.ID) > maxKeyID {
		return nil, errUnusable
	}
	k := &verifyKey{id: j.ID}
	var err error
	switch {
	case j.Type == "RSA":
		k.algs = []string{"RS256", "PS256"}
		k.key, err = j.rsa()
	case j.Type == "EC" && j.Curve == "P-256":
		k.algs = []string{"ES256"}
		k.key, err = j.p256()
	case j.Type == "OKP" && j.Curve == "Ed25519":
		k.algs = []string{"EdDSA"}
		k.key, err = j.ed25519()
	default:
		return nil, errUnusable
	}
	if err != nil {
		return nil, err
	}
	if j.Alg != "" {
		if !k.does(j.Alg) {
			return nil, errUnusable
		}
		k.algs = []string{j.Alg}
	}
	return k, nil
}

// rsa takes moduli of 2,048 to 8,192 bits: less is weak (RFC 7518, section 3.3),
// and more makes every verification an attack.
func (j *jwk) rsa() (*rsa.PublicKey, error) {
	n, err := decode64(j.N)
	if err != nil {
		return nil, err
	}
	e, err := decode64(j.E)
	if err != nil || len(e) == 0 || len(e) > 4 {
		return nil, errUnusable
	}
	exponent := 0
	for _, b := range e {
		exponent = exponent<<8 | int(b)
	}
	k := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: exponent}
	if bits := k.N.BitLen(); bits < 2048 || bits > 8192 || exponent < 3 || exponent > 1<<31-1 || exponent%2 == 0 {
		return nil, errUnusable
	}
	return k, nil
}

func (j *jwk) p256() (*ecdsa.PublicKey, error) {
	x, errX := decode64(j.X)
	y, errY := decode64(j.Y)
	if errX != nil || errY != nil || len(x) != 32 || len(y) != 32 {
		return nil, errUnusable
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
}

func (j *jwk) ed25519() (ed25519.PublicKey, error) {
	x, err := decode64(j.X)
	if err != nil || len(x) != ed25519.PublicKeySize {
		return nil, errUnusable
	}
	return x, nil
}

func decode64(s string) ([]byte, error) { return base64.RawURLEncoding.Strict().DecodeString(s) }
