package mcp

// Implementation says what software a server or client is.
type Implementation struct {
	Name string `json:"name"`
	// Title is for people; from 2025-06-18 on.
	Title string `json:"title,omitempty"`
	// Description, WebsiteURL and Icons: from 2025-11-25 on.
	Description string `json:"description,omitempty"`
	Version     string `json:"version"`
	WebsiteURL  string `json:"websiteUrl,omitempty"`
	Icons       []Icon `json:"icons,omitempty"`
}

// Icon is an image for a server, tool or resource.
type Icon struct {
	// Source is an https: or data: URI.
	Source   string `json:"src"`
	MIMEType string `json:"mimeType,omitempty"`
	// Sizes are like "48x48", or "any".
	Sizes []string `json:"sizes,omitempty"`
	// Theme is the background that the icon is made for.
	Theme IconTheme `json:"theme,omitempty"`
}

// IconTheme is a background.
type IconTheme string

// The backgrounds.
const (
	IconThemeLight IconTheme = "light"
	IconThemeDark  IconTheme = "dark"
)

// at returns i without what rev does not define.
func (i *Implementation) at(rev revision) *Implementation {
	v := *i
	if rev < rev20251125 {
		v.Description, v.WebsiteURL, v.Icons = "", "", nil
	}
	if rev < rev20250618 {
		v.Title = ""
	}
	return &v
}
