package main

import (
	"embed"
	"io/fs"

	"millrace/server/mcp"
)

// skillFiles are directories with a SKILL.md each.
//
//go:embed skills
var skillFiles embed.FS

// addSkills serves the skills extension: know-how for models, as files that are
// listed, described by their front matter, and read like resources.
func addSkills(s *mcp.Server) {
	dirs, err := fs.Glob(skillFiles, "skills/*")
	if err != nil {
		panic(err)
	}
	for _, dir := range dirs {
		if err := s.AddSkill(skillFiles, dir); err != nil {
			panic(err) // the files are part of the program
		}
	}
}
