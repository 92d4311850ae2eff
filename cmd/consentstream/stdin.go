package main

import (
	"context"
	"io"
)

// until reads from r until ctx ends: a read of a terminal, or of a pipe to which
// nobody writes, would outlast every signal. r is read ahead, and goes on being
// read in the background where ctx has ended: nothing else can read it then.
func until(ctx context.Context, r io.Reader) io.Reader {
	out, in := io.Pipe()
	go func() {
		_, err := io.Copy(in, r)
		in.CloseWithError(err) // nil is the end of r
	}()
	context.AfterFunc(ctx, func() { in.CloseWithError(context.Cause(ctx)) })
	return out
}
