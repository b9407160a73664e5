package auth

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// attributes are the short names that openssl and RFC 4514 have for what stands in
// subjects. pkix.Name knows fewer, and forgets order and repetition.
var attributes = map[string]string{
	"2.5.4.3": "CN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "street",
	"2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.17": "postalCode", "2.5.4.4": "SN", "2.5.4.42": "GN", "2.5.4.12": "title",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "emailAddress",
}

// subjectName is the whole subject of cert as RFC 2253 writes it: "the last element of
// the sequence and moving backwards toward the first" (section 2.1), so that two
// subjects have the same name only if they are the same. "" if it has none.
func subjectName(cert *x509.Certificate) string {
	var rdns pkix.RDNSequence
	if rest, err := asn1.Unmarshal(cert.RawSubject, &rdns); err != nil || len(rest) > 0 {
		return ""
	}
	var parts []string
	for _, set := range slices.Backward(rdns) {
		var values []string
		for _, a := range set {
			values = append(values, attribute(a))
		}
		parts = append(parts, strings.Join(values, "+"))
	}
	return strings.Join(parts, ",")
}

func attribute(a pkix.AttributeTypeAndValue) string {
	oid := a.Type.String()
	name, known := attributes[oid]
	text, isText := a.Value.(string)
	if known && isText {
		return name + "=" + escapeRDN(text)
	}
	der, err := asn1.Marshal(a.Value)
	if err != nil {
		return oid + "=?" // equals nothing: a question mark is no value in DER
	}
	return oid + "=#" + hex.EncodeToString(der)
}

// escapeRDN escapes what has a meaning in a name (RFC 2253, section 2.4), and controls
// as openssl does.
func escapeRDN(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, "\\%02X", c)
		case strings.IndexByte(`,+"\<>;`, c) >= 0, i == 0 && (c == '#' || c == ' '), i == len(s)-1 && c == ' ':
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
