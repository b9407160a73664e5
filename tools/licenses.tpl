# Licences

What is linked into `millrace` for linux/amd64 (arm64 links less): modules, or the part of a module that is used.
Millrace itself is under [Apache-2.0](../LICENSE); the Go runtime and standard library are under BSD-3-Clause.

`make licenses` writes this page from what go-licenses finds in the sources, and fails for a licence that the Makefile does not allow.
`go test ./docs` fails when modules and versions are not those of the build.

| linked | version | licence |
|---|---|---|
{{range .}}| {{.Name}} | {{.Version}} | {{.LicenseName}} |
{{end}}
What the tool does not see: the files of go.yaml.in/yaml that were not ported from C are under Apache-2.0, and parts of
github.com/bytedance/sonic were taken from others, under Apache-2.0, BSD-3-Clause, MIT and BSL-1.0 (its folder `licenses`).
