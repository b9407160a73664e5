package mcp

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/server/seal"
)

// statePurpose separates the keys of requestState from those of other tokens.
const statePurpose = "rstate"

const (
	// maxState bounds what a conversation may keep, in bytes before sealing.
	maxState = 256 << 10
	// DefaultInputTimeout is the default of ServerOptions.InputTimeout.
	DefaultInputTimeout = 10 * time.Minute
)

// requestState is what travels with a client between the rounds of a call:
// "servers MUST treat requestState as an attacker-controlled input" (2026-07-28,
// basic/patterns/mrtr). So it is sealed, and bound to principal, method and
// parameters by the additional data.
type requestState struct {
	Expires int64                      `json:"e"` // Unix seconds
	Given   map[string]json.RawMessage `json:"a,omitempty"`
	Kept    map[string]json.RawMessage `json:"o,omitempty"`
	Asked   map[string]json.RawMessage `json:"q,omitempty"` // what InputRequests asked
	State   string                     `json:"s,omitempty"` // the handler's own
}

// stateContext is what a requestState is good for: "the authenticated principal
// ... an identifier for the originating request, e.g. the method name and a
// digest of its salient parameters".
func (a *activeCall) stateContext() []byte {
	sum := sha256.Sum256(canonical(a.arguments))
	dst := make([]byte, 0, 128)
	for _, part := range [...]string{a.method, a.subject, a.principal.ID} {
		dst = append(jsonrpc.AppendString(dst, part), ',')
	}
	return append(dst, sum[:]...)
}

// canonical spells raw, JSON or nil, in one way: clients may order members and
// space differently when they repeat a request.
func canonical(raw []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	out, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return out
}

// sealState returns the requestState that goes with questions. asked are those
// of a result with InputRequests, and own its state.
func (a *activeCall) sealState(asked InputRequestMap, own string) (string, error) {
	st := requestState{Expires: time.Now().Add(a.server.opts.InputTimeout).Unix(), State: own}
	t := a.conversation()
	t.mu.Lock()
	st.Kept = maps.Clone(t.kept)
	for key := range t.used {
		if st.Given == nil {
			st.Given = make(map[string]json.RawMessage)
		}
		st.Given[key] = t.given[key]
	}
	byResult := t.asked == nil
	t.mu.Unlock()
	if byResult {
		st.Asked = make(map[string]json.RawMessage, len(asked))
		for key, q := range asked {
			raw, err := appendInputRequest(nil, q, a.rev)
			if err != nil {
				return "", err
			}
			st.Asked[key] = raw
		}
	}
	plain, err := json.Marshal(st)
	if err != nil {
		return "", err
	}
	if len(plain) > maxState {
		return "", fmt.Errorf("mcp: the answers and kept values of one call have %d bytes; %d are allowed", len(plain), maxState)
	}
	return string(a.server.snapshot().states.Seal(nil, plain, a.stateContext())), nil
}

// openState opens a requestState that came with a request.
func (a *activeCall) openState(raw []byte) (*requestState, *jsonrpc.Error) {
	token, ok := jsonrpc.UnquoteView(raw)
	if !ok {
		return nil, wrongType("params.requestState", "a string")
	}
	if len(token) > seal.MaxToken {
		return nil, invalidState()
	}
	plain, err := a.server.snapshot().states.Open(nil, token, a.stateContext())
	if err != nil {
		return nil, invalidState()
	}
	var st requestState
	if json.Unmarshal(plain, &st) != nil || time.Now().Unix() >= st.Expires {
		return nil, invalidState()
	}
	return &st, nil
}

// interactive reads what a client of 2026-07-28 answers to an earlier result of
// the same request.
func (f *frame[T, P]) interactive(c *Call, responses *InputResponseMap, state *string) (Request, *jsonrpc.Error) {
	f.call.interactive = true
	rawState, rawResponses := c.Meta.beside.requestState, c.Meta.beside.inputResponses
	if !c.Modern || isNull(rawState) && isNull(rawResponses) {
		return &f.request, nil
	}
	st := &requestState{}
	if !isNull(rawState) {
		var err *jsonrpc.Error
		if st, err = f.call.openState(rawState); err != nil {
			return nil, err
		}
	}
	given := make(map[string]json.RawMessage)
	if !isNull(rawResponses) {
		if !isObject(rawResponses) {
			return nil, wrongType("params.inputResponses", "an object")
		}
		for key, value := range jsonrpc.Members(rawResponses) {
			if len(given) >= maxQuestions || len(key) > maxKey {
				return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf(
					"params.inputResponses may have %d members with keys of %d bytes", maxQuestions, maxKey)}
			}
			given[string(key)] = bytes.Clone(value)
		}
	}
	*responses = st.answers(given)
	*state = st.State
	t := f.call.conversation()
	t.kept = st.Kept
	t.given = given
	for key, raw := range st.Given {
		given[key] = raw // what was answered once stays answered
	}
	return &f.request, nil
}

func isNull(raw []byte) bool { return raw == nil || string(raw) == "null" }

// answers are the responses to what a result with InputRequests asked. Those that
// do not answer it are left out, and so are all that come without the state of
// such a result: nobody knows then what they answer.
func (st *requestState) answers(given map[string]json.RawMessage) InputResponseMap {
	answers := make(InputResponseMap, len(st.Asked))
	for key, asked := range st.Asked {
		q, err := parseInputRequest(asked)
		if err != nil || given[key] == nil {
			continue
		}
		if answer, err := parseInputResponse(q, given[key]); err == nil {
			answers[key] = answer
		}
	}
	return answers
}

// parseInputRequest reads what appendInputRequest wrote. Forms keep their schema
// as raw JSON.
func parseInputRequest(raw []byte) (InputRequest, error) {
	var q struct {
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
	}
	if err := json.Unmarshal(raw, &q); err != nil {
		return nil, err
	}
	switch q.Method {
	case methodElicit:
		var p struct {
			ElicitParams
			RequestedSchema json.RawMessage `json:"requestedSchema"`
		}
		if err := json.Unmarshal(q.Params, &p); err != nil {
			return nil, err
		}
		if p.RequestedSchema != nil {
			p.ElicitParams.RequestedSchema = p.RequestedSchema
		}
		return &p.ElicitParams, nil
	case methodCreateMessage:
		p := &CreateMessageWithToolsParams{}
		return p, json.Unmarshal(q.Params, p)
	}
	return &ListRootsParams{}, nil
}
