package http1

// Method is a request method that this package knows by number. Methods are
// case-sensitive (RFC 9110 section 9.1): "get" is MethodOther.
type Method uint8

// The methods of RFC 9110 and RFC 5789 except CONNECT, which Parse refuses.
// MethodOther is any other valid token; Request.MethodName has its bytes.
const (
	MethodOther Method = iota
	MethodGet
	MethodHead
	MethodPost
	MethodPut
	MethodDelete
	MethodOptions
	MethodPatch
	MethodTrace
)

// maxMethod is the longest method token read. RFC 9112 section 3: "A server
// that receives a method longer than any that it implements SHOULD respond with
// a 501 (Not Implemented) status code."
const maxMethod = 32

var methodNames = [...]string{
	MethodOther:   "OTHER",
	MethodGet:     "GET",
	MethodHead:    "HEAD",
	MethodPost:    "POST",
	MethodPut:     "PUT",
	MethodDelete:  "DELETE",
	MethodOptions: "OPTIONS",
	MethodPatch:   "PATCH",
	MethodTrace:   "TRACE",
}

// String returns the method token, or "OTHER".
func (m Method) String() string {
	if int(m) < len(methodNames) {
		return methodNames[m]
	}
	return methodNames[MethodOther]
}

func lookupMethod(token []byte) Method {
	switch string(token) {
	case "GET":
		return MethodGet
	case "HEAD":
		return MethodHead
	case "POST":
		return MethodPost
	case "PUT":
		return MethodPut
	case "DELETE":
		return MethodDelete
	case "OPTIONS":
		return MethodOptions
	case "PATCH":
		return MethodPatch
	case "TRACE":
		return MethodTrace
	}
	return MethodOther
}
