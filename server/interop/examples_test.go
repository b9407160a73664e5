package interop

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// example is one of the server examples of go-sdk, with what has to change for it to be a server of millrace. Their
// source is read from the module cache; nothing of it is ours.
type example struct {
	changes []change
	// serverOnly: the example talks to itself, and its half with the client is cut out too.
	serverOnly bool
	// tools are those that it lists over stdio; nil: it is built only.
	tools []string
}

// change replaces old, which must stand in a file exactly once; until cuts everything from old up to it ("EOF": to the
// end of the file).
type change struct{ file, old, until, new string }

const sdkImport = `"github.com/modelcontextprotocol/go-sdk/mcp"`

var (
	// Under another name the package server hides no variable of that name, which go-sdk's servers have.
	imports     = change{"main.go", sdkImport, "", "millrace \"millrace/server\"\n\t\"millrace/server/mcp\""}
	importsOnly = change{"main.go", sdkImport, "", `"millrace/server/mcp"`}
	runStdio    = change{"main.go", "server.Run(context.Background(), &mcp.StdioTransport{})", "", "millrace.ServeStdio(context.Background(), server)"}
	// The examples with a flag -http: two run lines, and the imports that only those need.
	handlerHTTP = change{"main.go", "\t\thandler := mcp.NewStreamableHTTPHandler(", "\t\t}, nil)\n", ""}
	runHTTP     = change{"main.go", "http.ListenAndServe(*httpAddr, handler)", "", "millrace.ListenAndServe(*httpAddr, server)"}
	logging     = change{"main.go", "\t\tt := &mcp.LoggingTransport{", "\n", ""}
	runLogged   = change{"main.go", "server.Run(context.Background(), t)", "", "millrace.ServeStdio(context.Background(), server)"}
	noHTTP      = change{"main.go", "\t\"net/http\"\n", "", ""}
	noOS        = change{"main.go", "\t\"os\"\n", "", ""}
)

const serve = "\tif err := millrace.ServeStdio(ctx, server); err != nil {\n\t\tlog.Fatal(err)\n\t}\n}\n"

// examples build after a change of the imports and of the run line, those with serverOnly without their client.
var examples = map[string]example{
	"hello":      {changes: []change{imports, runStdio}, tools: []string{"greet"}},
	"completion": {changes: []change{importsOnly}},
	"memory": {
		changes: []change{imports, {"kb.go", sdkImport, "", `"millrace/server/mcp"`}, handlerHTTP, runHTTP, logging, runLogged, noHTTP, noOS},
		tools: []string{
			"add_observations", "create_entities", "create_relations", "delete_entities", "delete_observations", "delete_relations",
			"open_nodes", "read_graph", "search_nodes",
		},
	},
	"sequentialthinking": {
		changes: []change{imports, handlerHTTP, runHTTP, logging, runLogged, noHTTP, noOS},
		tools:   []string{"continue_thinking", "review_thinking", "start_thinking"},
	},
	"toolschemas": {changes: []change{imports, runStdio}},
	"everything":  {changes: []change{imports, handlerHTTP, runHTTP, logging, runLogged, noOS}},
	"basic": {serverOnly: true, tools: []string{"greet"}, changes: []change{
		imports,
		{"main.go", "\tclientTransport, serverTransport := mcp.NewInMemoryTransports()\n", "", ""},
		{"main.go", "\tserverSession, err := server.Connect(", "EOF", serve},
		{"main.go", "\t\"fmt\"\n", "", ""},
	}},
	"middleware": {serverOnly: true, changes: []change{ // logs to standard output
		imports,
		{"main.go", "\t// Create client-server connection for demonstration", "EOF", "\tmillrace.ServeStdio(context.Background(), server)\n}\n"},
	}},
	"custom-method": {serverOnly: true, tools: []string{}, changes: []change{
		imports,
		{"main.go", "\tct, st := mcp.NewInMemoryTransports()", "func knownPhrases()", serve + "\n"},
	}},
}

// otherExamples are those that are no servers of ours, and why.
var otherExamples = map[string]string{
	"elicitation":      "asks the session that Server.Connect returns from main: a program that is server and client in one",
	"custom-transport": "implements a transport; Server.RunStdio takes any pair of byte streams",
	"sse":              "selects a server by path; SSE is a transport of package server",
	"distributed":      "starts itself as several processes behind a proxy of net/http",
	"proxy":            "is a client of another server",
}

// badNames are examples that build and that end when they start: AddTool refuses white space in the name of a tool,
// which 2025-11-25 says there "SHOULD NOT" be, and go-sdk logs it.
var badNames = map[string]string{
	"toolschemas": `tool name "simple greeting" contains white space`,
	"everything":  `tool name "greet (structured)" contains white space`,
}

