package mcp

import (
	"millrace/codec/jsonrpc"
	"millrace/server/seal"
)

// cursorPurpose separates the keys of cursors from those of other tokens.
const cursorPurpose = "cursor"

// maxCursor bounds what is decrypted: more than the cursor behind the longest
// name or URI.
const maxCursor = 2*maxURI + 1<<10

// A cursor is the key of the last feature of a page, sealed: it stays good when
// features come and go. The list is authenticated with it.

func sealCursor(box *seal.Box, list, last string) string {
	return string(box.Seal(nil, []byte(last), []byte(list)))
}

// openCursor returns the key in a cursor of list.
func openCursor(box *seal.Box, list, cursor string) (string, *jsonrpc.Error) {
	if len(cursor) <= maxCursor {
		if last, err := box.Open(nil, []byte(cursor), []byte(list)); err == nil {
			return string(last), nil
		}
	}
	// 2026-07-28, pagination: "Invalid cursors SHOULD result in an error with
	// code -32602 (Invalid params)."
	return "", &jsonrpc.Error{
		Code:    jsonrpc.CodeInvalidParams,
		Message: "params.cursor is not a cursor of " + list + "; begin again without one",
	}
}
