package mcp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"millrace/codec/jsonrpc"
)

// Modes of elicitation.
const (
	modeForm = "form"
	modeURL  = "url"
)

// Actions of an ElicitResult.
const (
	actionAccept  = "accept"
	actionDecline = "decline"
	actionCancel  = "cancel"
)

// ElicitParams asks a client's user (client/elicitation): to fill in a form,
// from 2025-06-18 on, or to open a URL, from 2025-11-25 on. Secrets must not be
// asked for with a form.
type ElicitParams struct {
	Meta `json:"_meta,omitempty"`
	// Mode is "form" or "url". When empty it is "url" if URL or ElicitationID is
	// set, otherwise "form". Clients before 2025-11-25 are not told.
	Mode string `json:"mode"`
	// Message tells the user what is asked for and why; required.
	Message string `json:"message"`
	// RequestedSchema is the JSON Schema of the form: a *jsonschema.Schema, a
	// json.RawMessage, or any other value that encoding/json makes a schema of.
	// It is required in mode "form" and must be of type "object" with properties
	// that are
	//
	//   - strings, with minLength, maxLength, pattern, and format email, uri,
	//     date or date-time (which is not checked),
	//   - numbers or integers, with minimum and maximum,
	//   - booleans,
	//   - one of several strings: enum, also with enumNames, or oneOf with const
	//     and title,
	//   - several of several strings, from 2025-11-25 on: an array with minItems,
	//     maxItems, and items that are an enum or anyOf with const and title,
	//
	// each with title, description and default. Nothing else can be shown by all
	// clients. At the top, title, description and additionalProperties are
	// allowed and not sent.
	RequestedSchema any `json:"requestedSchema,omitempty"`
	// URL is what to open in mode "url": http or https, and nothing that lets
	// whoever has it in.
	URL string `json:"url,omitempty"`
	// ElicitationID names a URL elicitation in ElicitationCompleteParams; sent in
	// 2025-11-25 only. A random one is sent when it is empty.
	ElicitationID string `json:"elicitationId,omitempty"`
}

// ElicitResult is a client's answer to ElicitParams.
type ElicitResult struct {
	Meta `json:"_meta,omitempty"`
	// Action is "accept", "decline" when the user refused, or "cancel" when the
	// user did not choose. In mode "url" accepting means no more than that the
	// user agreed to open the URL.
	Action string `json:"action"`
	// Content is what the user filled in, as encoding/json decodes it: nil
	// unless a form was accepted. It matches the requested schema, has its
	// defaults filled in, and holds no property that was not asked for.
	Content map[string]any `json:"content,omitempty"`
}

// ElicitationCompleteParams tell a client that what a user did at a URL is
// done; see ServerSession.NotifyElicitationComplete. It exists in 2025-11-25 only.
type ElicitationCompleteParams struct {
	Meta `json:"_meta,omitempty"`
	// ElicitationID is that of the ElicitParams.
	ElicitationID string `json:"elicitationId"`
}

func (*ElicitParams) isParams()              {}
func (*ElicitParams) isInputRequest()        {}
func (*ElicitResult) isResult()              {}
func (*ElicitResult) isInputResponse()       {}
func (*ElicitationCompleteParams) isParams() {}

// GetProgressToken returns the token, or nil.
func (p *ElicitParams) GetProgressToken() any { return p.Meta[metaKeyProgressToken] }

