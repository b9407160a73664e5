package http1

import "strconv"

// Error is a request that is refused by the parser or the body decoder. The
// caller answers with Status and closes the connection. The values returned by
// this package are shared and must not be changed.
type Error struct {
	Status int    // the status code to answer with, 400 to 599
	Reason string // what was wrong; fixed text, never bytes of the request
}

// Error returns the status and the reason on one line.
func (e *Error) Error() string {
	return "http1: " + strconv.Itoa(e.Status) + ": " + e.Reason
}

// The errors are values made once, so that refusing garbage costs no memory.
var (
	errMethod           = &Error{400, "malformed method"}
	errMethodLength     = &Error{501, "method too long"}
	errConnect          = &Error{405, "CONNECT is not served"}
	errTarget           = &Error{400, "malformed request target"}
	errTargetLength     = &Error{414, "request target too long"}
	errVersion          = &Error{400, "malformed HTTP version"}
	errVersionUnknown   = &Error{505, "HTTP version not supported"}
	errLineEnd          = &Error{400, "line does not end with CRLF"}
	errHeadLength       = &Error{431, "request head too large"}
	errFieldCount       = &Error{431, "too many header fields"}
	errFieldName        = &Error{400, "malformed field name"}
	errFieldValue       = &Error{400, "control character in field value"}
	errFieldRepeated    = &Error{400, "repeated field that allows one value"}
	errFieldUnderscore  = &Error{400, "field name with underscores imitates a known field"}
	errHostMissing      = &Error{400, "missing Host"}
	errHost             = &Error{400, "malformed Host"}
	errHostMismatch     = &Error{400, "Host differs from the request target"}
	errContentLength    = &Error{400, "malformed Content-Length"}
	errBothFramings     = &Error{400, "Content-Length beside Transfer-Encoding"}
	errTransferOn10     = &Error{400, "Transfer-Encoding on HTTP/1.0"}
	errTransferEncoding = &Error{501, "transfer coding not supported"}
	errTrailerName      = &Error{400, "Trailer names a forbidden field"}
	errExpect           = &Error{417, "expectation not supported"}
	errBodyLength       = &Error{413, "request body too large"}
	errChunkSize        = &Error{400, "malformed chunk size"}
	errChunkLine        = &Error{400, "chunk size line too long"}
	errChunkExtension   = &Error{400, "malformed or excessive chunk extension"}
	errChunkEnd         = &Error{400, "chunk does not end with CRLF"}
	errTrailer          = &Error{400, "malformed trailer section"}
	errTrailerLength    = &Error{400, "trailer section too large"}
	errTrailerField     = &Error{400, "field not allowed in a trailer section"}
)
