package millrace

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// imports is the allowed import graph of our own packages, a statement of
// policy: a package may import what stands behind it, and nothing else of ours.
// Arrows point down the way of a message; see ARCHITECTURE.md.
var imports = map[string][]string{
	"codec/http1":          {},
	"codec/websocket":      {},
	"codec/proxy":          {},
	"codec/sse":            {},
	"codec/jsonrpc":        {},
	"pool":                 {},
	"pool/buffer":          {},
	"loop":                 {"codec/http1", "codec/proxy", "codec/websocket", "pool/buffer"},
	"loop/looptest":        {"loop", "codec/http1", "codec/websocket", "pool/buffer"},
	"loop/looptest/clock":  {},
	"server/reload":        {},
	"server/cert":          {"server/reload"},
	"server/cert/certtest": {},
	"server/auth":          {"server/reload"},
	"server/limit":         {},
	"server/seal":          {"server/reload"},
	"server/metrics":       {},
	"server/session":       {"server/seal"},
	"server/mcp":           {"codec/jsonrpc", "server/auth", "server/seal", "server/mcp/schema"},
	"server/mcp/schema":    {},
	"server/mcptest":       {"codec/jsonrpc", "server/auth", "server/mcp"},
	"server/taskstore":     {"server/mcp"},
	"server/transport":     {"loop", "pool/buffer", "codec/http1", "codec/websocket", "codec/sse", "codec/jsonrpc", "server/session", "server/auth", "server/limit"},
	"server":               {"loop", "pool", "pool/buffer", "codec/http1", "codec/websocket", "codec/jsonrpc", "server/mcp", "server/mcp/schema", "server/transport", "server/session", "server/auth", "server/limit", "server/seal", "server/metrics"},
	"cmd/millrace":         {"*"},
	// The example of everything uses what everybody can use.
	"cmd/everything": {"server", "server/mcp", "codec/jsonrpc"},
}

// only names the packages that may import a package from outside.
var only = map[string][]string{
	"github.com/panjf2000/gnet/v2":             {"loop"},
	"github.com/gobwas/ws":                     {"codec/websocket"},
	"github.com/bytedance/sonic":               {"server/mcp"},
	"github.com/valyala/bytebufferpool":        {"pool/buffer"},
	"github.com/google/jsonschema-go":          {"server/mcp", "server/mcp/schema"},
	"github.com/santhosh-tekuri/jsonschema/v6": {"server/mcp/schema"},
	"github.com/yosida95/uritemplate/v3":       {"server/mcp"},
	"go.yaml.in/yaml/v3":                       {"server/mcp"},
	"github.com/alecthomas/kong":               {"cmd/millrace"},
	"go.uber.org/automaxprocs":                 {"server"},
	"github.com/KimMachineGun/automemlimit":    {"server"},
	"golang.org/x/sys":                         {"loop"},
	"github.com/golang-jwt/jwt/v5":             {"server/auth"},
	"net":                                      {"loop", "server", "server/auth", "cmd/millrace"},
	"net/http":                                 {"server", "server/auth", "server/transport"},
	"os/exec":                                  {},
}

// sansIO packages turn bytes into values: no socket, no goroutine, no clock.
var sansIO = []string{"codec/http1", "codec/proxy", "codec/websocket", "codec/sse", "codec/jsonrpc"}

func TestImports(t *testing.T) {
	seen := map[string]bool{}
	eachFile(t, func(pkg, file string, imported []string) {
		seen[pkg] = true
		allowed, known := imports[pkg]
		if !known {
			t.Errorf("%s: package %s is not in the import map of deps_test.go", file, pkg)
			return
		}
		for _, imp := range imported {
			if ours, ok := strings.CutPrefix(imp, "millrace/"); ok {
				if !slices.Contains(allowed, ours) && !slices.Contains(allowed, "*") {
					t.Errorf("%s: package %s must not import %s", file, pkg, ours)
				}
				continue
			}
			for outside, users := range only {
				if imp == outside || strings.HasPrefix(imp, outside+"/") && strings.Contains(outside, ".") {
					if !slices.Contains(users, pkg) {
						t.Errorf("%s: package %s must not import %s: only %v may", file, pkg, imp, users)
					}
				}
			}
		}
	})
	for pkg := range imports {
		if !seen[pkg] {
			t.Errorf("the import map of deps_test.go names package %s, which does not exist", pkg)
		}
	}
}

// TestSansIO keeps the codecs free of what would make them untestable.
func TestSansIO(t *testing.T) {
	forbidden := []string{"net", "os", "sync", "sync/atomic", "context", "log/slog"}
	eachFile(t, func(pkg, file string, imported []string) {
		if !slices.Contains(sansIO, pkg) {
			return
		}
		for _, imp := range imported {
			if slices.Contains(forbidden, imp) {
				t.Errorf("%s: codec %s must not import %s", file, pkg, imp)
			}
		}
	})
}

// TestNoCgo: nothing but the standard library uses cgo, and that does without when it
// must. So the daemon can be built with CGO_ENABLED=0 and lacks nothing.
func TestNoCgo(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if and .CgoFiles (not .Standard)}}{{.ImportPath}}{{end}}", "./cmd/millrace")
	// With 0 no file would count as one of cgo.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if users := strings.Fields(string(out)); len(users) > 0 {
		t.Errorf("cgo is used by %v", users)
	}
}

// eachFile visits the Go files of this module that are not tests.
func eachFile(t *testing.T, visit func(pkg, file string, imported []string)) {
	t.Helper()
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skipDir(file, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(fset, file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		var imported []string
		for _, s := range f.Imports {
			p, err := strconv.Unquote(s.Path.Value)
			if err != nil {
				return err
			}
			imported = append(imported, p)
		}
		visit(path.Dir(filepath.ToSlash(file)), file, imported)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// skipDir leaves out what belongs to other modules or to no module.
func skipDir(file, name string) bool {
	switch filepath.ToSlash(file) {
	case "benchmarks", "server/interop", "server/auth/oidctest", "cmd/everything/conformance", "bin", "out":
		return true
	}
	return name == "testdata" || name == "node_modules" || name != "." && strings.HasPrefix(name, ".")
}
