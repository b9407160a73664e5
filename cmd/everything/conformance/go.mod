module millrace/cmd/everything/conformance

go 1.26.0