// NotifyElicitationComplete tells the client that what its user did at a URL is
// done, so that it can go on, for instance repeat a request that was answered
// with URLElicitationRequiredError. Within a handler it goes where the question
// went, otherwise to the stream of the session. It is sent in 2025-11-25 only: in
// other revisions nothing happens, and the error is nil. Any goroutine.
//
// The error is that of ctx, of sending middleware, or of a wrong use.
//
// "Servers MAY send a notifications/elicitation/complete notification when an
// out-of-band interaction started by URL mode elicitation is completed"
// (25:client/elicitation, "Completion Notifications for URL Mode Elicitation").
func (ss *ServerSession) NotifyElicitationComplete(ctx context.Context, params *ElicitationCompleteParams) error {
	if params == nil || params.ElicitationID == "" {
		return errors.New("mcp: NotifyElicitationComplete needs the ElicitationID that the client was given")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if ss.Version() != Version20251125 {
		return nil
	}
	return ss.server.send(ctx, methodElicitationComplete, outgoing(ss, params))
}

// URLElicitationRequiredError returns the error, a *jsonrpc.Error with the code
// CodeURLElicitationRequired, that makes a client of 2025-11-25 ask its user to
// open the URLs and then repeat the request (client/elicitation, "URL
// Elicitation Required Error"). Other clients know no such code.
//
// An ElicitationID that is empty is sent as a random one; elicitations is not
// changed. Elicitations that are not of mode "url", or otherwise wrong, make it
// an error of code -32603 that says so.
func URLElicitationRequiredError(elicitations []*ElicitParams) error {
	data, err := appendElicitations(nil, elicitations)
	if err != nil {
		return &jsonrpc.Error{Code: jsonrpc.CodeInternal, Message: "URLElicitationRequiredError: " + err.Error()}
	}
	return &jsonrpc.Error{
		Code:    CodeURLElicitationRequired,
		Message: "URL elicitation required",
		Data:    json.RawMessage(data),
	}
}

func appendElicitations(dst []byte, elicitations []*ElicitParams) ([]byte, error) {
	if len(elicitations) == 0 {
		return nil, errors.New("there is no elicitation; give at least one")
	}
	dst = append(dst, `{"elicitations":[`...)
	for i, p := range elicitations {
		err := checkInputRequest(p)
		if err == nil && p.mode() != modeURL {
			err = errors.New(`Mode must be "url"`)
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		if err == nil {
			dst, err = p.appendParams(dst, rev20251125)
		}
		if err != nil {
			return nil, fmt.Errorf("elicitations[%d]: %w", i, err)
		}
	}
	return append(dst, `]}`...), nil
}

// mode is p.Mode, inferred when that is empty.
func (p *ElicitParams) mode() string {
	switch {
	case p.Mode != "":
		return p.Mode
	case p.URL != "" || p.ElicitationID != "":
		return modeURL
	}
	return modeForm
}

// appendParams appends p in the form of rev; see appendInputParams.
func (p *ElicitParams) appendParams(dst []byte, rev revision) ([]byte, error) {
	url := p.mode() == modeURL
	switch {
	case rev < rev20250618:
		return dst, newerOnly("elicitations", rev20250618, rev)
	case url && rev < rev20251125:
		return dst, newerOnly("URL elicitations", rev20251125, rev)
	}
	dst = append(dst, '{')
	if rev >= rev20251125 {
		dst = append(dst, `"mode":`...)
		dst = append(jsonrpc.AppendString(dst, p.mode()), ',')
	}
	dst = append(dst, `"message":`...)
	dst = jsonrpc.AppendString(dst, p.Message)
	if url {
		dst = append(dst, `,"url":`...)
		dst = jsonrpc.AppendString(dst, p.URL)
		if rev == rev20251125 {
			dst = append(dst, `,"elicitationId":`...)
			dst = jsonrpc.AppendString(dst, p.id())
		}
		return appendMeta(dst, p.Meta)
	}
	form, err := parseForm(p.RequestedSchema)
	if err != nil {
		return dst, err
	}
	if dst, err = form.appendSchema(append(dst, `,"requestedSchema":`...), rev); err != nil {
		return dst, fmt.Errorf("RequestedSchema: %w", err)
	}
	return appendMeta(dst, p.Meta)
}

// id is the ElicitationID, which 2025-11-25 requires.
func (p *ElicitParams) id() string {
	if p.ElicitationID != "" {
		return p.ElicitationID
	}
	return rand.Text()
}

// check is checkInputRequest.
func (p *ElicitParams) check() error {
	if p.Message == "" {
		return errors.New("Message is empty; tell the user what is asked for and why")
	}
	switch p.mode() {
	case modeForm:
		if p.URL != "" || p.ElicitationID != "" {
			return errors.New(`URL and ElicitationID must be empty in mode "form"; set Mode to "url" or leave it empty`)
		}
		form, err := parseForm(p.RequestedSchema)
		if err != nil {
			return err
		}
		return form.checkDefaults()
	case modeURL:
		if p.RequestedSchema != nil {
			return errors.New(`RequestedSchema must be nil in mode "url"; what the user does there is not sent through the client`)
		}
		return checkURL(p.URL)
	}
	return fmt.Errorf(`Mode is %q; set it to "form" or "url"`, p.Mode)
}

// checkURL reports whether a user can be sent to the address s. 2026-07-28,
// elicitation: the url "MUST contain a valid URL", and servers "MUST NOT
// provide a URL which is pre-authenticated to access a protected resource".
func checkURL(s string) error {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f {
			return errors.New("URL has a space, a control character or one that is not ASCII; percent-encode it")
		}
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("URL is not an absolute http or https URL; set it to one like https://example.com/connect")
	case u.User != nil:
		return errors.New("URL holds a user or password; let the page authenticate the user instead")
	}
	return nil
}

// needed is neededCapability.
func (p *ElicitParams) needed() *ElicitationCapabilities {
	if p.mode() == modeURL {
		return &ElicitationCapabilities{URL: &URLElicitationCapabilities{}}
	}
	return &ElicitationCapabilities{}
}

// parseResult decodes a client's answer to p.
//
// 2026-07-28, elicitation, "Response Actions": content is there only when a
// form was accepted. Clients that send it otherwise are not refused, but it is
// not passed on.
func (p *ElicitParams) parseResult(raw []byte) (*ElicitResult, error) {
	r := objectReader{obj: raw}
	res := &ElicitResult{Action: r.text("action"), Meta: r.meta()}
	switch res.Action {
	case actionAccept, actionDecline, actionCancel:
	default:
		r.fail("action", `"accept", "decline" or "cancel"`)
	}
	if r.err != nil || res.Action != actionAccept || p.mode() == modeURL {
		return res, r.err
	}
	content := r.raw("content")
	if content == nil {
		content = []byte("{}")
	}
	if !isObject(content) {
		return nil, errors.New("content must be an object")
	}
	form, err := parseForm(p.RequestedSchema)
	if err != nil {
		return nil, err
	}
	if res.Content, err = form.fill(content); err != nil {
		return nil, fmt.Errorf("content: %w", err)
	}
	return res, nil
}
