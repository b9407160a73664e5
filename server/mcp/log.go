package mcp

import (
	"log/slog"
	"strconv"
)

// attrs describes c for a log line, without its arguments.
func (c *Call) attrs(err error) []slog.Attr {
	attrs := []slog.Attr{slog.String("method", c.Method)}
	if c.tool != nil {
		attrs = append(attrs, slog.String("tool", c.tool.tool.Name))
	}
	if len(c.ID) > 0 {
		attrs = append(attrs, slog.String("id", strconv.Quote(string(c.ID))))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("err", err))
	}
	return attrs
}
