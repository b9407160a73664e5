package report

import (
	"fmt"
	"strings"

	"gonum.org/v1/plot/vg"
)

// Measures of a picture, in points.
const (
	pictureWidth vg.Length = 660
	margin       vg.Length = 18
	rowHeight    vg.Length = 21
	barHeight    vg.Length = 13
	gap          vg.Length = 8
)

// How text is written.
var (
	heading   = letter{13, true, ink}
	small     = letter{9.5, false, pale}
	panelHead = letter{10.5, true, ink}
	plainName = letter{10.5, false, ink}
	boldName  = letter{10.5, true, ink}
	strong    = letter{10.5, true, ink}
	weak      = letter{10.5, false, pale}
	shout     = letter{10.5, true, alarm}
	tickText  = letter{9, false, pale}
)

// picture is horizontal bars in one or more panels over one axis.
type picture struct {
	title, subtitle string
	panels          []panel
	axis            scale
	// origin is the value at which bars begin.
	origin float64
	tick   func(v float64) string
}

// panel is a group of bars under a title, which may be empty.
type panel struct {
	title string
	bars  []bar
}

// bar is the row of a subject. Behind the bar stand its value and the ratio, first what the picture is about.
type bar struct {
	name          string
	kind          Kind
	value         Spread
	known         bool
	first, second string
	shout         string
}

// scenarioPicture shows the main figure of s.
func (r *Run) scenarioPicture(s *Scenario) picture {
	p := picture{title: s.Title, tick: trimmed}
	var values []float64
	unit := s.Main.trait().scale
	group := panel{}
	for _, subject := range s.ranked(s.Main) {
		b := bar{name: subject.Name, kind: subject.Kind, shout: shortTrouble(subject, r.rounds(s))}
		if sp, ok := subject.Spread(s.Main); ok {
			b.known = true
			b.value = Spread{sp.Min * unit, sp.Median * unit, sp.Max * unit}
			b.first = s.Main.Format(sp.Median)
			values = append(values, b.value.Min, b.value.Median, b.value.Max)
		}
		if ratio, ok := s.Factor(s.Main, subject.Name); ok && len(s.Subjects) > 1 {
			b.second = factor("×", ratio)
		}
		group.bars = append(group.bars, b)
	}
	p.panels = []panel{group}
	p.axis = newScale(values)
	p.origin = p.axis.lo
	p.subtitle = s.caption(p.axis.log, r.rounds(s))
	return p
}

// caption says how to read the picture of s.
func (s *Scenario) caption(log bool, rounds int) string {
	parts := []string{s.Main.Title()}
	if unit := s.Main.Unit(); unit != "" {
		parts[0] += ", " + unit
	}
	if log {
		parts[0] += " (log scale)"
	}
	switch s.Main.Direction() {
	case Lower:
		parts = append(parts, "less is better")
	case Higher:
		parts = append(parts, "more is better")
	}
	if base := s.Base(); base != nil && len(s.Subjects) > 1 {
		parts = append(parts, "×: how many times better "+base.Name+" is")
	}
	if rounds > 1 {
		parts = append(parts, fmt.Sprintf("whiskers: least to most of %d rounds", rounds))
	}
	return strings.Join(parts, "  ·  ")
}

// shortTrouble is a word or two; the table has the whole story.
func shortTrouble(s *Subject, rounds int) string {
	answers, bad := s.wrong()
	switch {
	case bad > 0:
		return "! errors: " + Errors.Number(answers)
	case len(s.Rounds) == 0:
		return "! no result"
	case s.trouble(rounds) != "":
		return fmt.Sprintf("! %d of %d rounds", len(s.Rounds), max(rounds, len(s.Rounds)))
	}
	return ""
}

// mainScenarios are those of the overview: what a server of MCP does most.
func mainScenarios() []string { return []string{"http-modern", "http-legacy", "ws-1", "ws-16"} }

