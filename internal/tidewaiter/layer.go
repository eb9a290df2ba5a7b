package tidewaiter

// Analysis is what a layer holds, independent of any image it is part of. It is stored once for the fleet, by diffID and
// analyzer version.
type Analysis struct {
	DiffID   string `json:"diffID"`
	Analyzer string `json:"analyzer"` // version of the analyzer that made it; another version analyses again

	Distribution *Distribution `json:"distribution,omitempty"` // from os-release and friends, when this layer holds one
	Inventories  []Inventory   `json:"inventories,omitempty"`
	Whiteouts    []string      `json:"whiteouts,omitempty"`  // paths removed by this layer
	OpaqueDirs   []string      `json:"opaqueDirs,omitempty"` // directories whose lower content this layer hides
	Owned        []string      `json:"owned,omitempty"`      // inventory files that belong to an OS package
	Secrets      []Secret      `json:"secrets,omitempty"`
	SetID        []SetIDFile   `json:"setID,omitempty"`
	ContentSets  []string      `json:"contentSets,omitempty"`
	Notices      []Notice      `json:"notices,omitempty"`

	Files int64 `json:"files"` // entries seen
	Bytes int64 `json:"bytes"` // uncompressed size
}

// Inventory is the packages one file of a layer declares. In a merged image a file of an upper layer replaces the same
// file of a lower one, and with it its inventory.
type Inventory struct {
	Path     string    `json:"path"`
	Type     string    `json:"type"` // the engine's kind of file: dpkg, apk, rpm, node-pkg, gobinary, jar, …
	Packages []Package `json:"packages"`
}

// Secret is a credential somebody left in an image. The match is censored; the secret itself is never stored.
type Secret struct {
	Rule      string   `json:"rule"` // aws-access-key-id, private-key, …
	Category  string   `json:"category,omitempty"`
	Title     string   `json:"title"`
	Severity  Severity `json:"severity"`
	Path      string   `json:"path"` // absolute; "config" for one in the image's configuration
	StartLine int      `json:"startLine,omitempty"`
	EndLine   int      `json:"endLine,omitempty"`
	Match     string   `json:"match,omitempty"` // the line with the secret starred out
	Layer     int      `json:"layer"`           // index into the image's layers; set when merged
}

// SetIDFile is an executable that runs with its owner's or group's rights.
type SetIDFile struct {
	Path string `json:"path"`
	Mode uint32 `json:"mode"` // permission bits with setuid (04000) and setgid (02000)
}

// Notice says what an analysis had to leave out and why: a limit reached, a file that could not be parsed. A result with
// notices is shown as such.
type Notice struct {
	Kind ErrorKind `json:"kind"`
	Path string    `json:"path,omitempty"`
	Text string    `json:"text"`
}

// Content is an image's merged layers.
type Content struct {
	Distribution *Distribution `json:"distribution,omitempty"`
	Installed    []Installed   `json:"installed,omitempty"`
	Secrets      []Secret      `json:"secrets,omitempty"`
	SetID        []SetIDFile   `json:"setID,omitempty"`
	Notices      []Notice      `json:"notices,omitempty"`
}
