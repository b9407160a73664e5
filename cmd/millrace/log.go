package main

import (
	"io"
	"log/slog"
)

type logger = *slog.Logger

// logger builds the logger that the flags describe.
func (f *logFlags) logger(w io.Writer) logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(f.LogLevel)) // the flag accepts nothing else
	opts := &slog.HandlerOptions{Level: level}
	if f.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