// overview shows CPU per message relative to the base for the main scenarios; ok is false when there is none.
func (r *Run) overview() (p picture, ok bool) {
	p = picture{
		title:    "Server CPU per message, relative to millrace",
		subtitle: "log scale  ·  to the right of × 1: needs more CPU than millrace, to the left: less",
		origin:   1,
		tick:     func(v float64) string { return "× " + trimmed(v) },
	}
	if r.Rounds > 1 {
		p.subtitle += fmt.Sprintf("  ·  whiskers: least to most of %d rounds", r.Rounds)
	}
	least, most := 1.0, 1.0
	for _, name := range mainScenarios() {
		s := r.Find(name)
		if s == nil {
			continue
		}
		bars := s.relativeBars(r.rounds(s))
		for _, b := range bars {
			if b.known && b.value.Min > 0 {
				least, most = min(least, b.value.Min), max(most, b.value.Max)
			}
		}
		if len(bars) > 0 {
			p.panels = append(p.panels, panel{s.Title, bars})
		}
	}
	p.axis = logScale(least, most*1.02)
	return p, len(p.panels) > 0
}

// relativeBars returns a bar for each subject with its CPU over that of the base; there are none without a base.
func (s *Scenario) relativeBars(rounds int) []bar {
	base := s.Base()
	if base == nil {
		return nil
	}
	unit, ok := base.Spread(CPU)
	if !ok || unit.Median == 0 {
		return nil
	}
	var bars []bar
	for _, subject := range s.ranked(CPU) {
		b := bar{name: subject.Name, kind: subject.Kind, shout: shortTrouble(subject, rounds)}
		if sp, ok := subject.Spread(CPU); ok {
			b.known = true
			b.value = Spread{sp.Min / unit.Median, sp.Median / unit.Median, sp.Max / unit.Median}
			b.first = factor("×", b.value.Median)
			b.second = CPU.Format(sp.Median)
		}
		bars = append(bars, b)
	}
	return bars
}

// svg draws p.
func (p picture) svg() ([]byte, error) {
	c := newCanvas()
	title := c.wrap(heading, p.title, pictureWidth-2*margin)
	subtitle := c.wrap(small, p.subtitle, pictureWidth-2*margin)
	top := margin + vg.Length(len(title))*16 + vg.Length(len(subtitle))*13 + 26
	c.open(pictureWidth, top+p.height()+14+margin)

	y := margin + 10
	for _, line := range title {
		c.write(heading, margin, y, 0, line)
		y += 16
	}
	for _, line := range subtitle {
		c.write(small, margin, y, 0, line)
		y += 13
	}
	p.legend(c, y+4)
	p.axis.left = margin + p.nameWidth(c) + gap
	p.axis.right = pictureWidth - margin - gap - p.textWidth(c)
	p.drawTicks(c, top+p.height())
	p.drawPanels(c, top)
	return c.bytes()
}

// height is that of all panels.
func (p *picture) height() vg.Length {
	var h vg.Length
	for _, g := range p.panels {
		h += g.headHeight() + vg.Length(len(g.bars))*rowHeight + 4
	}
	return h
}

func (g *panel) headHeight() vg.Length {
	if g.title == "" {
		return 0
	}
	return 26
}

// legend explains the colours of the kinds that occur.
func (p *picture) legend(c *canvas, y vg.Length) {
	x := margin
	for _, k := range []Kind{Ours, Peer, Floor} {
		if !p.has(k) {
			continue
		}
		name := kindTitle(k)
		c.rectangle(x, y-8, x+9, y+1, kindColor(k))
		c.write(small, x+13, y, 0, name)
		x += 13 + c.width(small, name) + 16
	}
}

func (p *picture) has(k Kind) bool {
	for _, g := range p.panels {
		for _, b := range g.bars {
			if b.kind == k {
				return true
			}
		}
	}
	return false
}

