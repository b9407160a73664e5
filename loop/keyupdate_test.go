package loop_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"io"
	"strings"
	"testing"

	"millrace/loop"
	"millrace/loop/looptest"
)

// recordWriter writes records of TLS_AES_128_GCM_SHA256 as a client does, and can
// change its key, which crypto/tls never does by itself.
type recordWriter struct {
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

// expand is HKDF-Expand-Label of RFC 8446, section 7.1.
func expand(secret []byte, label string, n int) []byte {
	label = "tls13 " + label
	info := append([]byte{byte(n >> 8), byte(n), byte(len(label))}, label...)
	out, err := hkdf.Expand(sha256.New, secret, string(append(info, 0)), n)
	if err != nil {
		panic(err)
	}
	return out
}

func (w *recordWriter) use(secret []byte) {
	block, err := aes.NewCipher(expand(secret, "key", 16))
	if err != nil {
		panic(err)
	}
	if w.aead, err = cipher.NewGCM(block); err != nil {
		panic(err)
	}
	w.secret, w.iv, w.seq = secret, expand(secret, "iv", 12), 0
}

func (w *recordWriter) record(kind byte, data []byte) []byte {
	plain := append(bytes.Clone(data), kind)
	head := []byte{23, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(head[3:], uint16(len(plain)+w.aead.Overhead()))
	nonce := bytes.Clone(w.iv)
	for i := range 8 {
		nonce[4+i] ^= byte(w.seq >> (56 - 8*i))
	}
	w.seq++
	return append(head, w.aead.Seal(nil, nonce, plain, head)...)
}

// TestTLSKeyUpdate changes the key of the client, and asks for another of the
// server, in a message that is split over two records and two reads (RFC 8446,
// section 4.6.3).
func TestTLSKeyUpdate(t *testing.T) {
	a := newAuthority(t)
	h := &looptest.Handler{}
	m, p := secureMemory(t, loop.Config{}, h, a.server())
	var log bytes.Buffer
	var c *tls.Conn
	var w *wire
	converse(t, m, p, 1<<20, func(on *wire) error {
		cfg := a.client(tls.VersionTLS13)
		cfg.KeyLogWriter = &log
		w, c = on, tls.Client(on, cfg)
		return c.Handshake()
	})
	for m.Stats().Handshakes == 0 && m.Wait(patience) {
	}
	if s := c.ConnectionState().CipherSuite; s != tls.TLS_AES_128_GCM_SHA256 {
		t.Skipf("the suite is %s: this test knows one alone", tls.CipherSuiteName(s))
	}
	var writer recordWriter
	for line := range strings.Lines(log.String()) {
		if f := strings.Fields(line); f[0] == "CLIENT_TRAFFIC_SECRET_0" {
			secret, err := hex.DecodeString(f[2])
			if err != nil {
				t.Fatal(err)
			}
			writer.use(secret)
		}
	}
	const handshake, data = 22, 23
	for range 3 {
		update := []byte{24, 0, 0, 1, 1} // update_requested
		first, second := writer.record(handshake, update[:2]), writer.record(handshake, update[2:])
		p.Feed(first)
		p.Feed(second[:7])
		p.Feed(second[7:])
		writer.use(expand(writer.secret, "traffic upd", 32))
		p.Feed(writer.record(data, looptest.Request("POST", "/", "new key")))
	}
	w.deliver(p.Output(), true)
	got, err := io.ReadAll(c) // checks that the server has changed its own
	if n := strings.Count(string(got), "new key"); n != 3 || err == nil && p.Closed {
		t.Errorf("%d answers after three updates: %q, %v", n, got, err)
	}
	p.Hangup()
}
