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
// listed, described by their front matter, and read like resources. Their URIs
// begin with skill:// and the path in the file system, whose root is therefore
// moved: skill://release-notes/SKILL.md.
func addSkills(s *mcp.Server) {
	files, err := fs.Sub(skillFiles, "skills")
	if err != nil {
		panic(err)
	}
	names, err := fs.Glob(files, "*")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		if err := s.AddSkill(files, name); err != nil {
			panic(err) // the files are part of the program
		}
	}
}
