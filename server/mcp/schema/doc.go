// Package schema is everything the server knows about the JSON Schemas of
// tools: inference from Go types, compilation with static bounds, validation
// and defaults on every call, and the linter that runs at registration. It
// never opens a file or a connection, and it never trusts a schema: what
// could cost exponential time is refused when the tool is registered. Package
// mcp calls it.
//
// Two engines give the verdicts. Schemas made of the everyday keywords are
// compiled to a validator that reads the raw JSON once and allocates nothing
// when it is valid. Every other schema goes to
// github.com/santhosh-tekuri/jsonschema, which is also the oracle of the
// native engine in the fuzz tests. `format` is an annotation in both, in every
// dialect. Regular expressions are RE2.
package schema
