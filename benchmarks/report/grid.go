package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// grid is a table before it is laid out, for a terminal or as Markdown. The first left columns are set flush left,
// the others flush right.
type grid struct {
	head []string
	left int
	rows []gridRow
}

// gridRow is a row; alarm is what a reader must not overlook about it.
type gridRow struct {
	cells []string
	alarm string
}

func (g *grid) add(alarm string, cells ...string) {
	g.rows = append(g.rows, gridRow{cells, alarm})
}

// widths returns the number of characters that each column needs, at least least.
func (g *grid) widths(least int) []int {
	w := make([]int, len(g.head))
	for i, h := range g.head {
		w[i] = max(least, utf8.RuneCountInString(h))
	}
	for _, r := range g.rows {
		for i, c := range r.cells {
			w[i] = max(w[i], utf8.RuneCountInString(c))
		}
	}
	return w
}

// line joins cells, each padded to its width.
func (g *grid) line(cells []string, widths []int, between string) string {
	padded := make([]string, len(cells))
	for i, c := range cells {
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
		if i < g.left {
			padded[i] = c + pad
		} else {
			padded[i] = pad + c
		}
	}
	return strings.Join(padded, between)
}

// writeText writes g for a terminal, with the alarms beneath their rows.
func (g *grid) writeText(w io.Writer) error {
	var b bytes.Buffer
	widths := g.widths(0)
	put := func(cells []string) {
		b.WriteString(strings.TrimRight(g.line(cells, widths, "  "), " ") + "\n")
	}
	put(g.head)
	for _, r := range g.rows {
		put(r.cells)
		if r.alarm != "" {
			fmt.Fprintf(&b, "  ! %s\n", r.alarm)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// writeMarkdown writes g as a Markdown table. Rows with an alarm are marked, and the alarms listed below the table.
func (g *grid) writeMarkdown(b *bytes.Buffer) {
	escaped := &grid{head: g.head, left: g.left}
	for _, r := range g.rows {
		cells := make([]string, len(r.cells))
		for i, c := range r.cells {
			cells[i] = strings.ReplaceAll(c, "|", `\|`)
		}
		if r.alarm != "" {
			cells[0] += " **!**"
		}
		escaped.add("", cells...)
	}
	widths := escaped.widths(3)
	put := func(cells []string) { fmt.Fprintf(b, "| %s |\n", escaped.line(cells, widths, " | ")) }
	put(g.head)
	put(rules(widths, g.left))
	for _, r := range escaped.rows {
		put(r.cells)
	}
	g.writeAlarms(b)
}

// rules returns the second line of a Markdown table, which aligns the columns.
func rules(widths []int, left int) []string {
	cells := make([]string, len(widths))
	for i, w := range widths {
		cells[i] = strings.Repeat("-", w)
		if i >= left {
			cells[i] = cells[i][1:] + ":"
		}
	}
	return cells
}

func (g *grid) writeAlarms(b *bytes.Buffer) {
	first := true
	for _, r := range g.rows {
		if r.alarm == "" {
			continue
		}
		if first {
			b.WriteString("\n")
			first = false
		}
		fmt.Fprintf(b, "- **! %s**: %s\n", r.cells[0], r.alarm)
	}
}
