package client

import "time"

// ImageContent is what an image is made of, beside its packages, and the names that show it.
type ImageContent struct {
	ConfigDigest string     `json:"configDigest,omitempty"` // what Docker calls the image id
	Tags         []ImageTag `json:"tags"`
	Layers       []Layer    `json:"layers"` // bottom first
	Secrets      []Secret   `json:"secrets"`
	RiskFactors  []string   `json:"riskFactors,omitempty"` // circumstances that make its vulnerabilities weigh more
	Notices      []Notice   `json:"notices,omitempty"`     // what was left out of the analysis
}

// ImageTag is a name that shows an image.
type ImageTag struct {
	Name      string    `json:"name"`             // host/repository:tag
	Digest    string    `json:"digest,omitempty"` // what it points to now: an index, or another image when it has moved
	FirstSeen time.Time `json:"firstSeen,omitzero"`
	LastSeen  time.Time `json:"lastSeen,omitzero"`
	ChangedAt time.Time `json:"changedAt,omitzero"`
	GoneAt    time.Time `json:"goneAt,omitzero"`
	Error     string    `json:"error,omitempty"` // of the last attempt to scan it
}

// Layer is one layer of an image.
type Layer struct {
	Digest    string `json:"digest"` // as it is pulled
	DiffID    string `json:"diffID,omitempty"`
	Size      int64  `json:"size"` // bytes as it is pulled
	CreatedBy string `json:"createdBy,omitempty"`
}

// Secret is a credential somebody left in an image. The secret itself is never stored.
type Secret struct {
	Rule     string `json:"rule"`
	Title    string `json:"title"`
	Severity string `json:"severity"`
	Path     string `json:"path"` // "config" for one in the image's configuration
	Line     int    `json:"line,omitempty"`
	Match    string `json:"match,omitempty"` // the line with the secret starred out
	Layer    int    `json:"layer"`           // from 0, bottom first
}

// Notice says what an analysis had to leave out, and why.
type Notice struct {
	Kind string `json:"kind"`
	Path string `json:"path,omitempty"`
	Text string `json:"text"`
}