func kindTitle(k Kind) string {
	switch k {
	case Ours:
		return "Millrace"
	case Peer:
		return "peers"
	case Floor:
		return "floors: the transport alone, no MCP"
	}
	return string(k)
}

// letter is how the name of b is written.
func (b *bar) letter() letter {
	if b.kind == Ours {
		return boldName
	}
	return plainName
}

func (p *picture) nameWidth(c *canvas) (w vg.Length) {
	for _, g := range p.panels {
		for _, b := range g.bars {
			w = max(w, c.width(b.letter(), b.name))
		}
	}
	return w
}

// textWidth is the room that the text behind a bar needs at most.
func (p *picture) textWidth(c *canvas) (w vg.Length) {
	for _, g := range p.panels {
		for _, b := range g.bars {
			var row vg.Length
			for _, part := range b.parts() {
				row += c.width(part.letter, part.text) + gap
			}
			w = max(w, row)
		}
	}
	return w
}

// part is a piece of the text behind a bar.
type part struct {
	letter letter
	text   string
}

func (b *bar) parts() []part {
	var parts []part
	for _, t := range []part{{strong, b.first}, {weak, b.second}, {shout, b.shout}} {
		if t.text != "" {
			parts = append(parts, t)
		}
	}
	return parts
}

// drawTicks writes the values of the axis below y, leaving out those that would touch.
func (p *picture) drawTicks(c *canvas, y vg.Length) {
	free := vg.Length(0)
	for _, v := range p.axis.ticks() {
		x := p.axis.at(v)
		half := c.width(tickText, p.tick(v)) / 2
		if x-half < free {
			continue
		}
		c.write(tickText, x, y+9, 0.5, p.tick(v))
		free = x + half + gap
	}
}

// drawPanels draws the panels one below the other.
func (p *picture) drawPanels(c *canvas, y vg.Length) {
	for _, g := range p.panels {
		if g.title != "" {
			c.write(panelHead, margin, y+g.headHeight()-8, 0, g.title)
		}
		y += g.headHeight()
		bottom := y + vg.Length(len(g.bars))*rowHeight
		for _, v := range p.axis.ticks() {
			c.line(p.axis.at(v), y, p.axis.at(v), bottom, 0.75, gridline)
		}
		origin := p.axis.at(p.origin)
		c.line(origin, y, origin, bottom, 1, pale)
		for _, b := range g.bars {
			p.drawBar(c, b, y+rowHeight/2)
			y += rowHeight
		}
		y += 4
	}
}

// drawBar draws the row of b around the line at y.
func (p *picture) drawBar(c *canvas, b bar, y vg.Length) {
	base := y + 3.7
	c.write(b.letter(), p.axis.left-gap, base, 1, b.name)
	end := p.axis.at(p.origin)
	if b.known {
		from, to := end, p.axis.at(b.value.Median)
		left, right := min(from, to), max(from, to)
		if b.value.Median == p.origin && p.origin > p.axis.lo { // the base in the middle of an overview
			left, right = left-2, right+2
		}
		c.rectangle(left, y-barHeight/2, right, y+barHeight/2, kindColor(b.kind))
		p.drawWhisker(c, b.value, y)
		end = max(from, to, p.axis.at(b.value.Max))
	}
	x := end + gap
	for _, part := range b.parts() {
		c.write(part.letter, x, base, 0, part.text)
		x += c.width(part.letter, part.text) + gap
	}
}

// drawWhisker marks the range of the rounds, if it is wide enough to be seen.
func (p *picture) drawWhisker(c *canvas, sp Spread, y vg.Length) {
	left, right := p.axis.at(sp.Min), p.axis.at(sp.Max)
	if right-left < 1 {
		return
	}
	c.line(left, y, right, y, 1, ink)
	c.line(left, y-2.5, left, y+2.5, 1, ink)
	c.line(right, y-2.5, right, y+2.5, 1, ink)
}
