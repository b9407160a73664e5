package report

import (
	"encoding/xml"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// written is a text of a picture and where it stands; y grows downwards.
type written struct {
	text                string
	left, right, top, y float64
}

// sheet is what a test looks at in a picture.
type sheet struct {
	width, height float64
	texts         []written
}

func (s *sheet) has(text string) bool {
	return slices.ContainsFunc(s.texts, func(w written) bool { return w.text == text })
}

// parse reads an SVG as the canvas writes it.
func parse(t *testing.T, svg []byte) *sheet {
	t.Helper()
	var doc struct {
		ViewBox string `xml:"viewBox,attr"`
		Texts   []struct {
			X      float64 `xml:"x,attr"`
			Y      float64 `xml:"y,attr"`
			Length float64 `xml:"textLength,attr"`
			Style  string  `xml:"style,attr"`
			Text   string  `xml:",chardata"`
		} `xml:"g>text"`
	}
	if err := xml.Unmarshal(svg, &doc); err != nil {
		t.Fatalf("%v in\n%s", err, svg)
	}
	s := new(sheet)
	if _, err := fmt.Sscanf(doc.ViewBox, "0 0 %f %f", &s.width, &s.height); err != nil {
		t.Fatal(err)
	}
	for _, e := range doc.Texts {
		size, err := strconv.ParseFloat(fontSize.FindStringSubmatch(e.Style)[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		// The origin was moved to the lower left corner.
		y := s.height + e.Y
		s.texts = append(s.texts, written{text: e.Text, left: e.X, right: e.X + e.Length, y: y, top: y - size})
	}
	return s
}

var fontSize = regexp.MustCompile(`font-size:([0-9.]+)px`)

// check fails when a text is clipped or touches another.
func (s *sheet) check(t *testing.T) {
	t.Helper()
	const rim = 10
	for i, a := range s.texts {
		if a.left < rim || a.right > s.width-rim || a.top < rim/2 || a.y > s.height-rim {
			t.Errorf("%q is clipped: %.0f to %.0f, at %.0f of %.0f × %.0f", a.text, a.left, a.right, a.y, s.width, s.height)
		}
		for _, b := range s.texts[:i] {
			if math.Abs(a.y-b.y) < 8 && a.left < b.right+2 && b.left < a.right+2 {
				t.Errorf("%q and %q touch", a.text, b.text)
			}
		}
	}
}

func TestPicturesAreLegible(t *testing.T) {
	files, err := made().pictures()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 1+len(made().Scenarios) {
		t.Errorf("%d pictures", len(files))
	}
	for _, f := range files {
		t.Run(f.name, func(t *testing.T) {
			if len(f.content) > 60<<10 {
				t.Errorf("%d bytes", len(f.content))
			}
			parse(t, f.content).check(t)
		})
	}
}

// TestHardPictures draws what does not fit easily.
func TestHardPictures(t *testing.T) {
	long := strings.Repeat("a long title that needs more than a line, ", 5)
	for _, tt := range []struct {
		name string
		run  Run
	}{
		{"long title", Run{Scenarios: []Scenario{{Title: long, Main: CPU, Subjects: []Subject{of("millrace", 1)}}}}},
		{"nothing measured", Run{Scenarios: []Scenario{{Title: "t", Main: P99, Subjects: []Subject{of("millrace"), of("b")}}}}},
		{"no subjects", Run{Scenarios: []Scenario{{Title: "t", Main: P99}}}},
		{"zeros", Run{Scenarios: []Scenario{{Title: "t", Main: CPU, Subjects: []Subject{of("millrace", 0), of("b", 0, 0)}}}}},
		{"zero and far", Run{Scenarios: []Scenario{{Title: "t", Main: CPU, Subjects: []Subject{of("millrace", 0), of("b", 1), of("c", 900)}}}}},
		{"seven decades", Run{Scenarios: []Scenario{{Title: "t", Main: CPU, Subjects: []Subject{of("millrace", 0.1), of("c", 1e6)}}}}},
		{"wide whiskers", Run{Rounds: 3, Scenarios: []Scenario{{Title: "t", Main: CPU, Subjects: []Subject{of("millrace", 1, 5, 90), of("a very long name indeed", 2, 3, 400)}}}}},
		{"neutral", Run{Scenarios: []Scenario{{Title: "t", Main: Messages, Subjects: []Subject{{Kind: "new", Rounds: []Sample{{Messages: 1e6}}}}}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			svg, err := tt.run.scenarioPicture(&tt.run.Scenarios[0]).svg()
			if err != nil {
				t.Fatal(err)
			}
			parse(t, svg).check(t)
			if strings.Contains(string(svg), "NaN") || strings.Contains(string(svg), "Inf") {
				t.Errorf("a place that is no number:\n%s", svg)
			}
		})
	}
}

func TestScenarioPicture(t *testing.T) {
	r := made()
	svg, err := r.scenarioPicture(r.Find("http-modern")).svg()
	if err != nil {
		t.Fatal(err)
	}
	s := parse(t, svg)
	for _, want := range []string{
		"HTTP tools/call of 2026-07-28, 64 connections", "mcp-go", "116 µs", "× 16.1", "! errors: 1,200",
		"server CPU per message, µs (log scale) · less is better · ×: how many times better millrace is · whiskers: least to most of 3 rounds",
		"Millrace", "peers", "floors: the transport alone, no MCP",
	} {
		if !s.has(want) {
			t.Errorf("no %q in %v", want, s.texts)
		}
	}
	for _, k := range []Kind{Ours, Peer, Floor} {
		r, g, b, _ := kindColor(k).RGBA()
		if fill := fmt.Sprintf("fill:#%02X%02X%02X", r>>8, g>>8, b>>8); !strings.Contains(string(svg), fill) {
			t.Errorf("no %s for %s", fill, k)
		}
	}
}

func TestOverview(t *testing.T) {
	p, ok := made().overview()
	if !ok || len(p.panels) != 4 {
		t.Fatalf("got %v and %d panels", ok, len(p.panels))
	}
	if got := p.panels[0].bars[5]; got.name != "mcp-go" || got.first != "× 16.1" || got.second != "116 µs" {
		t.Errorf("got %+v", got)
	}
	if p.axis.lo > 0.14 || p.axis.hi < 96 || !p.axis.log {
		t.Errorf("axis %+v", p.axis)
	}
}

func TestOverviewWithoutBase(t *testing.T) {
	for name, subjects := range map[string][]Subject{
		"no base":   {{Name: "floor", Kind: Floor, Rounds: []Sample{{CPU: 1}}}},
		"no figure": {of("millrace"), of("b", 1)},
		"zero":      {of("millrace", 0), of("b", 1)},
	} {
		r := &Run{Scenarios: []Scenario{{Name: "ws-1", Subjects: subjects}}}
		if _, ok := r.overview(); ok {
			t.Errorf("%s: there is an overview", name)
		}
	}
	alone := &Run{Scenarios: []Scenario{{Name: "ws-1", Subjects: []Subject{of("millrace", 1)}}}}
	p, ok := alone.overview()
	if !ok {
		t.Fatal("no overview of millrace alone")
	}
	svg, err := p.svg()
	if err != nil {
		t.Fatal(err)
	}
	parse(t, svg).check(t)
}
