package mcp

import (
	"millrace/codec/jsonrpc"
)

// cursorPurpose separates the keys of cursors from those of other tokens.
const cursorPurpose = "cursor"

// maxCursor bounds what is decrypted: more than the longest cursor of ours.
const maxCursor = 1 << 10

// A cursor is the name of the last tool of a page, sealed: it stays good when
// tools come and go. The list is authenticated with it.

func (r *registry) sealCursor(list, last string) string {
	return string(r.cursors.Seal(nil, []byte(last), []byte(list)))
}

// openCursor returns the index at which the page of a cursor begins; the empty
// cursor is the beginning.
func (r *registry) openCursor(list, cursor string) (int, *jsonrpc.Error) {
	if cursor == "" {
		return 0, nil
	}
	if len(cursor) <= maxCursor {
		if last, err := r.cursors.Open(nil, []byte(cursor), []byte(list)); err == nil {
			return r.after(string(last)), nil
		}
	}
	// 2026-07-28, pagination: "Invalid cursors SHOULD result in an error with
	// code -32602 (Invalid params)."
	return 0, &jsonrpc.Error{
		Code:    jsonrpc.CodeInvalidParams,
		Message: "params.cursor is not a cursor of " + list + "; begin again without one",
	}
}
