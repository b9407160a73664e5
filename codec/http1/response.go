package http1

import "strconv"

// Continue is the interim response that makes a client send the body for which
// it announced "Expect: 100-continue".
const Continue = "HTTP/1.1 100 Continue\r\n\r\n"

// AppendStatusLine appends the first line of a response. A status outside of
// 100 to 999 is written as 500.
func AppendStatusLine(dst []byte, status int) []byte {
	if status < 100 || status > 999 {
		status = 500
	}
	dst = append(dst, version+" "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ') // RFC 9112 section 4: also when no reason phrase follows
	dst = append(dst, StatusText(status)...)
	return append(dst, crlf...)
}

// AppendField appends a field line. A control character in value other than
// HTAB is written as a space: RFC 9110 section 5.5 lets a recipient read CR, LF
// and NUL so, and a value that holds bytes of a request cannot end its line.
// name is the caller's own constant and is written as it is.
func AppendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	start := len(dst)
	dst = append(dst, value...)
	for i := valueEnd(dst, start); i < len(dst); i = valueEnd(dst, i) {
		dst[i] = ' '
	}
	return append(dst, crlf...)
}

// AppendContentLength appends the Content-Length field; n below zero counts as
// zero.
func AppendContentLength(dst []byte, n int) []byte {
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(max(n, 0)), 10)
	return append(dst, crlf...)
}

// AppendEnd appends the empty line that ends a response head.
func AppendEnd(dst []byte) []byte { return append(dst, crlf...) }

// AppendChunk appends data as one chunk, and nothing when data is empty: an
// empty chunk would end the body.
func AppendChunk(dst, data []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	dst = strconv.AppendUint(dst, uint64(len(data)), 16)
	dst = append(dst, crlf...)
	dst = append(dst, data...)
	return append(dst, crlf...)
}

// AppendLastChunk appends the end of a chunked body without trailer fields.
func AppendLastChunk(dst []byte) []byte { return append(dst, "0\r\n\r\n"...) }

// StatusText returns the reason phrase that RFC 9110 section 15 and RFC 6585
// give a status code, "" for a code that is none of theirs.
func StatusText(status int) string {
	switch status {
	case 100:
		return "Continue"
	case 101:
		return "Switching Protocols"
	case 200:
		return "OK"
	case 201:
		return "Created"
	case 202:
		return "Accepted"
	case 203:
		return "Non-Authoritative Information"
	case 204:
		return "No Content"
	case 205:
		return "Reset Content"
	case 206:
		return "Partial Content"
	case 300:
		return "Multiple Choices"
	case 301:
		return "Moved Permanently"
	case 302:
		return "Found"
	case 303:
		return "See Other"
	case 304:
		return "Not Modified"
	case 307:
		return "Temporary Redirect"
	case 308:
		return "Permanent Redirect"
	}
	return errorText(status)
}

// errorText is StatusText for 4xx and 5xx.
func errorText(status int) string {
	switch status {
	case 400:
		return "Bad Request"
	case 401:
		return "Unauthorized"
	case 402:
		return "Payment Required"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 406:
		return "Not Acceptable"
	case 407:
		return "Proxy Authentication Required"
	case 408:
		return "Request Timeout"
	case 409:
		return "Conflict"
	case 410:
		return "Gone"
	case 411:
		return "Length Required"
	case 412:
		return "Precondition Failed"
	case 413:
		return "Content Too Large"
	case 414:
		return "URI Too Long"
	case 415:
		return "Unsupported Media Type"
	case 416:
		return "Range Not Satisfiable"
	case 417:
		return "Expectation Failed"
	case 421:
		return "Misdirected Request"
	case 422:
		return "Unprocessable Content"
	case 426:
		return "Upgrade Required"
	case 428:
		return "Precondition Required"
	case 429:
		return "Too Many Requests"
	case 431:
		return "Request Header Fields Too Large"
	case 500:
		return "Internal Server Error"
	case 501:
		return "Not Implemented"
	case 502:
		return "Bad Gateway"
	case 503:
		return "Service Unavailable"
	case 504:
		return "Gateway Timeout"
	case 505:
		return "HTTP Version Not Supported"
	}
	return ""
}
