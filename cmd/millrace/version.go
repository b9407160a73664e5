package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"millrace/server/mcp"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version string

// buildVersion is the release, or what the build remembers of its commit.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return develVersion(info.Settings)
	}
	return "devel"
}

// develVersion names a commit, and says when the files were not those of the commit.
func develVersion(settings []debug.BuildSetting) string {
	revision, modified := "", ""
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			revision = "-" + s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "-modified"
		}
	}
	return "devel" + revision + modified
}

type versionCmd struct {
	JSON bool `help:"Print JSON."`
}

// Run implements the version command.
func (c *versionCmd) Run(e *env) error {
	if !c.JSON {
		_, err := fmt.Fprintf(e.stdout, "millrace %s %s %s/%s\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	}
	return json.NewEncoder(e.stdout).Encode(map[string]any{
		"version": buildVersion(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
		"protocolVersions": mcp.SupportedVersions(),
	})
}
