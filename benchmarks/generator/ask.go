package generator

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"millrace/benchmarks/client"
)

// Mark stands in the parameters of an Ask where each connection puts its own number, so that an answer that went to
// the wrong connection is found. The letter keeps it from being found inside of an id.
const Mark = "m0000000"

// Ask is a request that connections repeat.
type Ask struct {
	// Method is the JSON-RPC method, Name what Mcp-Name says of it (the tool), if anything.
	Method, Name string
	// Params are the members of params without _meta, for example `"name":"echo","arguments":{}`.
	Params string
	// Progress is what the last progress notification before the answer must report; 0 when none is asked for.
	Progress int
	// Check tells what is wrong with the answer to a connection with the given mark.
	Check func(a *client.Answer, mark string) error

	// Fixed is for servers that answer everything with the same bytes, Mirror for those that send the request back.
	Fixed, Mirror bool
}

// Echo calls tool, which sends its argument text back, with size bytes of text.
func Echo(tool string, size int) Ask {
	const words = " fifty bytes of text, as an agent would send it; "
	rest := strings.Repeat(words, size/len(words)+1)[:max(0, size-len(Mark))]
	a := call(tool, `{"text":"`+Mark+rest+`"}`)
	a.Check = func(a *client.Answer, mark string) error {
		if string(a.Text) != mark+rest {
			return fmt.Errorf("echoed %.100q", a.Text)
		}
		return succeeded(a)
	}
	return a
}

// Burn calls the tool that computes for ms milliseconds, Sleep the one that waits.
func Burn(ms float64) Ask { return timed("burn", ms) }

// Sleep calls the tool that waits for ms milliseconds.
func Sleep(ms float64) Ask { return timed("sleep", ms) }

func timed(tool string, ms float64) Ask {
	return done(call(tool, `{"ms":`+strconv.FormatFloat(ms, 'f', -1, 64)+`}`))
}

// Report calls the tool that reports progress so many times.
func Report(steps int) Ask {
	a := done(call("progress", `{"steps":`+strconv.Itoa(steps)+`}`))
	a.Progress = steps
	return a
}

// Touch calls the tool that changes the resource that Listeners watch.
func Touch() Ask { return done(call("touch", `{}`)) }

func call(tool, args string) Ask {
	return Ask{Method: "tools/call", Name: tool, Params: `"name":"` + tool + `","arguments":` + args}
}

func done(a Ask) Ask {
	a.Check = func(a *client.Answer, _ string) error {
		if string(a.Text) != "done" {
			return fmt.Errorf("text %.100q", a.Text)
		}
		return succeeded(a)
	}
	return a
}

func succeeded(a *client.Answer) error {
	if a.ToolError {
		return fmt.Errorf("tool error: %.100q", a.Text)
	}
	return nil
}

// Ping asks for nothing. It is part of the older revisions only.
func Ping() Ask {
	return Ask{Method: "ping", Check: func(a *client.Answer, _ string) error {
		if len(a.Result) == 0 || a.Result[0] != '{' {
			return fmt.Errorf("result %.100q", a.Result)
		}
		return nil
	}}
}

// ListTools asks for the tools, one of which must be echo.
func ListTools() Ask {
	return Ask{Method: "tools/list", Check: func(a *client.Answer, _ string) error {
		var list struct{ Tools []struct{ Name string } }
		if err := json.Unmarshal(a.Result, &list); err != nil {
			return err
		}
		for _, t := range list.Tools {
			if t.Name == "echo" {
				return nil
			}
		}
		return errors.New("no tool echo in the list")
	}}
}

// watched is the resource that Touch changes.
const watched = "bench://watched"

// watchedMember is how a notification names it.
var watchedMember = []byte(`"uri":"` + watched + `"`)

// Listen subscribes to the resource that Touch changes.
func Listen() Ask {
	return Ask{
		Method: "subscriptions/listen",
		Params: `"notifications":{"resourceSubscriptions":["` + watched + `"]}`,
	}
}

// ToFixed is a for a server that answers everything with the same bytes.
func (a Ask) ToFixed() Ask {
	a.Fixed = true
	a.Check = func(a *client.Answer, _ string) error { return succeeded(a) }
	return a
}

// ToMirror is a for a server that sends every message back.
func (a Ask) ToMirror() Ask {
	a.Mirror = true
	return a
}

// body renders the request with the first id and Mark.
func (a *Ask) body(era client.Era) []byte {
	b := append([]byte(nil), `{"jsonrpc":"2.0","id":`+firstIDText+`,"method":"`+a.Method+`","params":{`+a.Params...)
	if a.Params != "" && (era == client.Modern || a.Progress > 0) {
		b = append(b, ',')
	}
	return append(client.AppendMeta(b, era, a.Progress > 0, firstID), "}}"...)
}
