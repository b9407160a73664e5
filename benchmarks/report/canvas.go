package report

import (
	"bytes"
	"fmt"
	"image/color"
	"strings"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The palette: ours stands out, the floors step back, peers can be told from both by everyone's eyes.
var (
	paper     = color.NRGBA{0xfd, 0xfd, 0xfc, 0xff}
	frame     = color.NRGBA{0xe2, 0xe5, 0xe9, 0xff}
	gridline  = color.NRGBA{0xe8, 0xea, 0xed, 0xff}
	ink       = color.NRGBA{0x1f, 0x29, 0x33, 0xff}
	pale      = color.NRGBA{0x66, 0x70, 0x7c, 0xff}
	alarm     = color.NRGBA{0xc0, 0x27, 0x2d, 0xff}
	oursColor = color.NRGBA{0x2b, 0x6c, 0xb0, 0xff}
	peerColor = color.NRGBA{0xe3, 0x9c, 0x5a, 0xff}
	floorGrey = color.NRGBA{0xb3, 0xba, 0xc3, 0xff}
)

// kindColor is the colour of bars of kind k.
func kindColor(k Kind) color.Color {
	switch k {
	case Ours:
		return oursColor
	case Peer:
		return peerColor
	}
	return floorGrey
}

// letter is a way to write text.
type letter struct {
	size  vg.Length
	bold  bool
	color color.Color
}

// canvas draws a picture; unlike those of gonum, its y grows downwards from the upper rim.
type canvas struct {
	draw.Canvas
	svg    *vgsvg.Canvas
	fonts  *font.Cache
	height vg.Length
	// widths are those of the texts written, in order.
	widths []vg.Length
}

// newCanvas returns a canvas on which text can be measured before its height is known; see open.
func newCanvas() *canvas {
	return &canvas{fonts: font.NewCache(liberation.Collection())}
}

// fitted is how a text element begins that has the given width in whatever font.
const fitted = `<text textLength="%.1f" lengthAdjust="spacingAndGlyphs" x`

// open makes c an empty sheet.
func (c *canvas) open(width, height vg.Length) {
	c.svg = vgsvg.New(width, height)
	c.Canvas = draw.New(c.svg)
	c.height = height
	c.rectangle(0, 0, width, height, frame)
	c.rectangle(0.75, 0.75, width-0.75, height-0.75, paper)
}

// bytes returns the picture as SVG. It names the embedded font of gonum, by whose widths it was laid out, and fonts
// of the same widths that other systems have: a copy of the font in each file would be ten times the drawing. Where
// none of them is installed, textLength makes another font fit.
func (c *canvas) bytes() ([]byte, error) {
	var b bytes.Buffer
	if _, err := c.svg.WriteTo(&b); err != nil {
		return nil, err
	}
	svg := strings.NewReplacer(
		"font-family:Liberation Sans;font-variant:normal;", "font-family:'Liberation Sans',Arial,Helvetica,sans-serif;",
		"font-weight:normal;font-style:normal;", "",
		"font-weight:bold;font-style:normal;", "font-weight:bold;",
		"\n\tstyle=", " style=",
	).Replace(b.String())
	for _, w := range c.widths {
		svg = strings.Replace(svg, "<text x", fmt.Sprintf(fitted, w.Points()), 1)
	}
	return []byte(svg), nil
}

func (c *canvas) style(l letter) text.Style {
	weight := xfont.WeightNormal
	if l.bold {
		weight = xfont.WeightBold
	}
	return text.Style{
		Color:   l.color,
		Font:    font.Font{Typeface: "Liberation", Variant: "Sans", Weight: weight, Size: l.size},
		Handler: text.Plain{Fonts: c.fonts},
	}
}

// width returns how wide s is when written with l.
func (c *canvas) width(l letter, s string) vg.Length { return c.style(l).Width(s) }

// write writes s; share of its width lies left of x, and its base line is at y.
func (c *canvas) write(l letter, x, y vg.Length, share float64, s string) {
	width := c.width(l, s)
	x -= vg.Length(share) * width
	c.widths = append(c.widths, width)
	style := c.style(l)
	c.SetColor(l.color)
	c.FillString(c.fonts.Lookup(style.Font, l.size), vg.Point{X: x, Y: c.height - y}, s)
}

// wrap breaks s between words so that no line is wider than width.
func (c *canvas) wrap(l letter, s string, width vg.Length) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		longer := strings.TrimLeft(line+" "+word, " ")
		if line != "" && c.width(l, longer) > width {
			lines = append(lines, line)
			longer = word
		}
		line = longer
	}
	return append(lines, line)
}

func (c *canvas) rectangle(left, top, right, bottom vg.Length, fill color.Color) {
	c.FillPolygon(fill, []vg.Point{
		{X: left, Y: c.height - top}, {X: right, Y: c.height - top},
		{X: right, Y: c.height - bottom}, {X: left, Y: c.height - bottom},
	})
}

func (c *canvas) line(x1, y1, x2, y2, width vg.Length, stroke color.Color) {
	c.StrokeLine2(draw.LineStyle{Color: stroke, Width: width}, x1, c.height-y1, x2, c.height-y2)
}
