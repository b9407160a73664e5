// Package proxy is the receiver's half of the PROXY protocol of HAProxy,
// versions 1 (text) and 2 (binary): what a proxy sends before the first byte
// of a connection to say whose connection it is. The specification is
// doc/proxy-protocol.txt of HAProxy.
//
// It is sans-IO: bytes in, values out. It reads no socket, starts no goroutine
// and looks at no clock.
//
// The caller calls Parse with the first bytes of a connection. It must do so
// only for peers that are known to be proxies: "The receiver MUST be configured
// to only receive the protocol described in this specification and MUST not try
// to guess whether the protocol header is present or not." A client that may
// send the header may claim any address.
package proxy
