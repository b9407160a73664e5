// Package limit bounds how often somebody may do something: a rate for each key,
// in a table whose size does not depend on how many keys there are. It starts no
// goroutine and asks for no time: now is an argument.
package limit
