module millrace/benchmarks

go 1.26.0

replace millrace => ../

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
