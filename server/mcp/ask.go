package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"millrace/codec/jsonrpc"
)

// maxQuestions bounds how many questions may be open in one call.
const maxQuestions = 64

// maxKey bounds the key of a question in bytes.
const maxKey = 256

// Elicit asks the user of the client through a form or a URL, and returns the
// answer. key names the question within the call: two questions need two keys.
//
// On 2026-07-28 a server cannot send requests. There Elicit returns the answer
// if the client has given it already; otherwise it notes the question and
// returns ErrInputRequired, and once the handler has returned (whatever it
// returns) the client is asked and the handler run again, from its start, with
// the answer. What stands before a question must therefore be repeatable:
// reading is, sending a mail is not. Use Once for values that must stay the
// same. In sessions of older revisions, and in tasks, the handler simply waits;
// its time limit does not run meanwhile.
//
// Other errors: the client has not declared the capability (error -32021 on
// 2026-07-28), params that may not be sent, ctx, and in sessions the client's
// own error. An answer that does not match the requested schema counts as none.
// Any goroutine of the handler may call it.
//
// It implements client/elicitation of 2026-07-28.
func (r *ServerRequest[P]) Elicit(ctx context.Context, key string, params *ElicitParams) (*ElicitResult, error) {
	return askOne[*ElicitResult](ctx, r.Session, key, params)
}

// Sample asks the model of the client, as Elicit asks its user.
func (r *ServerRequest[P]) Sample(ctx context.Context, key string, params *CreateMessageParams) (*CreateMessageResult, error) {
	res, err := askOne[*CreateMessageWithToolsResult](ctx, r.Session, key, params)
	if err != nil {
		return nil, err
	}
	return res.single()
}

// SampleWithTools is Sample for a model that may use tools.
func (r *ServerRequest[P]) SampleWithTools(ctx context.Context, key string, params *CreateMessageWithToolsParams) (*CreateMessageWithToolsResult, error) {
	return askOne[*CreateMessageWithToolsResult](ctx, r.Session, key, params)
}

// ListRoots asks the client for its roots, as Elicit asks its user.
func (r *ServerRequest[P]) ListRoots(ctx context.Context, key string) (*ListRootsResult, error) {
	return askOne[*ListRootsResult](ctx, r.Session, key, &ListRootsParams{})
}

// Ask asks several questions at once, by key, and returns the answers: values
// of type *ElicitResult, *CreateMessageWithToolsResult and *ListRootsResult. It
// returns ErrInputRequired while one of them is missing. See Elicit.
func (r *ServerRequest[P]) Ask(ctx context.Context, questions InputRequestMap) (InputResponseMap, error) {
	return r.Session.ask(ctx, questions)
}

// Once calls fn at the first run of a handler only and keeps what it returns
// for the runs after questions; out is a pointer to a value that encoding/json
// can decode it into. What has to be kept travels with the client, sealed: it
// must be small, 256 KiB for all of a call together. An error of fn is returned
// and not kept.
func (r *ServerRequest[P]) Once(_ context.Context, key string, out any, fn func() (any, error)) error {
	if r.Session.call == nil {
		return errNoAsking
	}
	return r.Session.call.once(key, out, fn)
}

// CloseStream ends the event stream of the call, and the client comes back for
// the rest after retry: a long call need not keep a connection open. It is false
// where that cannot be: over WebSocket and stdio, in other revisions than
// 2025-11-25, and for clients that take no event stream.
//
// It implements "server-side disconnect" of 2025-11-25, basic/transports.
func (r *ServerRequest[P]) CloseStream(retry time.Duration) bool {
	call := r.Session.call
	return call != nil && call.host != nil && !call.rev.modern() && call.host.CloseStream(retry)
}

var errNoAsking = errors.New("mcp: a client can only be asked by the handler of a running call")

// askOne asks one question. A is the type of its answer.
func askOne[A InputResponse](ctx context.Context, ss *ServerSession, key string, q InputRequest) (answer A, err error) {
	answers, err := ss.ask(ctx, InputRequestMap{key: q})
	if err != nil {
		return answer, err
	}
	return answers[key].(A), nil
}

func (ss *ServerSession) ask(ctx context.Context, questions InputRequestMap) (InputResponseMap, error) {
	if ss.running() == nil {
		return nil, errNoAsking
	}
	if err := ss.call.mayAsk(questions); err != nil {
		return nil, err
	}
	return ss.call.askAll(ctx, questions)
}

// asking is the conversation of one call with its client.
type asking struct {
	mu sync.Mutex
	// given are the client's answers by key, raw: those of earlier rounds, which
	// are sealed, and those that came with the request.
	given map[string]json.RawMessage
	used  map[string]bool // keys of given that this run has asked for
	kept  map[string]json.RawMessage
	asked InputRequestMap // of this run, without an answer
	auto  int             // questions without a key of their own
}

