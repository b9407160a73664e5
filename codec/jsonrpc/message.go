package jsonrpc

// Kind tells what a message is.
type Kind uint8

// The kinds of message; the zero Kind is none of them.
const (
	KindRequest      Kind = 1 + iota // has a method and an id
	KindNotification                 // has a method and no id
	KindResult                       // a response that has a result
	KindError                        // a response that has an error
)

// String returns the name of k for logs.
func (k Kind) String() string {
	switch k {
	case KindRequest:
		return "request"
	case KindNotification:
		return "notification"
	case KindResult:
		return "result"
	case KindError:
		return "error"
	}
	return "invalid"
}

// Message is one JSON-RPC 2.0 request, notification or response. Its fields
// are views into the parsed text, each nil when the member is absent.
type Message struct {
	Kind Kind
	// ID is the JSON of the id as sent, `1` or `"a"`, so that an integer
	// beyond 2^53 comes back to the peer as it was. Nil for a notification and
	// for an error response without an id or with a null one.
	ID []byte
	// Method is the decoded method; no view when it had escapes.
	Method []byte
	// Params is the JSON of an object or an array.
	Params []byte
	// Result is the JSON of any value.
	Result []byte
	// Error is the JSON of an object.
	Error []byte
}

// Parse reads b, the whole text of one JSON-RPC 2.0 message; lim may be nil.
//
// The code of the error is CodeParse for what is not JSON or is over a limit
// of Depth or Keys, and CodeInvalidRequest for JSON that is not a valid
// envelope. Members that JSON-RPC does not define are checked as JSON and
// otherwise ignored. With an error only the ID of the Message is set, and only
// when it was readable and not ambiguous: the id was there once, valid, and
// the text was JSON as far as it was read. For text that is not JSON the id
// is nil, as section 5 of JSON-RPC wants null for a parse error.
func Parse(b []byte, lim *Limits) (Message, *Error) {
	return ParseRepeated(b, lim, nil)
}

// ParseRepeated is Parse, faster where b holds known.
func ParseRepeated(b []byte, lim *Limits, known *Repeated) (Message, *Error) {
	l := lim.orDefault()
	s := newScanner(b, l)
	s.known = known
	var env envelope
	s.envelope(&env)
	idErr := env.checkID(l.IDBytes)
	err := s.err
	switch {
	case err != nil:
	case s.duplicate:
		err = invalid(duplicateName)
	case !env.object:
		err = invalid("not an object")
	case idErr != nil:
		err = idErr
	default:
		var m Message
		if m, err = env.message(); err == nil {
			return m, nil
		}
	}
	var m Message
	if idErr == nil && (s.err == nil || s.limited) {
		m.ID = env.requestID()
	}
	return m, err
}

// Validate checks that b is one JSON value that obeys the same rules as a
// message of Parse: strict JSON, no name twice in any object, within
// lim.Depth and lim.Keys. lim may be nil.
func Validate(b []byte, lim *Limits) *Error {
	s := newScanner(b, lim.orDefault())
	i := s.start()
	if i >= 0 {
		s.finish(s.value(i))
	}
	if s.err == nil && s.duplicate {
		return invalid(duplicateName)
	}
	return s.err
}
