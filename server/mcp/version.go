package mcp

import "slices"

// The revisions of the Model Context Protocol that this package serves, newest
// first.
const (
	Version20260728 = "2026-07-28"
	Version20251125 = "2025-11-25"
	Version20250618 = "2025-06-18"
	Version20250326 = "2025-03-26"
	Version20241105 = "2024-11-05"
)

// revision is a protocol revision as an index into tables; a later revision is
// greater.
type revision uint8

const (
	rev20241105 revision = iota
	rev20250326
	rev20250618
	rev20251125
	rev20260728
	revisions // how many there are

	newestLegacy = rev20251125
	newest       = rev20260728
)

var versions = [...]string{
	Version20260728, Version20251125, Version20250618, Version20250326, Version20241105,
}

// SupportedVersions returns every revision that is served, newest first. The
// slice is the caller's.
func SupportedVersions() []string { return slices.Clone(versions[:]) }

// IsModern reports whether version is a served revision of the stateless era,
// which began with 2026-07-28.
func IsModern(version string) bool { return version == Version20260728 }

// version is the inverse of revisionOf.
func (r revision) version() string { return versions[len(versions)-1-int(r)] }

func (r revision) modern() bool { return r >= rev20260728 }

// revisionOf returns the revision with the given name.
func revisionOf(version string) (revision, bool) {
	for i, v := range versions {
		if v == version {
			return revision(len(versions) - 1 - i), true
		}
	}
	return 0, false
}

// negotiate answers a version asked for by initialize. 2025-11-25, lifecycle,
// "Version Negotiation": "If the server supports the requested protocol
// version, it MUST respond with the same version. Otherwise, the server MUST
// respond with another protocol version it supports. This SHOULD be the latest
// version supported by the server." 2026-07-28 has no initialize, so that the
// latest is the latest of those that have one.
func negotiate(requested string) revision {
	if r, ok := revisionOf(requested); ok && !r.modern() {
		return r
	}
	return newestLegacy
}