func TestGoSDKExamples(t *testing.T) {
	sdk := sdkDir(t)
	checkExamples(t, sdk)
	dir := t.TempDir()
	for name, e := range examples {
		rewrite(t, filepath.Join(sdk, "examples/server", name), filepath.Join(dir, name), e.changes)
	}
	bin := buildAgainstMillrace(t, dir)
	var unchanged, halves []string
	for _, name := range slices.Sorted(maps.Keys(examples)) {
		if examples[name].serverOnly {
			halves = append(halves, name)
		} else {
			unchanged = append(unchanged, name)
		}
		if want := badNames[name]; want != "" {
			t.Run(name, func(t *testing.T) { endsWith(t, filepath.Join(bin, name), want) })
		}
		if examples[name].tools != nil {
			t.Run(name, func(t *testing.T) { callExample(t, name, filepath.Join(bin, name)) })
		}
	}
	if want := []string{"completion", "everything", "hello", "memory", "sequentialthinking", "toolschemas"}; !slices.Equal(unchanged, want) {
		t.Errorf("unchanged but for import and run line: %v, want %v", unchanged, want)
	}
	t.Logf("ran: go-sdk's examples build with another import and run line: %v; their server's half: %v; not: %v",
		unchanged, halves, slices.Sorted(maps.Keys(otherExamples)))
}

// checkExamples insists that every example is accounted for.
func checkExamples(t *testing.T, sdk string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(sdk, "examples/server"))
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, e := range entries {
		have = append(have, e.Name())
	}
	known := append(slices.Collect(maps.Keys(examples)), slices.Collect(maps.Keys(otherExamples))...)
	slices.Sort(known)
	if !slices.Equal(have, known) {
		t.Errorf("go-sdk has the server examples %v, known are %v", have, known)
	}
}

func sdkDir(t *testing.T) string {
	t.Helper()
	goRun(t, ".", "mod", "download", "github.com/modelcontextprotocol/go-sdk")
	return strings.TrimSpace(goRun(t, ".", "list", "-m", "-f", "{{.Dir}}", "github.com/modelcontextprotocol/go-sdk"))
}

