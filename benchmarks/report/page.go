package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// overviewFile is the name of the picture at the top of the page.
const overviewFile = "overview.svg"

// WritePage writes r to dir, which it makes: README.md and the pictures beside it. The same run gives the same bytes.
// It removes nothing: the picture of a scenario that an earlier run had stays.
func (r *Run) WritePage(dir string) error {
	files, err := r.page()
	if err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.name), f.content, 0o644); err != nil {
			return fmt.Errorf("writing the page: %w", err)
		}
	}
	return nil
}

// file is a file of the page.
type file struct {
	name    string
	content []byte
}

// page returns the files of the page.
func (r *Run) page() ([]file, error) {
	files, err := r.pictures()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	r.writeTop(&b)
	r.writeSubjects(&b)
	r.writeTargets(&b)
	for i := range r.Scenarios {
		r.writeScenario(&b, &r.Scenarios[i])
	}
	r.writeMachine(&b)
	b.WriteString(howToRead)
	return append(files, file{"README.md", b.Bytes()}), nil
}

func (r *Run) pictures() ([]file, error) {
	var files []file
	put := func(name string, p picture) error {
		svg, err := p.svg()
		if err != nil {
			return fmt.Errorf("drawing %s: %w", name, err)
		}
		files = append(files, file{name, svg})
		return nil
	}
	if p, ok := r.overview(); ok {
		if err := put(overviewFile, p); err != nil {
			return nil, err
		}
	}
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		if err := put(s.pictureFile(), r.scenarioPicture(s)); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func (s *Scenario) pictureFile() string { return s.Name + ".svg" }

// writeTop writes the title, the findings and the picture of all main scenarios.
func (r *Run) writeTop(b *bytes.Buffer) {
	b.WriteString("# Millrace measured\n\n")
	if r.Short {
		b.WriteString("> **This was a short run.** It shows that the suite works; its figures are too rough to be quoted.\n\n")
	}
	fmt.Fprintf(b, "Measured %s at commit %s, in %s: every subject of a scenario %s, in turn with the others.\n"+
		"Ratios are those of medians within this run.\n\n", r.began(), code(r.Commit), r.lasted(), times(r.Rounds))
	found := false
	for _, name := range mainScenarios() {
		if s := r.Find(name); s != nil {
			if line := r.finding(s); line != "" {
				b.WriteString(line + "\n")
				found = true
			}
		}
	}
	if found {
		b.WriteString("\n")
	}
	if _, ok := r.overview(); ok {
		fmt.Fprintf(b, "![Server CPU per message of every subject, relative to Millrace](%s)\n\n", overviewFile)
	}
}

// finding says in a line how the base of s stands to the others; it is empty without figures.
func (r *Run) finding(s *Scenario) string {
	base := s.Base()
	if base == nil {
		return ""
	}
	own, ok := base.Spread(CPU)
	if !ok {
		return ""
	}
	var others []string
	for _, subject := range s.ranked(CPU) {
		if ratio, ok := s.Factor(CPU, subject.Name); ok && subject.Kind != Ours {
			other := subject.Name + " " + factor("×", ratio)
			if subject.trouble(r.rounds(s)) != "" {
				other += " **!**"
			}
			others = append(others, other)
		}
	}
	if len(others) == 0 {
		return ""
	}
	return fmt.Sprintf("- %s: **%s** takes **%s** of CPU per message; %s.",
		s.Title, base.Name, CPU.Format(own.Median), strings.Join(others, ", "))
}

// writeSubjects says what was compared with what.
func (r *Run) writeSubjects(b *bytes.Buffer) {
	b.WriteString("## What is compared\n\n")
	g := &grid{head: []string{"subject", "kind", "what it is"}, left: 3}
	for _, k := range []Kind{Ours, Peer, Floor} {
		seen := map[string]bool{}
		for _, s := range r.Scenarios {
			for _, subject := range s.Subjects {
				if subject.Kind == k && !seen[subject.Name] {
					seen[subject.Name] = true
					g.add("", subject.Name, string(k), about(subject.Name))
				}
			}
		}
	}
	g.writeMarkdown(b)
	b.WriteString("\n")
}

func (r *Run) writeTargets(b *bytes.Buffer) {
	verdicts := r.Verdicts()
	fmt.Fprintf(b, "## Targets\n\n%s\n\n", tally(verdicts))
	g := verdictTable(verdicts)
	for i, v := range verdicts {
		if v.Measured && !v.Met {
			g.rows[i].cells[4] = "**NO**"
		}
	}
	g.writeMarkdown(b)
	b.WriteString("\n")
}

func (r *Run) writeScenario(b *bytes.Buffer, s *Scenario) {
	fmt.Fprintf(b, "## %s\n\n", s.Title)
	if s.Method != "" {
		fmt.Fprintf(b, "%s (%s)\n\n", s.Method, code(s.Name))
	}
	fmt.Fprintf(b, "![%s: %s](%s)\n\n", s.Title, s.Main.Title(), s.pictureFile())
	r.table(s, "×").writeMarkdown(b)
	b.WriteString("\n")
}

// writeMachine writes what the figures depend on.
func (r *Run) writeMachine(b *bytes.Buffer) {
	m := r.Machine
	g := &grid{head: []string{"", "the run"}, left: 2}
	g.add("", "CPU", fmt.Sprintf("%s, %d cores", m.CPU, m.Cores))
	g.add("", "cores", fmt.Sprintf("server on %s, load generator on %s", cores(m.ServerCores), cores(m.LoadCores)))
	g.add("", "memory", significant(float64(m.MemoryBytes)/(1<<30), 3)+" GiB")
	g.add("", "kernel", m.Kernel)
	g.add("", "Go", m.Go)
	if m.Node != "" {
		g.add("", "Node.js", m.Node)
	}
	g.add("", "commit", code(r.Commit))
	g.add("", "command", code(r.Command))
	g.add("", "begun", r.began())
	g.add("", "took", r.lasted())
	g.add("", "rounds", fmt.Sprint(r.Rounds))
	b.WriteString("## The run\n\n")
	g.writeMarkdown(b)
	b.WriteString("\n")
}

func (r *Run) began() string { return r.Started.UTC().Format("2006-01-02 15:04 UTC") }

func (r *Run) lasted() string {
	return time.Duration(r.Seconds * float64(time.Second)).Round(time.Second).String()
}

func code(s string) string {
	if s == "" {
		return absent
	}
	return "`" + s + "`"
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// cores writes a set of CPU numbers.
func cores(set []int) string {
	if len(set) == 0 {
		return "any"
	}
	var all []string
	for _, n := range set {
		all = append(all, fmt.Sprint(n))
	}
	return strings.Join(all, ", ")
}

const howToRead = `## How to read this

- **CPU** is user and system time of the server's process over the messages it answered. It hardly depends on what
  else runs on the machine, so it is the figure to compare. Latencies and rates do depend on it.
- **Every value is the median of the rounds**; ± is half the distance from the least to the most, in percent of the
  median. Two subjects that lie closer together than their ± are alike.
- **The column "vs"** says how many times better the subject it names is: × 12.3 means that the other needs 12.3
  times the CPU, memory or time, or does a 12.3rd of the work. Below × 1 the other is the better one.
- **Floors** know no MCP. They show what the transport alone costs, below which no server of that kind can come.
- **In the pictures** the best is on top. Mind the axis: where values lie more than a factor of 20 apart it is
  logarithmic, and the length of a bar is then not its share.
- **!** marks what went wrong: wrong or missing answers, or rounds that could not be made. Where there is none, none
  was counted.
- **Absolute figures belong to this machine**; ratios within a run carry over to others far better. "load CPU" tells
  whether the load generator itself was short of a core.
`
