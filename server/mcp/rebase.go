package mcp

import "unsafe"

// Rebase follows the message of c when the host moves it: every view into from
// becomes the same view into to, which holds the same bytes. Views are found by
// address, so what was decoded into memory of its own stays as it is. It must
// be called before anything but Plan has used c.
func (c *Call) Rebase(from, to []byte) {
	m := &c.Meta
	for _, view := range [...]*[]byte{
		&c.ID, &c.Params, &c.name, &c.args,
		&m.ProtocolVersion, &m.ClientInfo, &m.ClientCapabilities, &m.ProgressToken, &m.LogLevel,
		&m.raw, &m.beside.name, &m.beside.arguments, &m.beside.cursor, &m.beside.inputResponses, &m.beside.requestState,
	} {
		*view = rebase(*view, from, to)
	}
}

func rebase(view, from, to []byte) []byte {
	if len(view) == 0 || len(from) == 0 {
		return view
	}
	base, at := uintptr(unsafe.Pointer(&from[0])), uintptr(unsafe.Pointer(&view[0]))
	if at < base || at >= base+uintptr(len(from)) {
		return view
	}
	start := int(at - base)
	end := start + len(view)
	return to[start:end:end]
}