// conversation returns the call's asking, made when first needed.
func (a *activeCall) conversation() *asking {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.talk == nil {
		a.talk = &asking{}
	}
	return a.talk
}

// questions are what this run has asked without an answer: a copy, as goroutines
// that the handler has left behind may ask on.
func (a *activeCall) questions() InputRequestMap {
	a.mu.Lock()
	t := a.talk
	a.mu.Unlock()
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.asked)
}

// askedByResult reports whether the client is asked by the result of the call.
func (a *activeCall) askedByResult() bool { return a.rev.modern() && a.task() == nil }

// mayAsk checks questions before they are asked: "Servers MUST NOT send an
// inputRequests that the client has not declared support for in its
// capabilities" (2026-07-28, basic/patterns/mrtr).
func (a *activeCall) mayAsk(questions InputRequestMap) error {
	if len(questions) > maxQuestions {
		return fmt.Errorf("mcp: %d questions at once; %d are allowed", len(questions), maxQuestions)
	}
	have := a.capabilities()
	var missing *ClientCapabilities
	for _, key := range sortedKeys(questions) {
		q := questions[key]
		if key == "" || len(key) > maxKey {
			return fmt.Errorf("mcp: the key of a question must have 1 to %d bytes", maxKey)
		}
		if err := checkInputRequest(q); err != nil {
			return fmt.Errorf("mcp: question %q: %w", key, err)
		}
		if declares(have, q) {
			continue
		}
		if !a.rev.modern() {
			return fmt.Errorf("the client cannot be asked: it has not declared the capability that %s needs", inputMethod(q))
		}
		missing = missing.with(neededCapability(q))
	}
	if missing != nil {
		return missingCapability(missing)
	}
	return nil
}

// capabilities are those of the client of the call.
func (a *activeCall) capabilities() *ClientCapabilities {
	p := a.session.InitializeParams()
	if p == nil {
		return nil
	}
	return p.Capabilities
}

// askAll returns the answers to questions that may be asked.
func (a *activeCall) askAll(ctx context.Context, questions InputRequestMap) (InputResponseMap, error) {
	if t := a.task(); t != nil {
		return t.ask(ctx, questions)
	}
	if a.rev.modern() {
		if !a.interactive {
			return nil, fmt.Errorf("mcp: a client of %s can be asked by tools, prompts and resources only", a.rev.version())
		}
		return a.conversation().recall(questions)
	}
	return a.interview(ctx, questions)
}

// recall returns the answers that are there already, or notes the questions.
func (t *asking) recall(questions InputRequestMap) (InputResponseMap, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	answers, open := t.split(questions)
	if t.used == nil {
		t.used = make(map[string]bool)
	}
	for key := range answers {
		t.used[key] = true
	}
	if len(open) == 0 {
		return answers, nil
	}
	if t.asked == nil {
		t.asked = make(InputRequestMap)
	}
	for key, q := range open {
		if len(t.asked) >= maxQuestions {
			return nil, fmt.Errorf("mcp: more than %d open questions in one call", maxQuestions)
		}
		t.asked[key] = q
	}
	return nil, ErrInputRequired
}

// interview asks the client of a session, all questions at once, and waits.
// Repeated keys are asked once.
func (a *activeCall) interview(ctx context.Context, questions InputRequestMap) (InputResponseMap, error) {
	t := a.conversation()
	answers, open := t.known(questions)
	if len(open) == 0 {
		return answers, nil
	}
	if a.host == nil {
		return nil, errNoWayBack
	}
	// Here and not where they are sent: what encodes is user code, which may panic.
	params := make(map[string][]byte, len(open))
	for key, q := range open {
		p, err := appendInputParams(nil, q, a.rev)
		if err != nil {
			return nil, askingError(key, err)
		}
		params[key] = p
	}
	ctx, cancel := withPatience(ctx, a.server.opts.InputTimeout)
	defer cancel()
	var failed error
	if err := a.host.Wait(func() { failed = a.question(ctx, cancel, open, params, answers) }); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	return answers, nil
}

// withPatience is context.WithTimeout for who waits for a person. The clock of a
// call stands still meanwhile, so that its deadline may be long past; but
// context.WithTimeout relies on an earlier deadline of its parent.
func withPatience(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	t := time.AfterFunc(d, func() { cancel(fmt.Errorf("no answer within %v: %w", d, context.DeadlineExceeded)) })
	return ctx, func() {
		t.Stop()
		cancel(nil)
	}
}

// causeOf tells of an error that is the end of ctx why ctx has ended.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return context.Cause(ctx)
	}
	return err
}

func askingError(key string, err error) error {
	return fmt.Errorf("asking the client (%s): %w", key, err)
}

