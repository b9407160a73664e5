package client

import (
	"fmt"
	"strconv"
)

// Answer is what a load program wants to know of a message that a server sent: an answer to tools/call, an error,
// or a progress notification. Parse reuses its memory.
type Answer struct {
	// ID is the id of the answered request; HasID is false for notifications and for errors without id.
	ID    int64
	HasID bool
	// Method is the method of a notification or of a request from the server, empty for answers. It aliases the message.
	Method []byte
	// Failed tells that the message is an error; Code and Message are its members. Message is raw JSON.
	Failed  bool
	Code    int
	Message []byte
	// Result tells that the message has a result. It aliases the message.
	Result []byte
	// ToolError is result.isError, Text the text of result.content[0], Structured the raw result.structuredContent.
	ToolError  bool
	Text       []byte
	Structured []byte
	// Token and Progress are the members of a progress notification.
	Token    int64
	Progress float64
}

// Parse reads one message. Structured, Message and Method alias b; Text is the Answer's own until the next Parse.
func (a *Answer) Parse(b []byte) error {
	*a = Answer{Text: a.Text[:0]}
	err := members(b, func(key, value []byte) (err error) {
		switch string(key) {
		case "id":
			// JSON-RPC 2.0 section 5 has "id": null on an error whose request could not be read.
			if string(value) != "null" {
				a.HasID = true
				a.ID, err = strconv.ParseInt(string(value), 10, 64)
			}
		case "method":
			if len(value) >= 2 {
				a.Method = value[1 : len(value)-1]
			}
		case "params":
			err = a.params(value)
		case "result":
			a.Result = value
			err = a.result(value)
		case "error":
			a.Failed = true
			err = a.failure(value)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%w in %.200q", err, b)
	}
	if a.Method == nil && a.Failed == (a.Result != nil) {
		return fmt.Errorf("client: message with both or neither of result and error: %.200q", b)
	}
	return nil
}

func (a *Answer) result(b []byte) error {
	return members(b, func(key, value []byte) error {
		switch string(key) {
		case "isError":
			a.ToolError = string(value) == "true"
		case "structuredContent":
			a.Structured = value
		case "content":
			item, err := first(value)
			if err != nil || item == nil {
				return err
			}
			return a.content(item)
		}
		return nil
	})
}

func (a *Answer) content(b []byte) error {
	return members(b, func(key, value []byte) (err error) {
		if string(key) == "text" {
			a.Text, err = appendUnquoted(a.Text, value)
		}
		return err
	})
}

func (a *Answer) failure(b []byte) error {
	return members(b, func(key, value []byte) (err error) {
		switch string(key) {
		case "code":
			a.Code, err = strconv.Atoi(string(value))
		case "message":
			a.Message = value
		}
		return err
	})
}

// params reads a progress notification. What other messages carry there is ignored.
func (a *Answer) params(b []byte) error {
	if b[0] != '{' {
		return nil
	}
	return members(b, func(key, value []byte) error {
		switch string(key) {
		case "progressToken":
			a.Token, _ = strconv.ParseInt(string(value), 10, 64)
		case "progress":
			a.Progress, _ = strconv.ParseFloat(string(value), 64)
		}
		return nil
	})
}
