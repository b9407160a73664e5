package jsonrpc

// duplicateName is why a message with a name twice in an object is refused.
const duplicateName = "duplicate member name"

// envelope is the members of a message as raw JSON, nil when absent.
type envelope struct {
	version, id, method, params, result, err []byte

	object bool // the text is an object
	ids    int  // how many ids it has
}

// envelope scans the whole text as one message.
func (s *scanner) envelope(env *envelope) {
	i := s.start()
	if i < 0 {
		return
	}
	if i == len(s.b) || s.b[i] != '{' {
		s.finish(s.value(i))
		return
	}
	env.object = true
	i, last := s.enter(i, '}')
	var few [fewNames]name
	seen := few[:0]
	for i >= 0 && !last {
		n, from, to := s.member(i)
		if to < 0 {
			return
		}
		seen = s.see(seen, n)
		env.set(s.text(n), s.b[from:to:to])
		i, last = s.separator(to, '}')
	}
	s.seenAll(seen)
	s.finish(i)
}

// set keeps the members that JSON-RPC defines. Names are compared case by
// case: "METHOD" is not "method".
func (e *envelope) set(name, value []byte) {
	switch string(name) {
	case "jsonrpc":
		e.version = value
	case "id":
		e.id = value
		e.ids++
	case "method":
		e.method = value
	case "params":
		e.params = value
	case "result":
		e.result = value
	case "error":
		e.err = value
	}
}

// message judges an envelope whose id is valid.
func (e *envelope) message() (Message, *Error) {
	if !isString(e.version) || string(content(e.version)) != "2.0" {
		return Message{}, invalid(`jsonrpc is not "2.0"`)
	}
	if e.method != nil {
		return e.call()
	}
	return e.response()
}

// call judges a request or notification, JSON-RPC 2.0, section 4.
func (e *envelope) call() (Message, *Error) {
	m := Message{Kind: KindRequest, ID: e.id, Params: e.params}
	switch {
	case !isString(e.method):
		return m, invalid("method is not a string")
	case e.result != nil || e.err != nil:
		return m, invalid("both a method and a result or error")
	case e.params != nil && e.params[0] != '{' && e.params[0] != '[':
		// Section 4.2: "If present, parameters for the rpc call MUST be
		// provided as a Structured value."
		return m, invalid("params is not an object or array")
	case e.id == nil:
		m.Kind = KindNotification
	case isNull(e.id):
		return m, invalid("id is null")
	}
	m.Method = content(e.method)
	return m, nil
}

// response judges a response, JSON-RPC 2.0, section 5.
func (e *envelope) response() (Message, *Error) {
	m := Message{Kind: KindResult, ID: e.requestID(), Result: e.result, Error: e.err}
	switch {
	case e.result == nil && e.err == nil:
		return m, invalid("no method, result or error")
	case e.result != nil && e.err != nil:
		// "Either the result member or error member MUST be included, but
		// both members MUST NOT be included."
		return m, invalid("both a result and an error")
	case e.err != nil && e.err[0] != '{':
		return m, invalid("error is not an object")
	case e.err != nil:
		// "If there was an error in detecting the id in the Request object
		// (e.g. Parse error/Invalid Request), it MUST be Null"; MCP leaves it
		// out instead.
		m.Kind = KindError
	case m.ID == nil:
		return m, invalid("a result without an id")
	}
	return m, nil
}

// requestID returns the id unless it is null.
func (e *envelope) requestID() []byte {
	if isNull(e.id) {
		return nil
	}
	return e.id
}

// checkID makes sure that the id is a string, an integer or null, is not too
// long, and is there once.
//
// JSON-RPC 2.0, section 4: "Numbers SHOULD NOT contain fractional parts"; MCP
// makes that a must.
func (e *envelope) checkID(limit int) *Error {
	if e.ids > 1 {
		return invalid(duplicateName)
	}
	n := len(e.id)
	switch {
	case e.id == nil || isNull(e.id):
		return nil
	case isString(e.id):
		n -= len(`""`)
	case !isInteger(e.id):
		return invalid("id is not a string or integer")
	}
	if n > limit {
		return invalid("id too long")
	}
	return nil
}

// The following look at values that are valid JSON, or nil.

func isString(raw []byte) bool { return len(raw) > 0 && raw[0] == '"' }

func isNull(raw []byte) bool { return len(raw) > 0 && raw[0] == 'n' }

func isInteger(raw []byte) bool {
	for i, c := range raw {
		if !isDigit(c) && (c != '-' || i > 0) {
			return false
		}
	}
	return true
}