// question sends questions, whose params are encoded, to the client of a session,
// all at once, and collects the answers. After an error the others are given up
// with cancel.
func (a *activeCall) question(ctx context.Context, cancel func(), open InputRequestMap, params map[string][]byte, answers InputResponseMap) (failed error) {
	type reply struct {
		key string
		raw json.RawMessage
		err error
	}
	replies := make(chan reply, len(open))
	for key, q := range open {
		go func() {
			raw, err := a.host.Request(ctx, inputMethod(q), params[key])
			replies <- reply{key, raw, err}
		}()
	}
	for range open {
		r := <-replies
		var answer InputResponse
		if r.err == nil {
			answer, r.err = parseInputResponse(open[r.key], r.raw)
		}
		switch {
		case r.err == nil:
			answers[r.key] = answer
			a.conversation().remember(r.key, r.raw)
		case failed == nil:
			failed = askingError(r.key, causeOf(ctx, r.err))
			cancel()
		}
	}
	return failed
}

var errNoWayBack = errors.New("mcp: there is no way to ask the client of this call")

// askAnew asks what a result asks for, again if the handler wants the same once
// more: "Servers MAY choose to return an InputRequiredResult on multiple attempts
// at the same request" (2026-07-28, basic/patterns/mrtr). In a task "each request
// key MUST be unique over the lifetime", so a key that had an answer is numbered.
func (a *activeCall) askAnew(ctx context.Context, questions InputRequestMap) (InputResponseMap, error) {
	t := a.conversation()
	names := make(map[string]string, len(questions)) // by the key on the wire
	asked := make(InputRequestMap, len(questions))
	t.mu.Lock()
	for key, q := range questions {
		name := key
		for n := 2; t.given[name] != nil; n++ {
			name = key + "#" + strconv.Itoa(n)
		}
		names[name], asked[name] = key, q
	}
	t.mu.Unlock()
	given, err := a.askAll(ctx, asked)
	if err != nil {
		return nil, err
	}
	answers := make(InputResponseMap, len(given))
	for name, answer := range given {
		answers[names[name]] = answer
	}
	return answers, nil
}

// known splits questions into answers that are there and those still open.
func (t *asking) known(questions InputRequestMap) (InputResponseMap, InputRequestMap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.split(questions)
}

// split is known, under mu. "If the client fails to send all the information
// requested ... the server SHOULD respond with a new InputRequiredResult" (mrtr,
// "Error Handling"): an answer that is none counts as missing.
func (t *asking) split(questions InputRequestMap) (InputResponseMap, InputRequestMap) {
	answers, open := make(InputResponseMap, len(questions)), make(InputRequestMap)
	for key, q := range questions {
		if raw, ok := t.given[key]; ok {
			if answer, err := parseInputResponse(q, raw); err == nil {
				answers[key] = answer
				continue
			}
		}
		open[key] = q
	}
	return answers, open
}

func (t *asking) remember(key string, raw json.RawMessage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.given == nil {
		t.given = make(map[string]json.RawMessage)
	}
	t.given[key] = raw
}

// ClientError is the error with which a client answered a request of the server.
// It is not the answer to the client's own request: that is what the handler
// makes of it.
type ClientError struct{ Err *jsonrpc.Error }

// Error implements error.
func (e *ClientError) Error() string {
	return fmt.Sprintf("the client answered with error %d: %s", e.Err.Code, e.Err.Message)
}

// once implements Once.
func (a *activeCall) once(key string, out any, fn func() (any, error)) error {
	t := a.conversation()
	t.mu.Lock()
	raw, ok := t.kept[key]
	t.mu.Unlock()
	if !ok {
		v, err := fn()
		if err != nil {
			return err
		}
		if raw, err = json.Marshal(v); err != nil {
			return fmt.Errorf("mcp: Once %q: %w", key, err)
		}
		t.mu.Lock()
		if t.kept == nil {
			t.kept = make(map[string]json.RawMessage)
		}
		t.kept[key] = raw
		t.mu.Unlock()
	}
	return json.Unmarshal(raw, out)
}

// beginRun is the beginning of a run of the handler, the first or another.
func (a *activeCall) beginRun() {
	a.mu.Lock()
	t := a.talk
	a.mu.Unlock()
	if t != nil {
		t.mu.Lock()
		t.auto = 0
		t.mu.Unlock()
	}
}

// autoKey names a question that has no key: by its place in the order of asking,
// which is the same in every run.
func (a *activeCall) autoKey() string {
	t := a.conversation()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.auto++
	return "question-" + strconv.Itoa(t.auto)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// invalidState is the answer to a requestState that is not of this call. It does
// not say why.
func invalidState() *jsonrpc.Error {
	return &jsonrpc.Error{
		Code:    jsonrpc.CodeInvalidParams,
		Message: "params.requestState is not valid for this request, or has expired; begin again without it",
	}
}
