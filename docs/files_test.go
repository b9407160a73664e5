package docs_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"

	"millrace/server/mcp"
)

// addProject serves the files under a directory.
func addProject(s *mcp.Server, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	return s.AddDirectory(&mcp.Directory{
		URI: "file:///project/", Root: root, Name: "project", Description: "The files of the project.",
	})
}

func Example_directory() {
	s := newServer()
	if err := addProject(s, "testdata"); err != nil {
		fmt.Println(err)
	}
	talk(s,
		modern(1, "resources/read", `"uri":"file:///project/release-notes/style.md"`),
		modern(2, "resources/read", `"uri":"file:///project/release-notes"`),
		modern(3, "resources/read", `"uri":"file:///project/../docs_test.go"`),
	)
	// Output:
	// {"id":1,"result":{"contents":[{"uri":"file:///project/release-notes/style.md","mimeType":"text/markdown","text":"One line for each change, what the user sees first.\n"}],"ttlMs":0,"cacheScope":"private"}}
	// {"id":2,"result":{"contents":[{"uri":"file:///project/release-notes","mimeType":"text/uri-list","text":"file:///project/release-notes/SKILL.md\r\nfile:///project/release-notes/style.md\r\n"}],"ttlMs":0,"cacheScope":"private"}}
	// {"id":3,"error":{"code":-32602,"message":"Resource not found","data":{"uri":"file:///project/../docs_test.go"}}}
}

// addSkills serves every directory of files that is a skill.
func addSkills(s *mcp.Server, files fs.FS) error {
	found, err := fs.Glob(files, "*/SKILL.md")
	if err != nil {
		return err
	}
	for _, doc := range found {
		if err := s.AddSkill(files, path.Dir(doc)); err != nil {
			return err
		}
	}
	return nil
}

// digest finds what an example is not about.
var digest = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

func Example_skills() {
	s := newServer()
	root, err := os.OpenRoot("testdata")
	if err == nil {
		defer root.Close()
		err = addSkills(s, root.FS())
	}
	if err != nil {
		fmt.Println(err)
	}
	client := dial(s)
	defer client.close()
	client.send(modern(1, "skills/list", ""))
	show(digest.ReplaceAllString(client.read(), "sha256:..."))
	client.send(modern(2, "resources/read", `"uri":"skill://release-notes/style.md"`))
	show(client.read())
	// Output:
	// {"id":1,"result":{"skills":[{"uri":"skill://release-notes/SKILL.md","frontmatter":{"name":"release-notes","description":"Writes the notes of a release. Use it when somebody asks what has changed."},"resources":[{"uri":"skill://release-notes/SKILL.md","digest":"sha256:...","size":167},{"uri":"skill://release-notes/style.md","digest":"sha256:...","size":52}]}],"ttlMs":0,"cacheScope":"public"}}
	// {"id":2,"result":{"contents":[{"uri":"skill://release-notes/style.md","mimeType":"text/markdown","text":"One line for each change, what the user sees first.\n"}],"ttlMs":0,"cacheScope":"public"}}
}

const weatherPage = `<!doctype html><title>Weather</title><script src="https://cdn.example.com/sky.js"></script>`

// addWeather adds a tool and the page that shows its results.
func addWeather(s *mcp.Server) {
	s.AddApp(&mcp.App{
		URI: "ui://weather/sky", Name: "sky", HTML: weatherPage,
		CSP: mcp.AppCSP{Resource: []string{"https://cdn.example.com"}},
	})
	mcp.AddTool(s, s.AppTool("ui://weather/sky", &mcp.Tool{Name: "weather"}), weather)
}

type weatherResult struct {
	Sky string `json:"sky"`
}

// weather answers with data for the page, and with a text for who has none.
func weather(_ context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, weatherResult, error) {
	text := &mcp.TextContent{Text: "The sky is blue."}
	return &mcp.CallToolResult{Content: []mcp.Content{text}}, weatherResult{Sky: "blue"}, nil
}

func Example_apps() {
	s := newServer()
	addWeather(s)
	talk(s,
		modern(1, "tools/list", ""),
		modern(2, "resources/read", `"uri":"ui://weather/sky"`),
	)
	// Output:
	// {"id":1,"result":{"tools":[{"name":"weather","inputSchema":{"type":"object","additionalProperties":false},"outputSchema":{"type":"object","properties":{"sky":{"type":"string"}},"required":["sky"],"additionalProperties":false},"_meta":{"ui":{"resourceUri":"ui://weather/sky"}}}],"ttlMs":0,"cacheScope":"public"}}
	// {"id":2,"result":{"contents":[{"uri":"ui://weather/sky","mimeType":"text/html;profile=mcp-app","text":"<!doctype html><title>Weather</title><script src=\"https://cdn.example.com/sky.js\"></script>","_meta":{"ui":{"csp":{"resourceDomains":["https://cdn.example.com"]}}}}],"ttlMs":0,"cacheScope":"public"}}
}