// rewrite copies an example without its tests, and changes it.
func rewrite(t *testing.T, from, to string, changes []change) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	tests, _ := filepath.Glob(filepath.Join(to, "*_test.go"))
	for _, test := range tests {
		os.Remove(test)
	}
	for _, c := range changes {
		file := filepath.Join(to, c.file)
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(source, []byte(c.old)); n != 1 {
			t.Fatalf("%s: %q stands there %d times, want once", file, c.old, n)
		}
		head, tail, _ := strings.Cut(string(source), c.old)
		switch c.until {
		case "":
		case "EOF":
			tail = ""
		default:
			at := strings.Index(tail, c.until)
			if at < 0 {
				t.Fatalf("%s: no %q behind %q", file, c.until, c.old)
			}
			tail = tail[at:]
			if c.new == "" { // a statement: its end goes with it
				tail = strings.TrimPrefix(tail, c.until)
			}
		}
		// What the module cache holds is read-only, also as a copy.
		os.Remove(file)
		if err := os.WriteFile(file, []byte(head+c.new+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// buildAgainstMillrace builds all programs below dir, and returns where they are.
func buildAgainstMillrace(t *testing.T, dir string) (bin string) {
	t.Helper()
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"go.mod": []byte("module examples\n\ngo 1.26.0\n"), "go.sum": sums} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	goRun(t, dir, "mod", "edit", "-require", "millrace@v0.0.0", "-replace", "millrace="+root)
	bin = filepath.Join(t.TempDir(), "bin")
	goRun(t, dir, "build", "-mod=mod", "-o", bin+"/", "./...")
	return bin
}

// callExample lists an example's tools with go-sdk's client, and calls one.
func callExample(t *testing.T, name, bin string) {
	for _, revision := range []string{modern, "2025-11-25"} {
		c := connect(t, &mcp.CommandTransport{Command: exec.Command(bin)}, revision)
		switch name {
		case "custom-method":
			callCustom(t, bin, revision)
			continue
		case "hello", "basic":
			if _, got := call(t, c, "greet", map[string]any{"name": "Ada"}); got != "Hi Ada" {
				t.Errorf("%s: greet = %q, want %q", revision, got, "Hi Ada")
			}
		case "memory":
			if _, got := call(t, c, "read_graph", nil); got != "Graph read successfully" {
				t.Errorf("%s: read_graph = %q", revision, got)
			}
		case "sequentialthinking":
			if _, got := call(t, c, "start_thinking", map[string]any{"problem": "P = NP?", "sessionId": "s"}); !strings.Contains(got, "P = NP?") {
				t.Errorf("%s: start_thinking = %q", revision, got)
			}
		}
		list, err := c.ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var tools []string
		for _, tool := range list.Tools {
			tools = append(tools, tool.Name)
		}
		if want := examples[name].tools; !slices.Equal(tools, want) {
			t.Errorf("%s: tools %v, want %v", revision, tools, want)
		}
	}
}

type (
	translateParams struct {
		mcp.ParamsBase
		Text string `json:"text"`
	}
	translateResult struct {
		mcp.ResultBase
		Latin string `json:"latin"`
	}
)

// callCustom calls a custom method of ours with go-sdk's client for such.
func callCustom(t *testing.T, bin, revision string) {
	sdk := mcp.NewClient(&mcp.Implementation{Name: "interop", Version: "1.0.0"}, nil)
	if err := mcp.AddSendingCustomMethod[*translateParams, *translateResult](sdk, "latin/translate"); err != nil {
		t.Fatal(err)
	}
	c, err := sdk.Connect(t.Context(), &mcp.CommandTransport{Command: exec.Command(bin)}, &mcp.ClientSessionOptions{ProtocolVersion: revision})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := mcp.CallCustomMethod[*translateParams, *translateResult](t.Context(), c, "latin/translate", &translateParams{Text: "Truth"})
	if err != nil || got.Latin != "veritas" {
		t.Errorf("%s: latin/translate = %+v, %v, want veritas", revision, got, err)
	}
}

// endsWith runs a program that fails, and compares what it says.
func endsWith(t *testing.T, bin, want string) {
	out, err := exec.CommandContext(t.Context(), bin).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte(want)) {
		t.Errorf("%v, %s, want %q", err, out, want)
	}
}

// missingNames are the identifiers that go-sdk's server examples and docs/server.md take from its package mcp, and that
// server/mcp does not have. server/mcp/names_test.go pins those that it has.
var missingNames = map[string]string{
	"StdioTransport":                     "server.ServeStdio",
	"NewStreamableHTTPHandler":           "server.Handler, server.ListenAndServe",
	"StreamableHTTPOptions":              "fields of server.Server",
	"NewSSEHandler":                      "server.Server speaks HTTP+SSE too",
	"LoggingTransport":                   "server.Server.Hooks",
	"Transport":                          "server.Server.RunStdio takes any pair of byte streams",
	"Connection":                         "server.Server.RunStdio takes any pair of byte streams",
	"NewInMemoryTransports":              "mcptest.NewClient",
	"NewSchemaCache":                     "one Server serves all clients: its schemas are compiled once",
	"CallToolParamsFor":                  "go-sdk has it no more",
	"NewClient":                          "a client's",
	"ClientOptions":                      "a client's",
	"StreamableClientTransport":          "a client's",
	"AddSendingCustomMethod":             "a client's",
	"CallCustomMethod":                   "a client's",
	"ElicitRequest":                      "a client's",
	"LoggingMessageRequest":              "a client's",
	"ToolListChangedRequest":             "a client's",
	"PromptListChangedRequest":           "a client's",
	"ResourceListChangedRequest":         "a client's",
	"ResourceUpdatedNotificationRequest": "a client's",
}

func TestGoSDKNames(t *testing.T) {
	sdk := sdkDir(t)
	sources, err := filepath.Glob(filepath.Join(sdk, "examples/server/*/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, file := range append(sources, filepath.Join(sdk, "docs/server.md")) {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\bmcp\.([A-Z][A-Za-z0-9]*)`).FindAllSubmatch(source, -1) {
			used[string(m[1])] = true
		}
	}
	ours := exported(t, filepath.Join(root, "server/mcp"))
	have := 0
	for name := range used {
		switch _, known := missingNames[name]; {
		case ours[name] && known:
			t.Errorf("mcp.%s exists, and is listed as missing", name)
		case ours[name]:
			have++
		case !known:
			t.Errorf("mcp.%s does not exist", name)
		}
	}
	for name := range missingNames {
		if !used[name] {
			t.Errorf("mcp.%s is listed as missing, and go-sdk does not use it", name)
		}
	}
	if have < 52 {
		t.Errorf("%d of %d names exist, want at least 52", have, len(used))
	}
	t.Logf("ran: of %d names that go-sdk's server examples use %d exist", len(used), have)
}

// exported are the exported identifiers of a package, without methods.
func exported(t *testing.T, dir string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				names[d.Name.Name] = d.Recv == nil || names[d.Name.Name]
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						names[s.Name.Name] = true
					case *ast.ValueSpec:
						for _, name := range s.Names {
							names[name.Name] = true
						}
					}
				}
			}
		}
	}
	return names
}
